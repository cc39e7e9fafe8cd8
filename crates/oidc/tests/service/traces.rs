//! Traces: a check is a part of the request's trace, as Envoy says it.

use kit::testing::collector::{Collector, text};
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::wait::wait_for;

use crate::edge;
use crate::house::{Service, WEB, main_provider, provider};

#[tokio::test]
async fn a_check_is_a_span_of_the_callers_trace() {
    let collector = Collector::default();
    let provider = provider().await;
    let traces = format!("telemetry: {{traces: {{endpoint: 'http://{}'}}}}\n", collector.start());
    let settings = format!("{}defaultProfile: web\n{WEB}{traces}", main_provider(&provider));
    let service = Service::start(&settings).await.reached().await;
    let backend = Echo::http().spawn().await.unwrap();
    let (_envoy, address) = edge::start_traced(&service.grpc, backend.address()).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = Request::get("http://app.example/").to(address).header("traceparent", traceparent);
    assert_eq!(request.send().await.unwrap().status, 401);
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let span = async || collector.taken().spans.iter().find(|span| span.trace_id == trace).cloned();
    let span = wait_for("the span of the check", PATIENCE, span).await.unwrap();
    assert_eq!((span.name.as_str(), text(&span.attributes, "host")), ("Check", Some("app.example")));
}

//! Traces: a request is a part of the trace that Envoy names.

use kit::testing::collector::{Collector, text};
use serde_json::json;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::wait::wait_for;

use crate::envoy::{INJECTION, front};
use crate::house::Service;

#[tokio::test]
async fn a_request_is_a_span_of_the_caller_s_trace() {
    let collector = Collector::default();
    let settings = format!("telemetry: {{traces: {{endpoint: 'http://{}'}}}}\n", collector.start());
    let service = Service::start_bare(&settings).await;
    let backend = Echo::http().spawn().await.unwrap();
    // Envoy's own spans go nowhere.
    let tracer = json!({ "name": "envoy.tracers.opentelemetry", "typed_config": {
        "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig",
        "grpc_service": { "envoy_grpc": { "cluster_name": "waf" } },
        "service_name": "edge",
    }});
    let front = front(service.grpc.parse().unwrap(), &json!({}), &json!({}));
    let front = front.manager(&json!({ "tracing": { "provider": tracer } }));
    let (_envoy, address) = front.start(backend.address()).await.unwrap();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let url = format!("http://shop.example/?id={INJECTION}");
    let request = Request::get(&url).to(address).header("traceparent", traceparent);
    assert_eq!(request.send().await.unwrap().status, 403);
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let span = async || collector.taken().spans.iter().find(|span| span.trace_id == trace).cloned();
    let span = wait_for("the span", PATIENCE, span).await.unwrap();
    let of = |name: &str| text(&span.attributes, name);
    assert_eq!((span.name.as_str(), of("profile"), of("refused")), ("Process", Some("baseline"), Some("rule")));
}

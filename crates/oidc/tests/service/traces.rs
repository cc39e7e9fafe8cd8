//! Traces: a check is a part of the request's trace, as Envoy says it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use kit::testing::HttpDouble;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::wait::wait_until;

use crate::edge;
use crate::house::{Service, WEB, main_provider, provider};

/// A collector that keeps what it is told.
async fn collector() -> (HttpDouble, Arc<Mutex<Vec<u8>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let export = move |body: Bytes| {
        sink.lock().unwrap().extend_from_slice(&body);
        // An empty answer: a frame of no bytes.
        std::future::ready(([("content-type", "application/grpc"), ("grpc-status", "0")], [0_u8; 5].to_vec()))
    };
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    (HttpDouble::start(Router::new().route(path, post(export))).await, told)
}

#[tokio::test]
async fn a_check_is_a_span_of_the_callers_trace() {
    let (collector, told) = collector().await;
    let provider = provider().await;
    let traces = format!("telemetry: {{traces: {{endpoint: '{}'}}}}\n", collector.url(""));
    let settings = format!("{}defaultProfile: web\n{WEB}{traces}", main_provider(&provider));
    let service = Service::start(&settings).await.reached().await;
    let backend = Echo::http().spawn().await.unwrap();
    let (_envoy, address) = edge::start_traced(&service.grpc, backend.address()).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = Request::get("http://app.example/").to(address).header("traceparent", traceparent);
    assert_eq!(request.send().await.unwrap().status, 401);
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let exported = async || {
        let told = told.lock().unwrap();
        let has = |bytes: &[u8]| told.windows(bytes.len()).any(|window| window == bytes);
        has(&trace) && has(b"Check") && has(b"app.example")
    };
    wait_until("the span of the check", PATIENCE, exported).await.unwrap();
}

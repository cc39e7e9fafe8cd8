//! The whole of small gateways, judged by a real Envoy.

use envoy::type_url;

use crate::testing::{accepted, cluster, forward, json, prefix, simple, to};

#[test]
fn a_plain_gateway() {
    let gateway = simple([to("r", prefix("/a"), forward("c"))], vec![cluster("c")]);
    let lowered = accepted(&gateway);
    insta::assert_yaml_snapshot!("plain_listener", json(&lowered, type_url::LISTENER, "tcp-80"));
    insta::assert_yaml_snapshot!("plain_table", json(&lowered, type_url::ROUTE, "http-80"));
    insta::assert_yaml_snapshot!("plain_cluster", json(&lowered, type_url::CLUSTER, "c"));
}

//! The real Envoy between a client and the echo backend.

use testbed::PATIENCE;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::envoy::{self, Spec};
use testbed::wait::wait_until;

fn bootstrap(backend_port: u16) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - name: http
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{ match: {{ prefix: / }}, route: {{ cluster: echo }} }}]
          http_filters:
          - name: router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: echo
    connect_timeout: 1s
    load_assignment:
      cluster_name: echo
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {backend_port} }} }} }}
"#
    )
}

#[tokio::test]
async fn a_request_goes_through_envoy() {
    let echo = Echo::http().name("a").spawn().await.unwrap();
    let envoy = Spec::new(bootstrap(echo.port())).start().await.unwrap();
    let listener = envoy.listener("http").await.unwrap();
    let answer = Request::get("http://www.example.com/x").to(listener).send().await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("server"), Some("envoy"));
    let seen = answer.echoed().unwrap();
    assert_eq!((seen.pod.as_str(), seen.host.as_str(), seen.path.as_str()), ("a", "www.example.com", "/x"));
    assert!(seen.header("x-request-id").is_some());
    assert_eq!(envoy.stat("http.http.downstream_rq_2xx").await.unwrap(), 1);
    assert!(envoy.config_dump("").await.unwrap()["configs"].as_array().is_some_and(|configs| !configs.is_empty()));
    envoy.terminate().await.unwrap();
}

#[tokio::test]
async fn an_envoy_that_is_dropped_is_gone() {
    let mut envoy = Spec::new("{}").start().await.unwrap();
    let (pid, admin) = (envoy.process().pid(), envoy.admin());
    drop(envoy);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    let gone = async || tokio::net::TcpStream::connect(admin).await.is_err();
    wait_until("the admin port to be closed", PATIENCE, gone).await.unwrap();
}

#[tokio::test]
async fn a_bad_bootstrap_fails_with_envoys_words() {
    let bad = "static_resources: { clusters: [ { name: x, connect_timeout: 0s } ] }";
    let error = Spec::new(bad).start().await.unwrap_err();
    assert!(format!("{error:#}").contains("ConnectTimeout"), "{error:#}");
}

#[test]
fn validation_tells_good_from_bad() {
    envoy::validate(&bootstrap(1)).unwrap();
    let error =
        envoy::validate(r#"{"static_resources":{"clusters":[{"name":"x","connect_timeout":"0s"}]}}"#).unwrap_err();
    assert!(error.contains("ConnectTimeout"), "{error}");
}

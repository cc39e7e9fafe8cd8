//! What the machine itself gives, before any of our code: the floor that other figures stand on.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Result;
use testbed::client::{Connection, Request};
use testbed::echo::Echo;
use testbed::envoy;

use super::Measure;

/// Requests a run, after as many for warming up.
const REQUESTS: u32 = 2_000;

pub(super) fn run() -> Result<Vec<Measure>> {
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> Result<Vec<Measure>> {
    let echo = Echo::http().spawn().await?;
    let begin = Instant::now();
    let envoy = envoy::Spec::new(bootstrap(echo.address())).start().await?;
    let start = begin.elapsed().as_secs_f64() * 1e3;
    let direct = micros_a_request(echo.address()).await?;
    let proxied = micros_a_request(envoy.listener("http").await?).await?;
    Ok(vec![
        Measure::alone("envoy: start until ready", start, "ms"),
        Measure::alone("a request to the backend", direct, "µs"),
        Measure::against("a request through envoy", proxied, "µs", direct),
    ])
}

async fn micros_a_request(address: SocketAddr) -> Result<f64> {
    let request = Request::get("http://www.example.com/").to(address);
    let mut connection = Connection::open(&request).await?;
    let mut seconds = 0.0;
    for _ in 0..2 {
        let begin = Instant::now();
        for _ in 0..REQUESTS {
            connection.send(&request).await?;
        }
        seconds = begin.elapsed().as_secs_f64();
    }
    Ok(seconds / f64::from(REQUESTS) * 1e6)
}

fn bootstrap(backend: SocketAddr) -> String {
    let address = |port: u16| serde_json::json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let extension = "type.googleapis.com/envoy.extensions.filters";
    let router =
        serde_json::json!({"name": "router", "typed_config": {"@type": format!("{extension}.http.router.v3.Router")}});
    let routes = serde_json::json!({"virtual_hosts": [{"name": "all", "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "echo"}}]}]});
    let manager = serde_json::json!({"@type": format!("{extension}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "http", "route_config": routes, "http_filters": [router]});
    let endpoint = serde_json::json!({"endpoint": {"address": address(backend.port())}});
    serde_json::json!({"static_resources": {
        "listeners": [{"name": "http", "address": address(0),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
        "clusters": [{"name": "echo",
            "load_assignment": {"cluster_name": "echo", "endpoints": [{"lb_endpoints": [endpoint]}]}}],
    }})
    .to_string()
}

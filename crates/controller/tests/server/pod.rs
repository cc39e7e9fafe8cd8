//! What stands beside an Envoy in its pod.

use anyhow::Result;
use nix::sys::signal::Signal;
use serde_json::json;
use testbed::{PATIENCE, client::Request, envoy, process::Spec, wait::wait_for};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::house::PORTCULLIS;

#[tokio::test]
async fn who_waits_for_the_end_is_answered_when_it_comes() -> Result<()> {
    let mut manager = Spec::new(PORTCULLIS).args(["envoy", "shutdown-manager", "--listen", "127.0.0.1:0"]).start()?;
    let line = manager.wait_for_line(PATIENCE, |line| line.starts_with("listening on ")).await?;
    let url = line.replace("listening on ", "http://");
    assert_eq!(Request::get(&format!("{url}/healthz")).send().await?.status, 200);
    let waiting = tokio::spawn(async move { Request::get(&format!("{url}/shutdown/ready")).send().await });
    manager.wait_for_line(PATIENCE, |line| line.contains("waits for Envoy")).await?;
    assert!(!waiting.is_finished());
    manager.signal(Signal::SIGTERM)?;
    assert_eq!(waiting.await??.status, 200);
    assert!(manager.wait_exit(PATIENCE).await?.success());
    Ok(())
}

#[tokio::test]
async fn an_envoy_is_drained_until_it_has_nothing_in_flight() -> Result<()> {
    let slow = TcpListener::bind("127.0.0.1:0").await?;
    let envoy = envoy::Spec::new(proxy_to(slow.local_addr()?.port()).to_string()).start().await?;
    let url = format!("http://{}/", envoy.listener("http").await?);
    let request = tokio::spawn(async move { Request::get(&url).send().await });
    let (mut backend, _) = slow.accept().await?;
    assert!(backend.read(&mut [0; 1024]).await? > 0);

    let admin = envoy.admin().to_string();
    let args = ["envoy", "shutdown", "--admin", &admin, "--min-drain-duration", "0s", "--drain-timeout", "5m"];
    let mut shutdown = Spec::new(PORTCULLIS).args(args).start()?;
    wait_for("Envoy to drain", PATIENCE, async || (envoy.stat("server.live").await.ok()? == 0).then_some(())).await?;
    assert!(shutdown.exited().is_none(), "{}", shutdown.log());
    backend.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    assert_eq!(request.await??.status, 200);
    assert!(shutdown.wait_exit(PATIENCE).await?.success());
    Ok(())
}

#[tokio::test]
async fn an_envoy_that_is_not_there_cannot_be_drained() -> Result<()> {
    // Nobody listens at a port that was given back.
    let port = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let mut shutdown = Spec::new(PORTCULLIS).args(["envoy", "shutdown", "--admin", &port.to_string()]).start()?;
    assert!(!shutdown.wait_exit(PATIENCE).await?.success());
    assert!(shutdown.log().contains("cannot be drained"), "{}", shutdown.log());
    Ok(())
}

fn proxy_to(port: u16) -> serde_json::Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [{"name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "route": {"cluster": "slow", "timeout": "0s"}}]}]},
    });
    json!({"static_resources": {
        "listeners": [{"name": "http", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
        "clusters": [{"name": "slow", "connect_timeout": "5s", "load_assignment": {"cluster_name": "slow", "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}]}]}}],
    }})
}

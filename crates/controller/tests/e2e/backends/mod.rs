//! Where requests go: Services and Backends of every form; and how an EnvoyProxy changes that Envoy itself.

mod als;
mod forms;
mod proxy;
mod services;
mod telemetry;

use anyhow::{Context, Result};
use testbed::client::Request;
use testbed::echo::Echo;

use crate::harness::{Case, local};
use crate::objects::{gateway, listener};

/// A Gateway `gw` with one HTTP listener.
fn web(port: u16) -> String {
    gateway(&[listener("http", "HTTP", port, "")])
}

fn get(host: &str, port: u16) -> Request {
    Request::get(&format!("http://{host}/")).to(local(port))
}

/// Waits until a request is answered with this status.
async fn answers(case: &Case, request: &Request, status: u16) -> Result<()> {
    case.until(&format!("{status}"), async || Ok(request.send().await?.status == status)).await
}

/// Waits until a request arrives at the backend of this name.
async fn arrives(case: &Case, request: &Request, name: &str) -> Result<()> {
    case.until(&format!("answers of {name}"), async || Ok(request.send().await?.echoed()?.pod == name)).await
}

async fn echo(name: &str) -> Result<Echo> {
    Echo::http().name(name).spawn().await
}

/// A counter or gauge of Envoy.
async fn stat(case: &Case, name: &str) -> Result<u64> {
    let stats = case.envoy("default/gw", &format!("/stats?filter=^{name}$")).await?;
    let value = stats.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    Ok(value.with_context(|| format!("no {name}"))?.parse()?)
}

//! What our own services say of themselves: where they listen by their log (`--log-format json`), and the rest by the admin port.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::PATIENCE;
use crate::client::Request;
use crate::process::{Process, Spec};

/// The text of a service's configuration: settings (YAML lines), in which `DIR` is a directory. Of these ports, those that the
/// settings leave out are free ones.
pub fn configuration(dir: &Path, settings: &str, ports: &[&str]) -> String {
    let is_set = |port: &str| settings.lines().any(|line| line.starts_with(&format!("{port}:")));
    let free = ports.iter().filter(|port| !is_set(port)).map(|port| format!("{port}: {{address: '127.0.0.1:0'}}\n"));
    format!("{}{settings}", free.collect::<String>()).replace("DIR", &dir.display().to_string())
}

/// Starts a service by its configuration, with more arguments.
pub fn start(program: &str, config: &Path, args: &[&str]) -> Result<Process> {
    Spec::new(program).arg("--config-path").arg(config).args(["--log-format", "json"]).args(args).start()
}

/// The address that a service listens on for `what`: `grpc`, `http` or `admin`.
pub async fn listening(process: &mut Process, what: &str) -> Result<String> {
    let address = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let is_it = field(&line, "message") == Some("listening") && field(&line, "what") == Some(what);
        field(&line, "address").filter(|_| is_it).map(str::to_owned)
    };
    let line = process.wait_for_line(PATIENCE, |line| address(line).is_some()).await?;
    Ok(address(&line).expect("the line was looked for by it"))
}

/// A field of a line of a log.
pub fn field<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line.get("fields").unwrap_or(line).get(name)?.as_str()
}

/// The text of a page of the admin port.
pub async fn page(admin: &str, path: &str) -> Result<String> {
    Ok(Request::get(&format!("http://{admin}{path}")).send().await?.text())
}

/// The value of a metric, with its labels as they are written; 0 when it is not there yet.
pub async fn metric(admin: &str, series: &str) -> Result<f64> {
    let text = page(admin, "/metrics").await?;
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    Ok(value.map_or(Ok(0.0), str::parse)?)
}

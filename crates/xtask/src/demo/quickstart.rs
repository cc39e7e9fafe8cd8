//! A copy of `examples/quickstart`, with the limit of `examples/rate-limit`, the login of `examples/single-sign-on`, the
//! firewall of `examples/waf` and the logs of `examples/observability`, in which the ports are the ones asked for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ports::Ports;
use crate::workspace::root;

/// What a class says of its controller, and of the settings of its Envoys.
const CONTROLLER: &str = "controllerName: gateway.envoyproxy.io/gatewayclass-controller\n";
const OBSERVED: &str =
    "  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: observed, namespace: default}\n";

/// The quickstart's route, and what it promises.
const ROUTE: &str = "kind: HTTPRoute\nmetadata:\n  name: backend\n";
const PROMISE: &str = "  annotations: { portcullis.dev/slo: \"99.9% availability; 99% < 250ms; 30d\" }\n";

/// The files that programs are started with.
pub(super) struct Files {
    /// The server's configuration.
    pub(super) server: PathBuf,
    /// The rate limit service's.
    pub(super) limits: PathBuf,
    /// The single sign-on service's.
    pub(super) logins: PathBuf,
    /// The firewall's.
    pub(super) firewall: PathBuf,
    /// The exporter's.
    pub(super) exporter: PathBuf,
}

/// Writes the copy into `dir`.
pub(super) fn copy_to(dir: &Path, ports: Ports) -> Result<Files> {
    let (limits, logins, firewall) = (copy_limit(dir, ports)?, copy_login(dir, ports)?, copy_firewall(dir, ports)?);
    let exporter = copy_exporter(dir, ports)?;
    let example = root().join("examples/quickstart");
    let resources = dir.join("resources");
    fs::create_dir_all(&resources)?;
    for entry in fs::read_dir(example.join("resources"))? {
        let file = entry?.path();
        let text = fs::read_to_string(&file)?
            .replace("port: 8888", &format!("port: {}", ports.gateway))
            .replace("port: 3000", &format!("port: {}", ports.backend))
            .replace(CONTROLLER, &format!("{CONTROLLER}{OBSERVED}"))
            .replace(ROUTE, &format!("{ROUTE}{PROMISE}"));
        fs::write(resources.join(file.file_name().context("a file has a name")?), text)?;
    }
    let text = fs::read_to_string(example.join("standalone.yaml"))?;
    let text = swap(&text, "examples/quickstart/resources", &resources.display().to_string())?;
    // Not that of the user, which another demo or server may be using.
    let runtime = format!("host: {{runtimeDir: {}}}", dir.join("run").display());
    let text = swap(&text, "host: {}", &runtime)?;
    let text = swap(&text, "port: 19000", &format!("port: {}", ports.admin))?;
    let service = format!("{{host: 127.0.0.1, port: {}}}", ports.limits);
    let server = dir.join("standalone.yaml");
    fs::write(&server, format!("{text}rateLimit: {{service: {service}, timeout: 1s, failClosed: true}}\n"))?;
    Ok(Files { server, limits, logins, firewall, exporter })
}

/// The policy and the configuration of the service, which gets its rules by the server's socket.
fn copy_limit(dir: &Path, ports: Ports) -> Result<PathBuf> {
    let example = root().join("examples/rate-limit");
    fs::create_dir_all(dir.join("resources"))?;
    fs::copy(example.join("limit.yaml"), dir.join("resources/limit.yaml"))?;
    let text = fs::read_to_string(example.join("ratelimit.yaml"))?;
    let text = swap(&text, "\"127.0.0.1:8081\"", &format!("\"127.0.0.1:{}\"", ports.limits))?;
    let text = swap(&text, "\"127.0.0.1:8080\"", "\"127.0.0.1:0\"")?;
    let socket = format!("\"unix:{}\"", dir.join("run/ratelimit.sock").display());
    let text = swap(&text, "\"127.0.0.1:18001\"", &socket)? + "admin: { address: \"127.0.0.1:0\" }\n";
    let file = dir.join("ratelimit.yaml");
    fs::write(&file, text)?;
    Ok(file)
}

/// The route that needs a login and the configuration of the service that asks for it.
fn copy_login(dir: &Path, ports: Ports) -> Result<PathBuf> {
    let example = root().join("examples/single-sign-on");
    let text = fs::read_to_string(example.join("private.yaml"))?;
    let text = swap(&text, "port: 9191", &format!("port: {}", ports.logins))?;
    fs::write(dir.join("resources/private.yaml"), text)?;
    let text = fs::read_to_string(example.join("oidc.yaml"))?;
    let text = swap(&text, "\"127.0.0.1:9191\"", &format!("\"127.0.0.1:{}\"", ports.logins))?;
    let text = swap(&text, "\"127.0.0.1:9192\"", "\"127.0.0.1:0\"")?;
    let text = swap(&text, "127.0.0.1:9000", &format!("127.0.0.1:{}", ports.provider))?;
    let file = dir.join("oidc.yaml");
    fs::write(&file, text + "admin: { address: \"127.0.0.1:0\" }\n")?;
    Ok(file)
}

/// The policy and the configuration of the firewall.
fn copy_firewall(dir: &Path, ports: Ports) -> Result<PathBuf> {
    let example = root().join("examples/waf");
    let text = fs::read_to_string(example.join("firewall.yaml"))?;
    let text = swap(&text, "port: 9291", &format!("port: {}", ports.firewall))?;
    fs::write(dir.join("resources/firewall.yaml"), text)?;
    let text = fs::read_to_string(example.join("waf.yaml"))?;
    let text = swap(
        &text,
        "grpc: { address: \"127.0.0.1:9291\" }",
        &format!("grpc: {{ address: \"127.0.0.1:{}\" }}", ports.firewall),
    )?;
    let file = dir.join("waf.yaml");
    fs::write(&file, text + "admin: { address: \"127.0.0.1:0\" }\n")?;
    Ok(file)
}

/// What sends records and the configuration of what takes them.
fn copy_exporter(dir: &Path, ports: Ports) -> Result<PathBuf> {
    let example = root().join("examples/observability");
    let text = fs::read_to_string(example.join("logs.yaml"))?;
    let text = swap(&text, "port: 9391", &format!("port: {}", ports.exporter))?;
    fs::write(dir.join("resources/logs.yaml"), text)?;
    let text = fs::read_to_string(example.join("exporter.yaml"))?;
    let text = swap(&text, "\"127.0.0.1:9391\"", &format!("\"127.0.0.1:{}\"", ports.exporter))?;
    let file = dir.join("exporter.yaml");
    fs::write(&file, format!("{text}admin: {{ address: \"127.0.0.1:{}\" }}\n", ports.page))?;
    Ok(file)
}

/// Replaces what must be there.
fn swap(text: &str, from: &str, to: &str) -> Result<String> {
    if !text.contains(from) {
        bail!("an example no longer says `{from}`, which the demo replaces");
    }
    Ok(text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_asked_for_and_the_runtime_directory_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let ports = Ports {
            gateway: 1,
            admin: 2,
            backend: 3,
            limits: 4,
            logins: 5,
            provider: 6,
            firewall: 7,
            exporter: 8,
            page: 9,
        };
        let files = copy_to(dir.path(), ports).unwrap();
        let limits = fs::read_to_string(files.limits).unwrap();
        assert!(limits.contains("\"127.0.0.1:4\"") && limits.contains("run/ratelimit.sock"), "{limits}");
        let mut all = fs::read_to_string(files.server).unwrap();
        for entry in fs::read_dir(dir.path().join("resources")).unwrap() {
            all.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        for (there, gone) in [
            ("port: 1\n", "8888"),
            ("port: 2\n", "19000"),
            ("port: 3\n", "3000"),
            ("port: 7\n", "9291"),
            ("port: 8\n", "9391"),
        ] {
            assert!(all.contains(there) && !all.contains(gone), "{all}");
        }
        assert!(all.contains(&format!("runtimeDir: {}/run", dir.path().display())), "{all}");
        assert!(
            all.contains("parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: observed"),
            "{all}"
        );
        assert!(fs::read_to_string(files.exporter).unwrap().contains("admin: { address: \"127.0.0.1:9\" }"));
    }
}

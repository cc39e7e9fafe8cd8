//! `versions.toml`, the one file of pinned versions.

use std::sync::OnceLock;

use serde::Deserialize;

/// The pinned versions, as compiled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Versions {
    /// The data plane.
    pub envoy: Wheel,
    /// The Go toolchain.
    pub go: Go,
    /// The C front end that bindgen loads.
    pub libclang: Wheel,
    /// The store of the rate limit service.
    pub redis: Packages,
    /// What the firewall is measured beside.
    pub nginx: Packages,
    /// What a Kubernetes node runs beside Kubernetes.
    pub node: Packages,
    /// The browser that single sign-on is tested with.
    pub chromium: Packages,
    /// What reads metrics and rules.
    pub prometheus: Packages,
    /// What dashboards are compared with.
    pub grafana: Wheel,
    /// The OpenID provider that single sign-on is tested with.
    pub oidc_provider: Npm,
}

/// A tool that comes as a Python wheel.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Name of the package in the Python index.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Size of the download in MB, for the progress line.
    pub size_mb: u32,
    /// SHA-256 of the wheel, one for each machine type.
    pub sha256: Vec<String>,
}

/// The Go toolchain, and the oldest one on PATH that serves as well.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Go {
    /// Where to get it.
    pub wheel: Wheel,
    /// Oldest acceptable version, as `1.24`.
    pub minimum: String,
}

/// A tool as Debian ships it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// The packages to unpack: the programs and the libraries that a small Debian lacks.
    pub packages: Vec<String>,
}

/// A program for Node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Npm {
    /// Name of the package.
    pub package: String,
    /// Its exact version.
    pub version: String,
}

/// The pinned versions.
pub fn versions() -> &'static Versions {
    static VERSIONS: OnceLock<Versions> = OnceLock::new();
    VERSIONS.get_or_init(|| {
        toml::from_str(include_str!("../../../../versions.toml"))
            .expect("versions.toml is checked by every test of this crate")
    })
}

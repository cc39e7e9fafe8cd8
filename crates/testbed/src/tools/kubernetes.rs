//! Programs that are built from Go modules: Kubernetes and what belongs to it (`crates/testbed/go`), and the gateway that ours
//! is measured beside (`crates/testbed/go-peer`), each pinned by one `go.mod`.
//!
//! Each program is a cache entry of its own, so whoever needs only an API server does not build a kubelet. The name of an entry
//! ends with a hash of the pins: a changed version is a new entry. The first build takes minutes; Go's own cache makes later ones
//! quick.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::module::{Build, Module};

const CLUSTER: Module = Module {
    sources: &[
        ("go.mod", include_str!("../../go/go.mod")),
        ("go.sum", include_str!("../../go/go.sum")),
        ("coredns/main.go", include_str!("../../go/coredns/main.go")),
        ("pause/main.go", include_str!("../../go/pause/main.go")),
    ],
};

const PEER: Module = Module {
    sources: &[("go.mod", include_str!("../../go-peer/go.mod")), ("go.sum", include_str!("../../go-peer/go.sum"))],
};

/// Small programs.
const LINKER_FLAGS: &str = "-s -w";

/// Where the Kubernetes programs look for their own version.
const VERSION_PACKAGES: [&str; 2] = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// A program that is built from a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Program {
    /// The conformance tests of the Gateway API.
    Conformance,
    CoreDns,
    /// The echo server of the Gateway API's conformance tests.
    EchoBasic,
    /// The gateway that ours is measured beside.
    EnvoyGateway,
    Etcd,
    KubeApiserver,
    KubeControllerManager,
    KubeProxy,
    KubeScheduler,
    Kubectl,
    Kubelet,
    /// Plays kubelet for nodes and pods that are only numbers.
    Kwok,
    /// What holds a pod's namespaces open.
    Pause,
}

impl Program {
    /// Its name, and the package that it is built from.
    fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Conformance => ("conformance", "sigs.k8s.io/gateway-api/conformance"),
            Self::CoreDns => ("coredns", "./coredns"),
            Self::EchoBasic => ("echo-basic", "sigs.k8s.io/gateway-api/conformance/echo-basic"),
            Self::EnvoyGateway => ("envoy-gateway", "github.com/envoyproxy/gateway/cmd/envoy-gateway"),
            Self::Etcd => ("etcd", "go.etcd.io/etcd/server/v3"),
            Self::KubeApiserver => ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            Self::KubeControllerManager => ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            Self::KubeProxy => ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            Self::KubeScheduler => ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            Self::Kubectl => ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
            Self::Kubelet => ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            Self::Kwok => ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
            Self::Pause => ("pause", "./pause"),
        }
    }

    fn make(self) -> &'static [&'static str] {
        if self == Self::Conformance { &["test", "-c"] } else { &["build"] }
    }
}

/// The executable of a program, built if it is not in the cache.
pub fn kubernetes(program: Program) -> Result<PathBuf> {
    let (name, package) = program.source();
    let (module, linker_flags) = match program {
        Program::EnvoyGateway => (PEER, LINKER_FLAGS.to_owned()),
        _ => (CLUSTER, linker_flags()?),
    };
    module.build(&Build { name, package, make: program.make(), linker_flags: &linker_flags })
}

/// The version of a pinned module, as `v1.36.3`.
pub fn module_version(module: &str) -> Result<&'static str> {
    pinned(module).map(|(_, version)| version)
}

/// A copy of a directory of a pinned module, such as the CRDs of the Gateway API.
pub fn module_dir(module: &str, dir: &str) -> Result<PathBuf> {
    let (by, version) = pinned(module)?;
    by.dir(module, version, dir)
}

fn pinned(module: &str) -> Result<(Module, &'static str)> {
    let found = [CLUSTER, PEER].into_iter().find_map(|by| by.version(module).map(|version| (by, version)));
    found.with_context(|| format!("no go.mod of crates/testbed names {module}"))
}

/// Programs that know their version. Nothing in them may depend on the day they were built.
fn linker_flags() -> Result<String> {
    let version = module_version("k8s.io/kubernetes")?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut flags = LINKER_FLAGS.to_owned();
    for package in VERSION_PACKAGES {
        for (name, value) in [
            ("gitVersion", version),
            ("gitMajor", major),
            ("gitMinor", minor),
            ("gitTreeState", "clean"),
            ("buildDate", "1970-01-01T00:00:00Z"),
        ] {
            flags += &format!(" -X {package}.{name}={value}");
        }
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_go_mod() {
        assert!(module_version("k8s.io/kubernetes").unwrap().starts_with("v1."));
        assert!(module_version("sigs.k8s.io/gateway-api").unwrap().starts_with("v1."));
        module_version("example.com/nothing").unwrap_err();
        assert!(linker_flags().unwrap().contains("gitMajor=1 "));
    }

    #[test]
    fn the_crds_come_from_the_module() {
        let dir = module_dir("sigs.k8s.io/gateway-api", "config/crd/standard").unwrap();
        assert!(dir.join("gateway.networking.k8s.io_gateways.yaml").is_file());
        assert!(!dir.join("module").exists());
        module_dir("sigs.k8s.io/gateway-api", "config/no-such").unwrap_err();
    }
}

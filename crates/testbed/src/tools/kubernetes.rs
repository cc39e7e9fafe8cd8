//! Kubernetes and what belongs to it, built from Go modules that one `go.mod` pins (`crates/testbed/go`).
//!
//! Each program is a cache entry of its own, so whoever needs only an API server does not build a kubelet. The name of an entry
//! ends with a hash of the pins: a changed version is a new entry. The first build takes minutes; Go's own cache makes later ones
//! quick.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::cache;
use crate::progress;

/// The module as compiled in: path below its directory, and content.
const SOURCES: &[(&str, &str)] = &[
    ("go.mod", include_str!("../../go/go.mod")),
    ("go.sum", include_str!("../../go/go.sum")),
    ("coredns/main.go", include_str!("../../go/coredns/main.go")),
    ("pause/main.go", include_str!("../../go/pause/main.go")),
];

/// Where the Kubernetes programs look for their own version.
const VERSION_PACKAGES: [&str; 2] = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"];

/// A program that is built from the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Program {
    /// The conformance tests of the Gateway API.
    Conformance,
    CoreDns,
    /// The echo server of the Gateway API's conformance tests.
    EchoBasic,
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

    /// What go is told to make: a program, or one of a package's tests.
    fn make(self) -> &'static [&'static str] {
        if self == Self::Conformance { &["test", "-c"] } else { &["build"] }
    }
}

/// The executable of a program, built if it is not in the cache.
pub fn kubernetes(program: Program) -> Result<PathBuf> {
    let (name, package) = program.source();
    let dir = cache::entry(&format!("{name}-{}", pin()), |dir| {
        progress::step(&format!("{name}: building (the first time takes minutes)"), || {
            with_sources(dir, SOURCES, |sources| {
                let mut build = go(sources)?;
                build
                    .args(program.make())
                    .args(["-trimpath", "-ldflags", &linker_flags()?, "-o"])
                    .arg(dir.join(name))
                    .arg(package);
                run(&mut build).map(drop)
            })
        })
    })?;
    Ok(dir.join(name))
}

/// The version of a pinned module, as `v1.36.3`.
pub fn module_version(module: &str) -> Result<&'static str> {
    let find = |line: &'static str| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        if words.next() == Some(module) { words.next().filter(|word| word.starts_with('v')) } else { None }
    };
    let found = SOURCES[0].1.lines().find_map(find);
    found.with_context(|| format!("crates/testbed/go/go.mod does not name {module}"))
}

/// A copy of a directory of a pinned module, such as the CRDs of the Gateway API.
pub fn module_dir(module: &str, dir: &str) -> Result<PathBuf> {
    let leaf = module.rsplit('/').next().unwrap_or(module);
    let name = format!("{leaf}-{}-{}", dir.replace('/', "-"), module_version(module)?);
    cache::entry(&name, |into| {
        with_sources(into, SOURCES, |sources| {
            run(go(sources)?.args(["mod", "download", module]))?;
            let listed = run(go(sources)?.args(["list", "-m", "-f", "{{.Dir}}", module]))?;
            let from = Path::new(listed.trim()).join(dir);
            copy_files(&from, into).with_context(|| format!("{module} has no {dir}"))
        })
    })
}

/// Lays a module's files into a directory below `dir` for the time of `work`.
pub(super) fn with_sources<T>(dir: &Path, files: &[(&str, &str)], work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let sources = dir.join("module");
    for (path, content) in files {
        let file = sources.join(path);
        fs::create_dir_all(file.parent().unwrap_or(&sources))?;
        fs::write(file, content)?;
    }
    let done = work(&sources)?;
    fs::remove_dir_all(&sources)?;
    Ok(done)
}

pub(super) fn go(sources: &Path) -> Result<Command> {
    let mut command = Command::new(super::go()?);
    // The pins are complete: nothing may change them, and no setting of the caller may.
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOWORK", "off");
    command.current_dir(sources);
    Ok(command)
}

pub(super) fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Small programs that know their version. Nothing in them may depend on the day they were built.
fn linker_flags() -> Result<String> {
    let version = module_version("k8s.io/kubernetes")?;
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mut flags = "-s -w".to_owned();
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

/// Changes with every pin.
fn pin() -> &'static str {
    static PIN: OnceLock<String> = OnceLock::new();
    PIN.get_or_init(|| cache::key(&SOURCES.iter().flat_map(|(path, content)| [*path, *content]).collect::<String>()))
}

/// Copies the files of a directory and below. The module cache is read-only; the copies are not.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
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

//! etcd, the API server, the controllers, the scheduler, and kwok, which plays kubelet for what is only a number.

use anyhow::Result;

use super::credentials::Credentials;
use super::namespaces::Inside;
use super::net::Net;
use super::place::Place;
use crate::process::{Process, Spec};
use crate::tools::{Program, kubernetes, module_dir};

pub(super) const ETCD_PORT: u16 = 2379;
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";

/// What every component needs to know.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) place: &'a Place,
    pub(super) inside: Inside,
    pub(super) net: Net,
    pub(super) credentials: &'a Credentials,
    /// Whether the API server writes down what it is asked for.
    pub(super) audited: bool,
}

impl Parts<'_> {
    /// A program of Kubernetes or beside it, to be started inside.
    pub(super) fn program(&self, program: Program) -> Result<Spec> {
        Ok(self.inside.daemon(kubernetes(program)?, self.place))
    }

    /// The flags by which a component reaches the API server and lets itself be asked.
    fn member(&self, program: Program, name: &str) -> Result<Spec> {
        let config = self.credentials.file(&format!("{name}.conf"));
        let config_flags = ["kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"];
        Ok(self
            .program(program)?
            .args(config_flags.map(|flag| format!("--{flag}={config}")))
            .args(["--bind-address=127.0.0.1", "--leader-elect=false"])
            .arg(format!("--cert-dir={}", self.credentials.file(""))))
    }

    fn services(&self) -> String {
        let (v4, v6) = self.net.services();
        format!("--service-cluster-ip-range={v4},{v6}")
    }

    pub(super) fn etcd(&self) -> Result<Process> {
        self.program(Program::Etcd)?
            .arg(format!("--data-dir={}", self.place.dir().join("etcd").display()))
            // A machine that loses power loses the cluster with it.
            .args(["--unsafe-no-fsync", "--log-level=warn"])
            .args(["listen-client-urls", "advertise-client-urls"].map(|flag| format!("--{flag}={ETCD}")))
            .args(["listen-peer-urls", "initial-advertise-peer-urls"].map(|flag| format!("--{flag}={ETCD_PEERS}")))
            .arg(format!("--initial-cluster=default={ETCD_PEERS}"))
            .start()
    }

    pub(super) fn apiserver(&self) -> Result<Process> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.credentials.file(name));
        self.program(Program::KubeApiserver)?
            .arg(format!("--etcd-servers={ETCD}"))
            .arg(format!("--advertise-address={}", self.net.node().0))
            .arg(self.services())
            .args([
                file("tls-cert-file", "server.crt"),
                file("tls-private-key-file", "server.key"),
                file("client-ca-file", "ca.crt"),
                file("kubelet-client-certificate", "admin.crt"),
                file("kubelet-client-key", "admin.key"),
                file("service-account-key-file", "tokens.pub"),
                file("service-account-signing-key-file", "tokens.key"),
                file("requestheader-client-ca-file", "ca.crt"),
                file("cert-dir", ""),
            ])
            // The authority of front proxies is that of all clients here: only one name may speak for others.
            .arg("--requestheader-allowed-names=front-proxy")
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .args(["--secure-port=6443", "--kubelet-preferred-address-types=InternalIP", "--allow-privileged=true"])
            .args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"])
            .args(self.audit())
            .start()
    }

    fn audit(&self) -> Vec<String> {
        let policy = format!("--audit-policy-file={}", self.place.audit_policy().display());
        let log = format!("--audit-log-path={}", self.place.audit_log().display());
        if self.audited { vec![policy, log] } else { Vec::new() }
    }

    pub(super) fn controller_manager(&self) -> Result<Process> {
        let file = |flag: &str, name: &str| format!("--{flag}={}", self.credentials.file(name));
        self.member(Program::KubeControllerManager, "kube-controller-manager")?
            .args([
                file("service-account-private-key-file", "tokens.key"),
                file("root-ca-file", "ca.crt"),
                file("cluster-signing-cert-file", "ca.crt"),
                file("cluster-signing-key-file", "ca.key"),
            ])
            .arg(self.services())
            // At the usual 20 calls a second, a start with an account for each controller takes four seconds more.
            .args(["--use-service-account-credentials=true", "--kube-api-qps=500", "--kube-api-burst=1000"])
            .args([
                "--concurrent-service-endpoint-syncs=10",
                "--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
            ])
            .start()
    }

    pub(super) fn scheduler(&self) -> Result<Process> {
        self.member(Program::KubeScheduler, "kube-scheduler")?
            .args(["--kube-api-qps=500", "--kube-api-burst=1000"])
            .start()
    }

    /// Manages all nodes that somebody creates, and brings the pods on them to life at once.
    pub(super) fn kwok(&self) -> Result<Process> {
        let stages = module_dir("sigs.k8s.io/kwok", "kustomize/stage")?;
        let stage = |path: &str| format!("--config={}", stages.join(path).display());
        self.program(Program::Kwok)?
            .arg(format!("--kubeconfig={}", self.credentials.file("admin.conf")))
            .arg(format!("--node-ip={}", self.net.node().0))
            .arg(format!("--cidr={}", self.net.pods().0))
            .args(["--manage-all-nodes=true", "--node-lease-duration-seconds=40", "--server-address=127.0.0.1:10247"])
            .args(["node/fast/node-initialize.yaml", "pod/fast/pod-ready.yaml"].map(stage))
            .args(["pod/fast/pod-complete.yaml", "pod/fast/pod-delete.yaml"].map(stage))
            .start()
    }
}

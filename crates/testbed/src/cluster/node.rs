//! What makes a node of it: containerd with a bridge for the pods, the kubelet, kube-proxy.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::cgroups;
use super::control_plane::Parts;
use crate::process::Process;
use crate::tools::Program;

/// The name under which images::pause() is imported, and containerd looks for it.
pub(super) const PAUSE_IMAGE: &str = "registry.k8s.io/pause:3.10.1";

impl Parts<'_> {
    fn write(&self, name: &str, content: &str) -> Result<PathBuf> {
        let path = self.place.dir().join("etc").join(name);
        fs::create_dir_all(path.parent().unwrap_or(self.place.dir()))?;
        fs::write(&path, content)?;
        Ok(path)
    }

    pub(super) fn containerd(&self) -> Result<Process> {
        let network = self.write("cni/10-bridge.conflist", &self.bridge())?;
        let network = network.parent().unwrap_or(&network).display().to_string();
        let config = self.write("containerd.toml", &containerd_config(&network))?;
        self.inside.daemon("/usr/bin/containerd", self.place).arg("--config").arg(config).start()
    }

    /// Pods hang on a bridge, with an address of each family; `portmap` serves `hostPort`.
    fn bridge(&self) -> String {
        let (v4, v6) = self.net.pods();
        let addresses = json!({
            "type": "host-local",
            "dataDir": self.place.dir().join("addresses"),
            "ranges": [[{ "subnet": v4 }], [{ "subnet": v6 }]],
            "routes": [{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }],
        });
        let bridge =
            json!({ "type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true, "ipam": addresses });
        let ports = json!({ "type": "portmap", "capabilities": { "portMappings": true } });
        json!({ "cniVersion": "1.0.0", "name": self.place.name(), "plugins": [bridge, ports] }).to_string()
    }

    pub(super) fn kubelet(&self) -> Result<Process> {
        let resolv = self.write("resolv.conf", "nameserver 127.0.0.1\n")?;
        let (v4, v6) = self.net.node();
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            // Version 1 is what the machine has; Kubernetes refuses it unless told otherwise.
            "failCgroupV1": false,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroups::path(self.place.name()),
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "authentication": {
                "anonymous": { "enabled": false },
                "webhook": { "enabled": true },
                "x509": { "clientCAFile": self.credentials.file("ca.crt") },
            },
            "authorization": { "mode": "Webhook" },
            "clusterDNS": [self.net.dns()],
            "clusterDomain": "cluster.local",
            "resolvConf": resolv,
            "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            "failSwapOn": false,
            "serializeImagePulls": false,
            // Never: nobody could pull our images again.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%", "nodefs.inodesFree": "1%",
            },
            "maxPods": 250,
            "registryPullQPS": 0,
            "eventRecordQPS": 0,
            "kubeAPIQPS": 200,
            "kubeAPIBurst": 400,
            "oomScoreAdj": 0,
        });
        let config = self.write("kubelet.json", &config.to_string())?;
        self.program(Program::Kubelet)?
            .arg(format!("--config={}", config.display()))
            .arg(format!("--kubeconfig={}", self.credentials.file("kubelet.conf")))
            .arg(format!("--hostname-override={}", self.place.name()))
            .arg(format!("--node-ip={v4},{v6}"))
            .start()
    }

    pub(super) fn proxy(&self) -> Result<Process> {
        let (v4, v6) = self.net.pods();
        let config = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "hostnameOverride": self.place.name(),
            "clusterCIDR": format!("{v4},{v6}"),
            "clientConnection": { "kubeconfig": self.credentials.file("kube-proxy.conf") },
            // These belong to the whole machine, not to a network namespace.
            "conntrack": { "maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s" },
            "nftables": { "minSyncPeriod": "100ms" },
            "healthzBindAddress": "127.0.0.1:10256",
            "metricsBindAddress": "127.0.0.1:10249",
        });
        let config = self.write("kube-proxy.json", &config.to_string())?;
        self.program(Program::KubeProxy)?.arg(format!("--config={}", config.display())).start()
    }
}

fn containerd_config(network: &str) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
disable_apparmor = true
# Only with CAP_SYS_RESOURCE may one make oneself less likely to be killed when memory runs out.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{network}"

[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "/usr/sbin/runc"
SystemdCgroup = false
"#
    )
}

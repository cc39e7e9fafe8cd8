//! `provider.kubernetes.listen`: where the controller listens for the cluster.

use serde::{Deserialize, Serialize};

/// Where the controller listens for the cluster, beside the admin page and the server that Envoys get their configuration
/// from. Each is a host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesListen {
    /// For probes: `/livez` and `/readyz`; 0.0.0.0:8081 unless set.
    #[serde(default = "health")]
    pub health: String,
    /// For Prometheus: `/metrics`; 0.0.0.0:19001 unless set.
    #[serde(default = "metrics")]
    pub metrics: String,
    /// For the API server: the validating webhook, over TLS. Nothing listens unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

impl Default for KubernetesListen {
    fn default() -> Self {
        Self { health: health(), metrics: metrics(), webhook: None }
    }
}

fn health() -> String {
    "0.0.0.0:8081".to_owned()
}

fn metrics() -> String {
    "0.0.0.0:19001".to_owned()
}

impl KubernetesListen {
    pub(super) fn validate(&self, found: &mut Vec<String>) {
        let fields =
            [("health", Some(&self.health)), ("metrics", Some(&self.metrics)), ("webhook", self.webhook.as_ref())];
        for (field, address) in fields {
            if let Some(address) = address.filter(|address| !is_address(address)) {
                found.push(format!(
                    "provider.kubernetes.listen.{field}: {address:?} is not a host and a port, such as 0.0.0.0:8081 or \
                     [::]:8081"
                ));
            }
        }
    }
}

/// Whether it is a host and a port.
pub(super) fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    !host.is_empty() && !is_bare_v6 && port.parse::<u16>().is_ok()
}

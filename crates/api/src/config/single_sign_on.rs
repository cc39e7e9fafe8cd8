//! The single sign-on service, which serves `SecurityPolicy.oidc`: where it is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::kubernetes_listen::is_address;

/// The single sign-on service that Envoys ask about requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SingleSignOn {
    /// Where it is; in a cluster `portcullis-oidc` in the controller's namespace unless set, which it and Envoys reach by TLS
    /// with the controller's certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<SingleSignOnService>,
    /// Whose logins it serves: `Annotated` (unless set), or `All`, so that policies that know nothing of it need no change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<ServedPolicies>,
    /// Has the controller run it, in a cluster, while a policy needs it; how, says `provider.kubernetes.singleSignOnDeployment`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<SingleSignOnRun>,
    /// Host and port at which the service gets its profiles: the server of `rateLimit.configAddress`, with the same defaults.
    /// On a machine it gets them by the Unix socket `oidc.sock` in the runtime directory, and at this address too where it is
    /// set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_address: Option<String>,
}

/// Policies with `oidc` whose people log in by the single sign-on service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServedPolicies {
    /// Those with the annotation `portcullis.dev/oidc: service`.
    Annotated,
    /// Those without the annotation, too.
    All,
}

/// The service, as the controller runs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SingleSignOnRun {
    /// The service's own configuration, in its words, without what the controller says: `grpc`, `http`, `admin` and `xds`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
}

/// What of the service's configuration the controller says.
const OURS: [&str; 4] = ["grpc", "http", "admin", "xds"];

/// A service by name or address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SingleSignOnService {
    /// A DNS name or an address.
    pub host: String,
    /// The port; 9191 unless set.
    #[serde(default = "port")]
    pub port: u16,
}

fn port() -> u16 {
    9191
}

impl SingleSignOn {
    /// Whether it serves policies that do not name it, too.
    pub fn serves_all(&self) -> bool {
        self.policies == Some(ServedPolicies::All)
    }

    /// `in_cluster`: whether there is a namespace to look for it in. `other` is the address at which the rate limit service
    /// gets its configuration.
    pub(super) fn validate(&self, in_cluster: bool, other: Option<&str>, found: &mut Vec<String>) {
        match &self.service {
            None if !in_cluster => found.push(
                "singleSignOn: names no service; start portcullis-oidc and name its host and port in singleSignOn.service"
                    .to_owned(),
            ),
            Some(service) if service.host.is_empty() => {
                found.push("singleSignOn.service.host: is empty; write a name or an address".to_owned());
            }
            _ => {}
        }
        if let Some(run) = &self.run {
            self.validate_run(run, in_cluster, found);
        }
        let Some(address) = &self.config_address else { return };
        if !is_address(address) {
            found.push(format!(
                "singleSignOn.configAddress: {address:?} is not a host and a port, such as 0.0.0.0:18001"
            ));
        }
        if other.is_some_and(|other| other != address) {
            let message = "singleSignOn.configAddress: differs from rateLimit.configAddress, and both are one server; leave \
                           one of them out";
            found.push(message.to_owned());
        }
    }

    fn validate_run(&self, run: &SingleSignOnRun, in_cluster: bool, found: &mut Vec<String>) {
        if !in_cluster {
            found.push("singleSignOn.run: is for a cluster; start portcullis-oidc and name it in `service`".to_owned());
        }
        if self.service.is_some() {
            found.push("singleSignOn.run: stands beside `service`; set one of them".to_owned());
        }
        if let Some(name) = OURS.into_iter().find(|name| run.settings.contains_key(*name)) {
            found.push(format!("singleSignOn.run.settings.{name}: is said by the controller; leave it out"));
        }
    }
}

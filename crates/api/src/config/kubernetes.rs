//! The provider Kubernetes: what is watched, how hard the API server is asked, and who writes.

use std::time;

use serde::{Deserialize, Serialize};

use super::{KubernetesDeploy, KubernetesListen, ShutdownManager, strict};
use crate::{
    LabelSelector,
    ext::{
        Duration,
        envoy_proxy::provider::kubernetes::{EnvoyDeployment, EnvoyHpa, EnvoyPdb},
    },
};

/// Resources from the API server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Kubernetes {
    /// The namespaces whose resources are read; all unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    /// How one of several controllers is chosen to write.
    #[serde(default)]
    pub leader_election: LeaderElection,
    /// How the API server is asked.
    #[serde(default)]
    pub client: Client,
    /// Where the controller listens for the cluster.
    #[serde(default)]
    pub listen: KubernetesListen,
    /// Where the objects of fleets are put.
    #[serde(default)]
    pub deploy: KubernetesDeploy,
    /// The container beside Envoy that lets it finish what it has before it ends.
    #[serde(default)]
    pub shutdown_manager: ShutdownManager,
    /// How the rate limit service is run (`rateLimit.backend`).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub rate_limit_deployment: Option<EnvoyDeployment>,
    /// Scales it by load; then `rateLimitDeployment.replicas` does not count.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub rate_limit_hpa: Option<EnvoyHpa>,
    /// How many of it may be evicted at once.
    #[serde(default, rename = "rateLimitPDB", skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub rate_limit_pdb: Option<EnvoyPdb>,
    /// How the single sign-on service is run (`singleSignOn.run`). Several replicas need sessions in Redis or in cookies.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub single_sign_on_deployment: Option<EnvoyDeployment>,
    /// Scales it by load; then `singleSignOnDeployment.replicas` does not count.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub single_sign_on_hpa: Option<EnvoyHpa>,
    /// How many of it may be evicted at once.
    #[serde(default, rename = "singleSignOnPDB", skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub single_sign_on_pdb: Option<EnvoyPdb>,
}

/// The namespaces whose resources are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watch {
    /// By name or by label.
    pub r#type: WatchType,
    /// With `type: Namespaces`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// With `type: NamespaceSelector`: the labels that a namespace has to have.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "strict")]
    pub namespace_selector: Option<LabelSelector>,
}

/// How namespaces are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WatchType {
    /// By name. Nothing of other namespaces is asked for, so a Role in each of them is enough, and a ClusterRole for
    /// GatewayClasses.
    Namespaces,
    /// By label.
    NamespaceSelector,
}

/// How one of several controllers is chosen to write: all of them serve Envoys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LeaderElection {
    /// How long a leader that is not heard of stays leader; 15 s unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_duration: Option<Duration>,
    /// How long a leader tries to stay leader before it stops writing; 10 s unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_deadline: Option<Duration>,
    /// How often everybody looks; 2 s unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_period: Option<Duration>,
    /// Whether this controller writes without asking: for one that is alone.
    #[serde(default)]
    pub disable: bool,
}

/// How the API server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Client {
    /// How often.
    #[serde(default)]
    pub rate_limit: ClientRateLimit,
}

/// How often the API server is asked. Its own priority and fairness protects it from all its clients together, so this
/// bounds what a fault of ours may cost and not the writing of many statuses at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientRateLimit {
    /// Requests a second, averaged over a burst; 500 unless set.
    #[serde(default = "qps")]
    pub qps: u32,
    /// Requests that may come at once; 1000 unless set.
    #[serde(default = "burst")]
    pub burst: u32,
}

impl Default for ClientRateLimit {
    fn default() -> Self {
        Self { qps: qps(), burst: burst() }
    }
}

fn qps() -> u32 {
    500
}

fn burst() -> u32 {
    1000
}

/// The times of a leader election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderTimes {
    /// How long a leader that is not heard of stays leader.
    pub lease: time::Duration,
    /// How long a leader tries to stay leader.
    pub renew: time::Duration,
    /// How often everybody looks.
    pub retry: time::Duration,
}

impl LeaderElection {
    /// The times, with defaults for those that are not set.
    pub fn times(&self) -> LeaderTimes {
        let time = |value: &Option<Duration>, default| {
            let parsed = value.as_ref().and_then(|value| value.parse().ok());
            parsed.unwrap_or(time::Duration::from_secs(default))
        };
        LeaderTimes {
            lease: time(&self.lease_duration, 15),
            renew: time(&self.renew_deadline, 10),
            retry: time(&self.retry_period, 2),
        }
    }

    fn validate(&self, found: &mut Vec<String>) {
        const FIELD: &str = "provider.kubernetes.leaderElection";
        let fields = [
            ("leaseDuration", &self.lease_duration),
            ("renewDeadline", &self.renew_deadline),
            ("retryPeriod", &self.retry_period),
        ];
        let before = found.len();
        for (field, value) in fields {
            if let Some(Err(error)) = value.as_ref().map(Duration::parse) {
                found.push(format!("{FIELD}.{field}: {error}"));
            }
        }
        if found.len() > before {
            return;
        }
        let LeaderTimes { lease, renew, retry } = self.times();
        if lease.as_secs() < 1 {
            found.push(format!("{FIELD}.leaseDuration: is less than a second; a Lease counts in seconds"));
        }
        if renew >= lease {
            found.push(format!(
                "{FIELD}.renewDeadline: {renew:?} is not shorter than leaseDuration {lease:?}: two would write at once"
            ));
        }
        if retry.is_zero() || retry * 2 > renew {
            found.push(format!(
                "{FIELD}.retryPeriod: {retry:?} has to be more than zero and at most half of renewDeadline {renew:?}"
            ));
        }
    }
}

impl Kubernetes {
    /// Whether it says how the rate limit service is run.
    pub(super) fn shapes_rate_limit(&self) -> bool {
        self.rate_limit_deployment.is_some() || self.rate_limit_hpa.is_some() || self.rate_limit_pdb.is_some()
    }

    /// Whether it says how the single sign-on service is run.
    pub(super) fn shapes_single_sign_on(&self) -> bool {
        self.single_sign_on_deployment.is_some()
            || self.single_sign_on_hpa.is_some()
            || self.single_sign_on_pdb.is_some()
    }

    /// What resource definitions would refuse.
    fn validate_services(&self, found: &mut Vec<String>) {
        let services = [
            ("rateLimit", &self.rate_limit_hpa, &self.rate_limit_pdb),
            ("singleSignOn", &self.single_sign_on_hpa, &self.single_sign_on_pdb),
        ];
        for (service, hpa, pdb) in services {
            if hpa.as_ref().is_some_and(|hpa| hpa.max_replicas < hpa.min_replicas.unwrap_or(1)) {
                found.push(format!(
                    "provider.kubernetes.{service}Hpa.maxReplicas: is less than minReplicas, which is 1 unless set"
                ));
            }
            if pdb.as_ref().is_some_and(|pdb| pdb.min_available.is_some() == pdb.max_unavailable.is_some()) {
                found.push(format!("provider.kubernetes.{service}PDB: set one of `minAvailable` and `maxUnavailable`"));
            }
        }
    }

    pub(super) fn validate(&self, found: &mut Vec<String>) {
        if let Some(watch) = &self.watch {
            watch.validate(found);
        }
        self.leader_election.validate(found);
        self.listen.validate(found);
        self.validate_services(found);
        let ClientRateLimit { qps, burst } = self.client.rate_limit;
        for (field, value) in [("qps", qps), ("burst", burst)] {
            if value == 0 {
                found.push(format!(
                    "provider.kubernetes.client.rateLimit.{field}: is 0; write how many, or leave it out"
                ));
            }
        }
    }
}

impl Watch {
    fn validate(&self, found: &mut Vec<String>) {
        const FIELD: &str = "provider.kubernetes.watch";
        match self.r#type {
            WatchType::Namespaces => {
                if self.namespaces.is_empty() {
                    found
                        .push(format!("{FIELD}.namespaces: is empty; name at least one, or leave `watch` out for all"));
                }
                if self.namespaces.iter().any(String::is_empty) {
                    found.push(format!("{FIELD}.namespaces: has an empty name"));
                }
                if self.namespace_selector.is_some() {
                    found.push(format!("{FIELD}.namespaceSelector: is for `type: NamespaceSelector` only"));
                }
            }
            WatchType::NamespaceSelector => {
                if !self.namespaces.is_empty() {
                    found.push(format!("{FIELD}.namespaces: is for `type: Namespaces` only"));
                }
                self.validate_selector(found);
            }
        }
    }

    fn validate_selector(&self, found: &mut Vec<String>) {
        const FIELD: &str = "provider.kubernetes.watch.namespaceSelector";
        let Some(selector) = &self.namespace_selector else {
            found.push(format!("{FIELD}: is missing; `type: NamespaceSelector` needs it"));
            return;
        };
        for (index, expression) in selector.match_expressions.iter().flatten().enumerate() {
            let values = expression.values.as_deref().unwrap_or_default();
            let fits = match expression.operator.as_str() {
                "In" | "NotIn" => !values.is_empty(),
                "Exists" | "DoesNotExist" => values.is_empty(),
                _ => false,
            };
            if !fits {
                found.push(format!(
                    "{FIELD}.matchExpressions[{index}]: write the operator In or NotIn with values, or Exists or \
                     DoesNotExist without"
                ));
            }
        }
    }
}

//! What a route asks for beside being routed. One field a feature: `lower` takes the struct apart without `..`, so that
//! a field that nobody lowers does not compile.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use api::{ObjectRef, ext, gateway::Cors};

use crate::{ClusterName, SecretName, route::HeaderMutation};

/// What a route asks for beside being routed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    /// Headers of the request are changed.
    pub request_headers: HeaderMutation,
    /// Headers of the answer are changed.
    pub response_headers: HeaderMutation,
    /// Which origins' pages may read the answer.
    pub cors: Option<Arc<Cors>>,
    /// Whoever is not logged in is sent to log in.
    pub login: Option<Arc<Login>>,
    /// A service decides who may pass.
    pub ext_auth: Option<Arc<ExtAuth>>,
    /// Services see and change requests and answers, in this order.
    pub ext_proc: Vec<Arc<ExtProc>>,
    /// A service counts.
    pub rate_limit: Option<Arc<GlobalRateLimit>>,
    /// A credential is put into the request.
    pub credential: Option<Arc<CredentialInjection>>,
}

/// The single sign-on service has people log in.
#[derive(Clone, Debug, PartialEq)]
pub struct Login {
    /// Where it was asked for.
    pub source: ObjectRef,
    /// The service.
    pub cluster: ClusterName,
    /// The name of the profile, which tells the service what to do.
    pub profile: String,
    /// The name of the provider, with everything that is asked there in our name: who has logged in there is logged in
    /// wherever it is asked for.
    pub provider: String,
    /// Our id at the provider.
    pub client_id: String,
    /// Our secret at the provider.
    pub client_secret: Hidden,
    /// Where the provider sends people back to: a URL, or a path of the host where the login began.
    pub callback: Option<String>,
    /// What else is asked for.
    pub settings: ext::security_policy::oidc::Oidc,
}

/// A secret, which does not show in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A service decides who may pass.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtAuth {
    /// Where it was asked for: names the filter, and what it is called in statistics.
    pub source: ObjectRef,
    /// How the service is spoken to.
    pub service: ExtAuthService,
    /// The request's headers that are sent (all, for gRPC, when empty).
    pub request_headers: Vec<String>,
    /// How much of the body is sent, in bytes. `None`: none.
    pub body_bytes: Option<u32>,
    /// Pass when the service does not answer.
    pub fail_open: bool,
    /// How long the service may take.
    pub timeout: Duration,
    /// Choose the route again after the service changed headers.
    pub recompute_route: bool,
    /// The status of the answer when the service does not answer; 403 unless set.
    pub status_on_error: Option<u16>,
    /// Tell the service which route it is about.
    pub include_route_metadata: bool,
    /// Told to the service with each request.
    pub context: BTreeMap<String, String>,
}

/// How an authorization service is spoken to.
#[derive(Clone, Debug, PartialEq)]
pub enum ExtAuthService {
    /// `envoy.service.auth.v3.Authorization`.
    Grpc {
        /// The service.
        cluster: ClusterName,
        /// The `:authority` that is sent.
        authority: String,
    },
    /// A request for each request; 200 lets it pass.
    Http {
        /// The service.
        cluster: ClusterName,
        /// The `Host` that is sent.
        authority: String,
        /// Put before the request's path.
        path: String,
        /// Sent instead of the request's path.
        path_override: Option<String>,
        /// The answer's headers that are put into the request; `None` for all but those of the connection and its body.
        response_headers: Option<Vec<String>>,
    },
}

/// A service sees and changes requests and answers.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtProc {
    /// Where it was asked for: names the filter, with its index there.
    pub source: ObjectRef,
    /// The index among the source's processors.
    pub index: usize,
    /// The service.
    pub cluster: ClusterName,
    /// The `:authority` that is sent.
    pub authority: String,
    /// What is sent, and what happens when the service does not answer.
    pub settings: ext::envoy_extension_policy::ext_proc::ExtProc,
}

/// A service counts.
#[derive(Clone, Debug, PartialEq)]
pub struct GlobalRateLimit {
    /// Where it was asked for.
    pub source: ObjectRef,
    /// The domain of the descriptors: the gateway's name.
    pub domain: Arc<str>,
    /// The first entry of every descriptor, which sets this route (or, shared, this policy) apart.
    pub scope: String,
    /// The rules.
    pub rules: Vec<ext::backend_traffic_policy::rate_limit::RateLimitRule>,
    /// How they are counted.
    pub counting: Counting,
}

/// How a service counts, beyond what the resource has fields for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counting {
    /// The algorithm.
    pub algorithm: CountingAlgorithm,
    /// Store only hashes of values that requests bring.
    pub hash_values: bool,
}

/// The ways to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountingAlgorithm {
    /// Anew at each full unit.
    #[default]
    FixedWindow,
    /// Never more than the limit in any span of one unit.
    SlidingWindow,
    /// A bucket that fills evenly, as large as the limit unless a size is given.
    TokenBucket(Option<u32>),
}

/// A credential is put into the request.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialInjection {
    /// Where it was asked for.
    pub source: ObjectRef,
    /// The header; `Authorization` by default.
    pub header: String,
    /// Replace what the client sent.
    pub overwrite: bool,
    /// The value.
    pub secret: SecretName,
}

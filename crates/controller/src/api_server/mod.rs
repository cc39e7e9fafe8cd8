//! The way to the Kubernetes API server.
//!
//! Two clients: one that reads and writes resources, bounded by a rate, and one for the leader's Lease, whose renewal
//! must not wait behind a thousand statuses.

mod backoff;

use std::time::Duration;

use api::{Kind, config::ClientRateLimit};
use http::{Response, header::RETRY_AFTER};
use kube::{
    Client, Config,
    api::PostParams,
    client::{ClientBuilder, DynBody},
};
use tower::{
    BoxError,
    limit::RateLimitLayer,
    util::{AndThenLayer, MapResultLayer, option_layer},
};

use crate::metrics::Metrics;

pub use backoff::{Backoff, spread};

/// What our writes are known by, in `managedFields`.
pub const FIELD_MANAGER: &str = "portcullis";
/// The namespace of the controller, where it is not that of its service account.
const NAMESPACE: &str = "ENVOY_GATEWAY_NAMESPACE";

/// How long a server may keep us waiting.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The way to the API server. Clones share its connections.
#[derive(Clone)]
pub struct ApiServer {
    /// For reading and writing resources; bounded by the configured rate.
    pub client: Client,
    /// For the leader's Lease; not bounded.
    pub lease: Client,
    /// The controller's own namespace.
    pub namespace: String,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiServer").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Why there is no way to the API server. Whoever runs the controller mends it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a kubeconfig nor a service account.
    #[error("the API server is not known: run in a pod with a service account, or name a kubeconfig in KUBECONFIG")]
    Unknown(#[source] kube::config::InferConfigError),
    /// What is configured cannot be used.
    #[error("the API server's address or credentials cannot be used")]
    Unusable(#[source] kube::Error),
}

impl ApiServer {
    /// Finds the API server: by a kubeconfig, or by the pod's service account. Nothing is sent yet.
    ///
    /// # Errors
    /// There is neither, or it cannot be used.
    pub async fn find(limit: ClientRateLimit, metrics: &Metrics) -> Result<Self, ConnectError> {
        let config = Config::infer().await.map_err(ConnectError::Unknown)?;
        Self::new(config, limit, metrics)
    }

    /// The API server of a configuration.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn new(config: Config, limit: ClientRateLimit, metrics: &Metrics) -> Result<Self, ConnectError> {
        let namespace = own_namespace(&config);
        let lease = client(config.clone(), None, metrics)?;
        // A window in which a burst may be spent is as long as the rate takes to earn it.
        let window = Duration::from_secs_f64(f64::from(limit.burst) / f64::from(limit.qps.max(1)));
        let limited = RateLimitLayer::new(limit.burst.max(1).into(), window);
        Ok(Self { client: client(config, Some(limited), metrics)?, lease, namespace })
    }
}

/// A client for a command that runs once, and the controller's own namespace.
///
/// # Errors
/// There is neither a kubeconfig nor a service account, or it cannot be used.
pub async fn connect() -> Result<(Client, String), ConnectError> {
    let config = Config::infer().await.map_err(ConnectError::Unknown)?;
    let namespace = own_namespace(&config);
    Ok((Client::try_from(config).map_err(ConnectError::Unusable)?, namespace))
}

fn own_namespace(config: &Config) -> String {
    std::env::var(NAMESPACE).unwrap_or_else(|_| config.default_namespace.clone())
}

/// A client whose answers are counted, bounded by a rate if there is one.
fn client(mut config: Config, limit: Option<RateLimitLayer>, metrics: &Metrics) -> Result<Client, ConnectError> {
    // It would try again for minutes before anybody hears of it; whoever asks does so, and tells.
    config.default_retry = false;
    let metrics = metrics.clone();
    let count = move |answer: Result<Response<Box<DynBody>>, BoxError>| {
        metrics.api_call(answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        answer
    };
    let builder = ClientBuilder::try_from(config).map_err(ConnectError::Unusable)?;
    let builder = builder.with_layer(&MapResultLayer::new(count)).with_layer(&AndThenLayer::new(in_time));
    Ok(builder.with_layer(&option_layer(limit)).build())
}

/// Hands an answer on when the server may be asked again: one that is overloaded says when (`Retry-After`, in seconds). Where
/// its own queues are full, that stands nowhere else.
async fn in_time(answer: Response<Box<DynBody>>) -> Result<Response<Box<DynBody>>, BoxError> {
    let seconds = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(seconds) = seconds {
        tokio::time::sleep(Duration::from_secs(seconds).min(LONGEST_WAIT)).await;
    }
    Ok(answer)
}

/// The path of all resources of a kind, in a version and a namespace or all of them.
pub fn path(row: &Kind, version: &str, namespace: Option<&str>) -> String {
    let root = match row.group {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    };
    match namespace.filter(|namespace| !namespace.is_empty()) {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{}", row.plural),
        None => format!("{root}/{}", row.plural),
    }
}

/// How objects are created and replaced in our name.
pub fn writes() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

/// The HTTP status of an error that the API server answered with.
pub fn code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// An error in words for people: what the server said, or why it could not be asked.
pub fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => kit::tasks::chain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let path = |group, kind, namespace| path(Kind::find(group, kind).unwrap(), "v1", namespace);
        assert_eq!(path("", "Secret", Some("a")), "/api/v1/namespaces/a/secrets");
        assert_eq!(
            path("gateway.networking.k8s.io", "GatewayClass", Some("")),
            "/apis/gateway.networking.k8s.io/v1/gatewayclasses"
        );
        assert_eq!(
            path("gateway.networking.k8s.io", "HTTPRoute", None),
            "/apis/gateway.networking.k8s.io/v1/httproutes"
        );
    }
}

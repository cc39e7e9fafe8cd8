//! Rules from a control plane: state of the world by ADS, each answer taken whole or refused with the reason (NACK), and the
//! last good one in force meanwhile and while there is no connection.

use std::sync::Arc;
use std::time::Duration;

use envoy::core::Node;
use envoy::discovery::{DiscoveryRequest, DiscoveryResponse};
use envoy::rls_conf::RateLimitConfig;
use envoy::rpc::Status as RpcStatus;
use kit::Kit;
use kit::health::Gate;
use kit::pauses::Pauses;
use kit::tasks::{BoxError, chain};

use super::{Rules, compile, domain_of_proto};
use crate::decide::Limiter;
use crate::grpc::{ControlPlane, Discovery};
use crate::metrics::Metrics;
use crate::settings::XdsSettings;

/// The first pause before the stream is opened again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// `INVALID_ARGUMENT`, the code of a refused answer.
const INVALID: i32 = 3;

/// Follows a control plane until the process stops; the gate opens with the first rules.
pub(crate) async fn follow(
    kit: &Kit,
    settings: &XdsSettings,
    limiter: &Arc<Limiter>,
    metrics: &Arc<Metrics>,
    gate: Gate,
) -> Result<(), BoxError> {
    let tls = match &settings.tls {
        Some(tls) => {
            Some(kit::tls::follow_client(&kit.reloader(), "xds tls", tls.clone(), kit::tls::Protocols::Http2).await?)
        }
        None => None,
    };
    let follower = Follower {
        plane: ControlPlane(kit::grpc::channel(&settings.address, tls)?),
        node: Node { id: settings.node_id.clone(), ..Node::default() },
        limiter: Arc::clone(limiter),
        metrics: Arc::clone(metrics),
        gate,
        version: String::new(),
    };
    let shutdown = kit.shutdown.clone();
    kit.tasks.spawn("rules by xds", async move {
        shutdown.unless_stopping(follower.run()).await;
        Ok::<(), BoxError>(())
    });
    Ok(())
}

struct Follower {
    plane: ControlPlane,
    node: Node,
    limiter: Arc<Limiter>,
    metrics: Arc<Metrics>,
    gate: Gate,
    /// The version in force.
    version: String,
}

impl Follower {
    async fn run(mut self) {
        let mut pauses = Pauses::new(PAUSES.0, PAUSES.1);
        loop {
            match self.plane.open(self.request(String::new(), None)).await {
                Ok(stream) => {
                    if self.stream(stream).await {
                        pauses.restart();
                    }
                }
                Err(status) => {
                    tracing::warn!("the control plane cannot be asked for rules, trying again: {}", chain(&status))
                }
            }
            pauses.pause().await;
        }
    }

    /// Takes answers until the stream ends; whether there were any.
    async fn stream(&mut self, mut stream: Discovery) -> bool {
        let mut answered = false;
        loop {
            let response = match stream.next().await {
                Ok(Some(response)) => response,
                Ok(None) => return answered,
                Err(status) => {
                    tracing::warn!("the control plane has gone, the rules stay in force: {}", chain(&status));
                    return answered;
                }
            };
            answered = true;
            let request = self.take(response);
            stream.answer(request).await;
        }
    }

    /// Puts the rules of a response into force, or says why not.
    fn take(&mut self, response: DiscoveryResponse) -> DiscoveryRequest {
        let DiscoveryResponse { version_info, nonce, resources, .. } = response;
        match rules(&resources) {
            Ok(rules) => {
                tracing::info!(version = version_info, rules = rules.all().len(), "rules taken over");
                self.metrics.updates.with_label_values(&["ack"]).inc();
                self.limiter.set_rules(rules);
                self.version = version_info;
                self.gate.open();
                self.request(nonce, None)
            }
            Err(error) => {
                tracing::error!(
                    version = version_info,
                    "rules are not usable, the last good ones stay in force: {error}"
                );
                self.metrics.updates.with_label_values(&["nack"]).inc();
                self.request(nonce, Some(RpcStatus { code: INVALID, message: error, details: Vec::new() }))
            }
        }
    }

    fn request(&self, response_nonce: String, error_detail: Option<RpcStatus>) -> DiscoveryRequest {
        DiscoveryRequest {
            version_info: self.version.clone(),
            node: Some(self.node.clone()),
            type_url: envoy::type_url::of::<RateLimitConfig>(),
            response_nonce,
            error_detail,
            ..DiscoveryRequest::default()
        }
    }
}

/// The rules of all resources of an answer.
fn rules(resources: &[envoy::Any]) -> Result<Rules, String> {
    let (mut names, mut domains) = (Vec::new(), Vec::new());
    for resource in resources {
        let config = envoy::unpack::<RateLimitConfig>(resource)
            .ok_or_else(|| format!("a resource of type {}", resource.type_url))?
            .map_err(|error| format!("a resource that cannot be read: {error}"))?;
        names.push(config.name.clone());
        domains.push(domain_of_proto(config).map_err(|error| format!("{}: {error}", names[names.len() - 1]))?);
    }
    compile(&domains).map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{}: {problem}", names[problem.place.source]));
        lines.collect::<Vec<_>>().join("\n")
    })
}

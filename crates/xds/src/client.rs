//! The other end, for services that get their configuration from a control plane: state of the world by ADS, each answer taken
//! whole or refused with the reason (NACK), and the last good one in force meanwhile and while there is no connection.

use std::time::Duration;

use envoy::Any;
use envoy::core::Node;
use envoy::discovery::{DiscoveryRequest, DiscoveryResponse};
use envoy::rpc::Status as RpcStatus;
use kit::Kit;
use kit::net::Address;
use kit::pauses::Pauses;
use kit::tasks::{BoxError, chain};
use serde::{Deserialize, Serialize};

use crate::grpc::plane::{Discovery, Plane};

/// The first pause before the stream is opened again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// `INVALID_ARGUMENT`, the code of a refused answer.
const INVALID: i32 = 3;

/// A control plane.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// Its address. Default 127.0.0.1:18001, the controller's.
    pub address: Address,
    /// As what this service introduces itself. Default `default`.
    pub node_id: String,
    /// TLS; plain text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<kit::tls::ClientSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        let address = Address::Tcp("127.0.0.1:18001".to_owned());
        Self { address, node_id: "default".to_owned(), tls: None }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// What it is called in logs: `rules`.
    pub what: &'static str,
    /// The service that asks, as the node's `cluster`.
    pub service: &'static str,
    /// The type of the resources.
    pub type_url: &'static str,
}

/// Follows a control plane until the process stops. `take` puts all resources of an answer into force, or says why it does not:
/// each resource that is refused by its name, so that the control plane can leave it out and send the others.
///
/// # Errors
/// The address or the certificates cannot be used.
pub async fn follow(
    kit: &Kit,
    settings: &Settings,
    wish: Wish,
    take: impl FnMut(&[Any]) -> Result<(), String> + Send + 'static,
) -> Result<(), BoxError> {
    let tls = match &settings.tls {
        Some(tls) => {
            Some(kit::tls::follow_client(&kit.reloader(), "xds tls", tls.clone(), kit::tls::Protocols::Http2).await?)
        }
        None => None,
    };
    let node = Node { id: settings.node_id.clone(), cluster: wish.service.to_owned(), ..Node::default() };
    let plane = Plane(kit::grpc::channel(&settings.address, tls)?);
    let follower = Follower { plane, node, wish, take, version: String::new() };
    let shutdown = kit.shutdown.clone();
    kit.tasks.spawn(format!("{} by xds", wish.what), async move {
        shutdown.unless_stopping(follower.run()).await;
        Ok::<(), BoxError>(())
    });
    Ok(())
}

struct Follower<F> {
    plane: Plane,
    node: Node,
    wish: Wish,
    take: F,
    /// The version in force.
    version: String,
}

impl<F: FnMut(&[Any]) -> Result<(), String>> Follower<F> {
    async fn run(mut self) {
        let (what, mut pauses) = (self.wish.what, Pauses::new(PAUSES.0, PAUSES.1));
        loop {
            match self.plane.open(self.request(String::new(), None)).await {
                Ok(stream) => {
                    if self.stream(stream).await {
                        pauses.restart();
                    }
                }
                Err(status) => {
                    tracing::warn!("the control plane cannot be asked for {what}, trying again: {}", chain(&status))
                }
            }
            pauses.pause().await;
        }
    }

    /// Takes answers until the stream ends; whether there were any.
    async fn stream(&mut self, mut stream: Discovery) -> bool {
        let (what, mut answered) = (self.wish.what, false);
        loop {
            let response = match stream.next().await {
                Ok(Some(response)) => response,
                Ok(None) => return answered,
                Err(status) => {
                    tracing::warn!("the control plane has gone, the {what} stay in force: {}", chain(&status));
                    return answered;
                }
            };
            answered = true;
            let request = self.take(response);
            stream.answer(request).await;
        }
    }

    /// Puts the resources of a response into force, or says why not.
    fn take(&mut self, response: DiscoveryResponse) -> DiscoveryRequest {
        let DiscoveryResponse { version_info, nonce, resources, .. } = response;
        let what = self.wish.what;
        match (self.take)(&resources) {
            Ok(()) => {
                tracing::info!(version = version_info, resources = resources.len(), "{what} taken over");
                self.version = version_info;
                self.request(nonce, None)
            }
            Err(error) => {
                tracing::error!(
                    version = version_info,
                    "{what} are not usable, the last good ones stay in force: {error}"
                );
                self.request(nonce, Some(RpcStatus { code: INVALID, message: error, details: Vec::new() }))
            }
        }
    }

    fn request(&self, response_nonce: String, error_detail: Option<RpcStatus>) -> DiscoveryRequest {
        DiscoveryRequest {
            version_info: self.version.clone(),
            node: Some(self.node.clone()),
            type_url: self.wish.type_url.to_owned(),
            response_nonce,
            error_detail,
            ..DiscoveryRequest::default()
        }
    }
}

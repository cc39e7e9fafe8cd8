//! Requests and responses in the two forms that they have on the wire.

use envoy::core::{ControlPlane, Node};
use envoy::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource as WireResource,
};
use envoy::{Any, rpc};

use crate::resource::{Name, Resource};
use crate::session::{Names, Protocol, Request, Response};
use crate::snapshot::TypeUrl;

/// One form of the protocol.
pub(super) trait Wire: Send + 'static {
    type Request: Send + 'static;
    type Response: Send + 'static;
    const PROTOCOL: Protocol;

    /// What the client says of itself; in the first request at least.
    fn node(request: &Self::Request) -> Option<&Node>;
    fn request(request: Self::Request) -> Request;
    fn response(response: Response) -> Self::Response;
}

/// State of the world.
pub(super) struct Sotw;

impl Wire for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;
    const PROTOCOL: Protocol = Protocol::Sotw;

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn request(request: DiscoveryRequest) -> Request {
        Request {
            type_url: TypeUrl::from(request.type_url),
            nonce: request.response_nonce,
            error: request.error_detail.map(error),
            names: Names::Sotw(request.resource_names),
        }
    }

    fn response(response: Response) -> DiscoveryResponse {
        let url = &response.type_url;
        DiscoveryResponse {
            version_info: response.revision.to_string(),
            resources: response.resources.iter().map(|(_, resource)| any(url, resource)).collect(),
            type_url: url.to_string(),
            nonce: response.nonce.to_string(),
            control_plane: Some(us()),
            ..DiscoveryResponse::default()
        }
    }
}

/// Only what changed.
pub(super) struct Delta;

impl Wire for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;
    const PROTOCOL: Protocol = Protocol::Delta;

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn request(request: DeltaDiscoveryRequest) -> Request {
        Request {
            type_url: TypeUrl::from(request.type_url),
            nonce: request.response_nonce,
            error: request.error_detail.map(error),
            names: Names::Delta {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                initial: request.initial_resource_versions.into_iter().collect(),
            },
        }
    }

    fn response(response: Response) -> DeltaDiscoveryResponse {
        let url = &response.type_url;
        let resource = |(name, resource): &(Name, std::sync::Arc<Resource>)| WireResource {
            name: name.to_string(),
            version: resource.version().to_string(),
            resource: Some(any(url, resource)),
            ..WireResource::default()
        };
        DeltaDiscoveryResponse {
            system_version_info: response.revision.to_string(),
            resources: response.resources.iter().map(resource).collect(),
            type_url: url.to_string(),
            removed_resources: response.removed.iter().map(ToString::to_string).collect(),
            nonce: response.nonce.to_string(),
            control_plane: Some(us()),
            ..DeltaDiscoveryResponse::default()
        }
    }
}

fn any(type_url: &str, resource: &Resource) -> Any {
    Any { type_url: type_url.to_owned(), value: resource.body().to_vec() }
}

fn error(status: rpc::Status) -> String {
    status.message
}

/// Shown by Envoy's admin interface as the server that it talks to.
fn us() -> ControlPlane {
    ControlPlane { identifier: "portcullis".to_owned() }
}

//! What Envoy says of a request beside the request itself: attributes and metadata.

use envoy::service::ext_proc::ProcessingRequest;
use envoy::{Value, ValueKind};

use crate::select::NAMESPACE;

/// What Envoy says of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The client's address and port (`source.address`).
    pub(crate) client: (String, u16),
    /// Ours (`destination.address`).
    pub(crate) server: (String, u16),
    /// `HTTP/1.1` (`request.protocol`).
    pub(crate) protocol: String,
    /// The route's name (`xds.route_name`).
    pub(crate) route_name: String,
    /// The route's resource, as its name says.
    pub(crate) route: Option<Route>,
    /// The Gateway, as namespace/name.
    pub(crate) gateway: Option<String>,
    /// The profile that metadata names: that of the request, or of the call.
    pub(crate) profile: Option<String>,
}

/// What a call says before its first message, in Envoy's `initial_metadata`: the same for all requests of a filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Called {
    /// The Gateway (`portcullis-gateway`).
    pub(crate) gateway: Option<String>,
    /// A profile (`portcullis-waf-profile`).
    pub(crate) profile: Option<String>,
}

impl Called {
    /// `get` finds metadata by its name.
    pub(crate) fn of<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |name| get(name).map(str::to_owned);
        Self { gateway: text("portcullis-gateway"), profile: text("portcullis-waf-profile") }
    }
}

/// The resource that a route was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Facts {
    /// What the call and the first message of its stream say.
    pub(crate) fn of(called: Called, request: &ProcessingRequest) -> Self {
        let attribute = |name: &str| request.attributes.values().find_map(|values| values.fields.get(name));
        let text = |name: &str| attribute(name).and_then(as_text).unwrap_or_default().to_owned();
        let metadata = request.metadata_context.as_ref().and_then(|context| context.filter_metadata.get(NAMESPACE));
        let profile = metadata.and_then(|fields| as_text(fields.fields.get("profile")?));
        let route_name = text("xds.route_name");
        Self {
            client: address(&text("source.address")),
            server: address(&text("destination.address")),
            protocol: Some(text("request.protocol"))
                .filter(|text| !text.is_empty())
                .unwrap_or_else(|| "HTTP/1.1".to_owned()),
            route: by_name(&route_name),
            route_name,
            gateway: called.gateway,
            profile: profile.map(str::to_owned).or(called.profile),
        }
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match &value.kind {
        Some(ValueKind::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// Names of routes begin with kind, namespace and name: `httproute/shop/checkout/rule/0/…`.
fn by_name(name: &str) -> Option<Route> {
    let mut parts = name.split('/');
    let _kind = parts.next().filter(|kind| kind.ends_with("route"))?;
    Some(Route { namespace: parts.next()?.to_owned(), name: parts.next()?.to_owned() })
}

/// `192.0.2.1:1234` or `[2001:db8::1]:1234`.
fn address(text: &str) -> (String, u16) {
    match text.parse::<std::net::SocketAddr>() {
        Ok(address) => (address.ip().to_string(), address.port()),
        Err(_) => (text.to_owned(), 0),
    }
}

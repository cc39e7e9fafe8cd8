//! HTTP routes, ordered: the first that matches is taken.

use std::{sync::Arc, time::Duration};

use api::{
    ObjectRef, RouteKind,
    gateway::{CookieLifetime, RedirectScheme},
};

use crate::{ClusterName, Features};

/// The routes of one HTTP chain.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteTable {
    /// `http-80` for a plain port; `https-443/namespace/gateway/listener` for a chain with a server name of its own.
    pub name: Arc<str>,
    /// The hosts; no two have a domain in common. The most specific domain that matches is taken.
    pub hosts: Vec<Arc<VirtualHost>>,
}

/// The routes of one host.
#[derive(Clone, Debug, PartialEq)]
pub struct VirtualHost {
    /// `a.example.com`, `*.example.com` or `*`.
    pub domain: Arc<str>,
    /// In order of precedence. Empty: 404.
    pub routes: Vec<Arc<Route>>,
    /// The host belongs to another listener of the same port: 421 whatever the path (RFC 9110, 15.5.20).
    pub misdirected: bool,
}

/// One match of one rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// `httproute/namespace/name/rule/0/match/0`.
    pub name: Arc<str>,
    /// The rule it was made from.
    pub source: Arc<Source>,
    /// Which requests it takes.
    pub matcher: Matcher,
    /// What is done with them.
    pub action: Arc<Action>,
    /// What else is done with them on the way.
    pub features: Arc<Features>,
}

/// The rule that a route was made from. Written into Envoy's metadata for logs and metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Which kind of route.
    pub kind: RouteKind,
    /// The route.
    pub route: ObjectRef,
    /// The rule's index.
    pub rule: usize,
    /// The rule's name, if it has one.
    pub rule_name: Option<String>,
    /// The filters of ours that it refers to.
    pub filters: Vec<ObjectRef>,
    /// What the route promises, as it says by annotation: for those who watch it.
    pub objectives: Option<String>,
}

/// Which requests a route takes: those that fit all of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matcher {
    /// By path.
    pub path: PathMatch,
    /// By method.
    pub method: Option<String>,
    /// By header; names in lower case.
    pub headers: Vec<(String, ValueMatch)>,
    /// By query parameter.
    pub query: Vec<(String, ValueMatch)>,
    /// By cookie.
    pub cookies: Vec<(String, ValueMatch)>,
}

/// A match of the path.
#[derive(Clone, Debug, PartialEq)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// The path or one below it, element by element. Without a slash at the end; empty for every path.
    Prefix(String),
    /// A regular expression (RE2) over the whole path.
    Regex(String),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix(String::new())
    }
}

/// A match of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueMatch {
    /// The whole value.
    Exact(String),
    /// A regular expression (RE2) over the whole value.
    Regex(String),
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It goes to a back end.
    Forward(Box<Forward>),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// It is answered at once.
    Respond(Respond),
}

/// A request goes to a back end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forward {
    /// Where to, by weight. Never empty, and the weights are never all zero: that is [`Action::Respond`] with 500.
    pub clusters: Vec<WeightedCluster>,
    /// How the path is changed.
    pub path: Option<PathRewrite>,
    /// How the host is changed.
    pub host: Option<HostRewrite>,
    /// Whether the host that the client sent is told in `X-Forwarded-Host` where it is changed.
    pub append_forwarded_host: bool,
    /// Copies of requests, whose answers are dropped.
    pub mirrors: Vec<Mirror>,
    /// The whole time until the answer is there. `None`: no limit.
    pub timeout: Option<Duration>,
    /// The time for each try.
    pub try_timeout: Option<Duration>,
    /// Further tries.
    pub retry: Option<Retry>,
    /// Requests of one session go to one end point.
    pub session: Option<Session>,
    /// The share of a reference that does not resolve is answered with 503, which gRPC clients see as UNAVAILABLE, and not
    /// with 500.
    pub unresolved_is_unavailable: bool,
}

/// A share of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedCluster {
    /// Where they go; `None` where the reference does not resolve: they are answered with 500 or 503.
    pub cluster: Option<ClusterName>,
    /// The share, against the sum of all.
    pub weight: u32,
    /// Headers changed for this share only.
    pub request_headers: HeaderMutation,
    /// Headers changed for this share only.
    pub response_headers: HeaderMutation,
}

/// Headers are changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderMutation {
    /// Set to a value, whatever was there.
    pub set: Vec<(String, String)>,
    /// Added to what is there.
    pub add: Vec<(String, String)>,
    /// Removed.
    pub remove: Vec<String>,
}

impl HeaderMutation {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// How the path is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum PathRewrite {
    /// The whole path is replaced, the query stays.
    Full(String),
    /// The prefix that matched is replaced.
    Prefix(String),
    /// What matches a regular expression is replaced.
    Regex {
        /// RE2.
        pattern: String,
        /// With `\1` for the first group.
        substitution: String,
    },
}

/// How the host is changed.
#[derive(Clone, Debug, PartialEq)]
pub enum HostRewrite {
    /// To a name.
    Name(String),
    /// To the value of a header of the request.
    Header(String),
    /// To the host name of the end point.
    Endpoint,
    /// To what a regular expression over the path yields.
    PathRegex {
        /// RE2.
        pattern: String,
        /// With `\1` for the first group.
        substitution: String,
    },
}

/// Copies of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Where they go.
    pub cluster: ClusterName,
    /// Which share is copied, in millionths.
    pub millionths: u32,
}

/// Further tries.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// How many after the first.
    pub attempts: u32,
    /// The base of the back-off between tries.
    pub backoff: Option<Duration>,
    /// The status codes that are tried again; failures to connect always are.
    pub codes: Vec<u32>,
}

/// Requests of one session go to one end point.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The name of the cookie or header.
    pub name: String,
    /// Where the session is kept.
    pub kind: SessionKind,
}

/// Where a session is kept: always at the client, with the end point in it.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionKind {
    /// A cookie.
    Cookie {
        /// The path it is for.
        path: String,
        /// How long it lives; `None` for the browser's session.
        ttl: Option<Duration>,
        /// As the user wrote it.
        lifetime: Option<CookieLifetime>,
    },
    /// A header.
    Header,
}

/// The client is sent elsewhere.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Redirect {
    /// The scheme, as it is when absent.
    pub scheme: Option<RedirectScheme>,
    /// The host, as it is when absent.
    pub hostname: Option<String>,
    /// The port. `None`: none is written, the scheme says it.
    pub port: Option<u16>,
    /// The path, as it is when absent.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A request is answered at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Respond {
    /// The status, 200 to 599.
    pub status: u16,
    /// The body.
    pub body: Option<Arc<[u8]>>,
    /// Headers of the answer.
    pub headers: HeaderMutation,
    /// The content type of the body.
    pub content_type: Option<String>,
}

impl Respond {
    /// The longest body. Envoy's default of 4 KiB is short for an error page; a ConfigMap has at most 1 MiB.
    pub const MOST_BODY_BYTES: u32 = 1 << 20;
}

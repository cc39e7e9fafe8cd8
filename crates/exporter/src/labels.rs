//! Names of Gateway API for what Envoy calls by names of its own.
//!
//! ```text
//! route name   httproute/shop/cart/rule/0/match/1   (ours and Envoy Gateway's)  ─▶ HTTPRoute, shop, cart, 0
//! cluster      service/shop/cart/8080[/settings]    ─▶ backend service/shop/cart/8080
//! listener     edge/eg/https, by a custom tag       ─▶ gateway edge/eg, listener https
//!              http-80, the same of a shared socket ─▶ listener http-80
//! log name     accesslog/edge/eg                    ─▶ gateway edge/eg, where there is no tag
//! ```

use std::borrow::Cow;

/// What stands for all that has no place of its own.
pub(crate) const OTHER: &str = "other";
/// A name of a foreign control plane is cut here, in bytes.
const LONGEST: usize = 200;

/// The rule of a route on a listener of a gateway; empty fields where nothing is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) gateway: String,
    pub(crate) listener: String,
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) route: String,
    pub(crate) rule: String,
}

impl Place {
    /// From a route's name, a listener's tag, the gateway of the log's name and the port that a client came to.
    pub(crate) fn new(route: &[u8], tag: &[u8], gateway: &str, port: u32) -> Self {
        let (route, tag) = (cut(route), cut(tag));
        let mut place = Self::of_listener(&tag, gateway, port);
        let mut parts = route.split('/');
        let named = (parts.next().and_then(kind), parts.next(), parts.next(), parts.next(), parts.next());
        if let (Some(kind), Some(namespace), Some(name), Some("rule"), Some(rule)) = named {
            place.kind = kind.to_owned();
            (place.namespace, place.route, place.rule) = (namespace.to_owned(), name.to_owned(), rule.to_owned());
        } else {
            place.route = route.into_owned();
        }
        place
    }

    /// Only the listener.
    pub(crate) fn of_listener(tag: &str, gateway: &str, port: u32) -> Self {
        let mut parts = tag.splitn(4, '/');
        let (gateway, listener) = match (parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(name), Some(listener)) => (format!("{namespace}/{name}"), listener.to_owned()),
            // A socket without TLS that several listeners share: only routing tells them apart.
            _ if !tag.is_empty() => (gateway.to_owned(), tag.to_owned()),
            _ => (gateway.to_owned(), port.to_string()),
        };
        Self { gateway, listener, ..Self::default() }
    }

    /// What stands for all that have no place.
    pub(crate) fn other() -> Self {
        let other = || OTHER.to_owned();
        Self { gateway: other(), listener: other(), route: other(), ..Self::default() }
    }

    /// The labels, as Prometheus writes them.
    pub(crate) fn text(&self) -> String {
        let Self { gateway, listener, kind, namespace, route, rule } = self;
        let labels = [
            ("gateway", gateway),
            ("listener", listener),
            ("route_kind", kind),
            ("route_namespace", namespace),
            ("route", route),
            ("rule", rule),
        ];
        text(labels.map(|(name, value)| (name, value.as_str())))
    }
}

/// Labels, as Prometheus writes them; an empty value is no label.
pub(crate) fn text<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (name, value) in labels.into_iter().filter(|(_, value)| !value.is_empty()) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for character in value.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                other => text.push(other),
            }
        }
        text.push('"');
    }
    text
}

/// The labels of a text that [`text`] made.
pub(crate) fn pairs(mut text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    std::iter::from_fn(move || {
        let (name, rest) = text.split_once("=\"")?;
        let (value, rest) = unquoted(rest);
        text = rest.trim_start_matches(',');
        Some((name, value))
    })
}

/// A value up to its quotation mark, and what stands behind that. Few values have anything to be unquoted.
fn unquoted(text: &str) -> (Cow<'_, str>, &str) {
    let plain = text.find(['"', '\\']).unwrap_or(text.len());
    if !text[plain..].starts_with('\\') {
        return (Cow::Borrowed(&text[..plain]), text.get(plain + 1..).unwrap_or_default());
    }
    let (mut value, mut escaped) = (text[..plain].to_owned(), false);
    for (place, character) in text[plain..].char_indices() {
        match character {
            '"' if !escaped => return (Cow::Owned(value), &text[plain + place + 1..]),
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            'n' if escaped => value.push('\n'),
            other => value.push(other),
        }
        escaped = false;
    }
    (Cow::Owned(value), "")
}

/// The backend that a cluster is: a cluster whose settings differ from the usual has one more part in its name.
pub(crate) fn backend(cluster: &[u8]) -> String {
    let cluster = cut(cluster);
    match cluster.match_indices('/').nth(3) {
        Some((end, _)) if cluster.starts_with("service/") => cluster[..end].to_owned(),
        _ => cluster.into_owned(),
    }
}

/// The gateway of a log's name, or of the node that sends it.
pub(crate) fn gateway(log_name: &str, node_cluster: &str) -> String {
    let named = log_name.strip_prefix("accesslog/").unwrap_or(node_cluster);
    cut(if named.is_empty() { log_name } else { named }.as_bytes()).into_owned()
}

/// `RequestMethod`: Envoy knows no others.
pub(crate) fn method(number: u8) -> &'static str {
    const METHODS: [&str; 10] =
        ["other", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    METHODS.get(usize::from(number)).copied().unwrap_or(OTHER)
}

/// `HTTPVersion`.
pub(crate) fn protocol(number: u8) -> &'static str {
    const PROTOCOLS: [&str; 5] = ["", "HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];
    PROTOCOLS.get(usize::from(number)).copied().unwrap_or(OTHER)
}

/// `2xx`; `none` for requests whose client got no status.
pub(crate) fn class(code: u16) -> &'static str {
    match code / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "none",
    }
}

fn kind(word: &str) -> Option<&'static str> {
    match word {
        "httproute" => Some("HTTPRoute"),
        "grpcroute" => Some("GRPCRoute"),
        "tlsroute" => Some("TLSRoute"),
        "tcproute" => Some("TCPRoute"),
        "udproute" => Some("UDPRoute"),
        _ => None,
    }
}

fn cut(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&name[..name.len().min(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_envoy_become_names_of_gateway_api() {
        let place = Place::new(b"httproute/shop/cart/rule/0/match/1", b"edge/eg/https", "x", 1);
        let text =
            r#"gateway="edge/eg",listener="https",route_kind="HTTPRoute",route_namespace="shop",route="cart",rule="0""#;
        assert_eq!(place.text(), text);
        let shared = Place::new(b"", b"http-80", "edge/eg", 10080);
        assert_eq!(shared.text(), r#"gateway="edge/eg",listener="http-80""#);
        let foreign = Place::new(b"my route", b"", "accesslog", 8080);
        assert_eq!(foreign.text(), r#"gateway="accesslog",listener="8080",route="my route""#);
        assert_eq!(Place::new(b"", b"", "a/b", 80).text(), r#"gateway="a/b",listener="80""#);
        assert_eq!(Place::other().text(), r#"gateway="other",listener="other",route="other""#);
    }

    #[test]
    fn backends_are_clusters_without_their_settings() {
        assert_eq!(backend(b"service/shop/cart/8080"), "service/shop/cart/8080");
        assert_eq!(backend(b"service/shop/cart/8080/1f2e"), "service/shop/cart/8080");
        assert_eq!(backend(b"httproute/a/b/rule/0"), "httproute/a/b/rule/0");
        assert_eq!(backend(&[b'x'; 1000]).len(), LONGEST);
    }

    #[test]
    fn gateways_are_known_by_the_log_or_by_the_node() {
        assert_eq!(gateway("accesslog/edge/eg", "n"), "edge/eg");
        assert_eq!(gateway("mine", "n"), "n");
        assert_eq!(gateway("mine", ""), "mine");
    }

    #[test]
    fn values_are_quoted() {
        assert_eq!(text([("a", "x\"\\\ny"), ("b", ""), ("c", "z")]), r#"a="x\"\\\ny",c="z""#);
    }

    #[test]
    fn labels_are_read_back() {
        for values in [[("a", "x\"\\\ny"), ("b", "z")], [("a", "n\\n"), ("b", "ü,=")]] {
            let text = text(values);
            let read: Vec<_> = pairs(&text).collect();
            assert_eq!(read.iter().map(|(name, value)| (*name, &**value)).collect::<Vec<_>>(), values);
        }
        assert_eq!(pairs("").next(), None);
    }
}

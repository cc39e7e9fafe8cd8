//! What the Gateway API's specification (v1.6, experimental channel) asks of its kinds, as tables, and what Kubernetes
//! asks of all metadata.

mod filters;
mod listeners;
mod matches;
mod refs;
mod routes;
mod tls;

use serde_json::Value;

use super::{
    check::{Check, Rule, distinct, has, length, range, text, text_of},
    format,
    node::{Node, Report, Row},
};
use crate::{Kind, Scope, gateway::GROUP};

/// The tree of a kind of the Gateway API; an empty one for other kinds.
pub(super) fn of(kind: &Kind) -> Node {
    if kind.group != GROUP {
        return Node::default();
    }
    Node::new(match kind.kind {
        "GatewayClass" => gateway_class(),
        "Gateway" => gateway(),
        "ListenerSet" => listener_set(),
        "HTTPRoute" => routes::http(),
        "GRPCRoute" => routes::grpc(),
        "TLSRoute" => routes::tls(),
        "TCPRoute" | "UDPRoute" => routes::transport(),
        "BackendTLSPolicy" => tls::backend_policy(),
        "ReferenceGrant" => reference_grant(),
        _ => Vec::new(),
    })
}

/// Puts a table below a path.
fn under(path: &str, rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    rows.into_iter().map(|(below, check)| (format!("{path}.{below}"), check)).collect()
}

fn row(path: &str, check: Check) -> Row {
    (path.to_owned(), check)
}

fn rule(path: &str, rule: Rule) -> Row {
    row(path, Check::Rule(rule))
}

fn gateway_class() -> Vec<Row> {
    let mut rows = under("spec.parametersRef", refs::object());
    rows.push(row("spec.controllerName", text(&format::DOMAIN_PATH)));
    rows.push(row("spec.description", length(0, 64)));
    rows
}

fn gateway() -> Vec<Row> {
    let mut rows = under("spec.listeners[]", listeners::listener());
    rows.extend([
        row("spec.gatewayClassName", length(1, 253)),
        row("spec.listeners", Check::Items(1, 64)),
        row("spec.listeners", distinct("name")),
        rule("spec.listeners", listeners::distinct_listeners),
        row("spec.addresses", Check::Items(0, 16)),
        row("spec.addresses[].type", text(&format::ADDRESS_TYPE)),
        row("spec.addresses[].value", length(0, 253)),
        rule("spec.addresses[]", address_value),
        rule("spec.addresses", distinct_addresses),
        row("spec.infrastructure.labels", Check::Entries(8)),
        row("spec.infrastructure.labels{}", text(&format::LABEL_VALUE)),
        rule("spec.infrastructure.labels", label_keys),
        row("spec.infrastructure.annotations", Check::Entries(16)),
        row("spec.infrastructure.annotations{}", length(0, 4096)),
        rule("spec.infrastructure.annotations", label_keys),
    ]);
    rows.extend(under("spec.infrastructure.parametersRef", refs::local()));
    rows.extend(under("spec.tls.backend.clientCertificateRef", refs::object()));
    rows.extend(under("spec.tls.frontend.default.validation", tls::frontend_validation()));
    rows.extend(under("spec.tls.frontend.perPort[].tls.validation", tls::frontend_validation()));
    rows.extend([
        row("spec.tls.frontend.perPort", Check::Items(0, 64)),
        row("spec.tls.frontend.perPort", distinct("port")),
        row("spec.tls.frontend.perPort[].port", range(1, 65535)),
    ]);
    rows
}

fn listener_set() -> Vec<Row> {
    let mut rows = under("spec.listeners[]", listeners::listener());
    rows.extend(under("spec.parentRef", refs::object()));
    rows.extend([
        row("spec.listeners", Check::Items(1, 64)),
        row("spec.listeners", distinct("name")),
        rule("spec.listeners", listeners::distinct_listeners),
    ]);
    rows
}

fn reference_grant() -> Vec<Row> {
    vec![
        row("spec.from", Check::Items(1, 16)),
        row("spec.from[].group", text(&format::GROUP)),
        row("spec.from[].kind", text(&format::KIND)),
        row("spec.from[].namespace", text(&format::LABEL)),
        row("spec.to", Check::Items(1, 16)),
        row("spec.to[].group", text(&format::GROUP)),
        row("spec.to[].kind", text(&format::KIND)),
        row("spec.to[].name", length(1, 253)),
    ]
}

/// The type of an address, `IPAddress` unless set.
fn address_type(address: &Value) -> &str {
    if has(address, "type") { text_of(address, "type") } else { "IPAddress" }
}

fn address_value(address: &Value, report: &mut Report<'_>) {
    if !has(address, "value") {
        return;
    }
    let value = text_of(address, "value");
    let (fits, words) = match address_type(address) {
        "IPAddress" => (value.parse::<std::net::IpAddr>().is_ok(), "an IPv4 or IPv6 address"),
        "Hostname" => (refs::is_hostname(value), "a DNS name in lower case"),
        _ => return,
    };
    if !fits {
        report.add("value", format!("{value:?} is not {words}, as the address' `type` asks for"));
    }
}

fn distinct_addresses(addresses: &Value, report: &mut Report<'_>) {
    let addresses = addresses.as_array().map_or(&[][..], Vec::as_slice);
    let key = |address: &Value| {
        let kind = address_type(address).to_owned();
        let value = address.get("value")?.as_str()?.to_owned();
        ["IPAddress", "Hostname"].contains(&kind.as_str()).then_some((kind, value))
    };
    for (index, address) in addresses.iter().enumerate() {
        let Some(this) = key(address) else { continue };
        if addresses[..index].iter().any(|earlier| key(earlier).as_ref() == Some(&this)) {
            report.add(&format!("[{index}]"), format!("the address {:?} is there already; remove one", this.1));
        }
    }
}

fn label_keys(labels: &Value, report: &mut Report<'_>) {
    for key in labels.as_object().into_iter().flat_map(|labels| labels.keys()) {
        if !refs::is_label_key(key) {
            report.add("", format!("{key:?} is not {}", format::LABEL_KEY.words));
        }
    }
}

/// What Kubernetes asks of a resource's metadata.
pub(super) fn add_metadata(root: &mut Node, kind: &Kind) {
    // Services become DNS labels, namespaces too.
    let name = if ["Service", "Namespace"].contains(&kind.kind) { &format::LABEL } else { &format::DNS_NAME };
    let metadata = root.at("metadata");
    metadata.checks.push(Check::Required(vec!["name".to_owned()]));
    metadata.at("name").checks.push(text(name));
    if kind.scope == Scope::Namespaced {
        metadata.at("namespace").checks.push(text(&format::LABEL));
    }
    metadata.at("labels").checks.push(Check::Rule(label_keys));
    metadata.at("labels{}").checks.push(text(&format::LABEL_VALUE));
    metadata.at("annotations").checks.push(Check::Rule(label_keys));
}

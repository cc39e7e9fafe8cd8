//! Manifests of the objects that cases are made of, each a whole YAML document.

use std::net::SocketAddr;

/// The class that every Gateway here has.
pub(crate) fn class() -> String {
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\n\
     spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}\n"
        .to_owned()
}

/// A Gateway `gw` with these listeners, each in YAML's flow style.
pub(crate) fn gateway(listeners: &[String]) -> String {
    gateway_with("gw", listeners, "")
}

/// A Gateway with further fields of its `spec`, indented by two.
pub(crate) fn gateway_with(name: &str, listeners: &[String], fields: &str) -> String {
    let listeners: String = listeners.iter().map(|listener| format!("  - {listener}\n")).collect();
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
         spec:\n  gatewayClassName: eg\n{fields}  listeners:\n{listeners}"
    )
}

/// A listener `name` of a protocol, open for routes of all namespaces, with further fields (`, hostname: …`).
pub(crate) fn listener(name: &str, protocol: &str, port: u16, fields: &str) -> String {
    format!(
        "{{name: {name}, protocol: {protocol}, port: {port}, allowedRoutes: {{namespaces: {{from: All}}}}{fields}}}"
    )
}

/// A route of any kind in a namespace: its parents and the rest of its `spec` in YAML's flow style.
pub(crate) fn route(kind: &str, namespace: &str, name: &str, parents: &str, fields: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\n\
         metadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  parentRefs: [{parents}]\n  {fields}\n"
    )
}

/// A Service with port 80, and a slice of it for each of these addresses.
pub(crate) fn service(namespace: &str, name: &str, addresses: &[SocketAddr]) -> String {
    let slices = addresses.iter().enumerate();
    let slices: String =
        slices.map(|(index, address)| slice(namespace, name, index, *address, "ready: true")).collect();
    service_with(namespace, name, "{name: p, port: 80}", "") + &slices
}

/// A Service with ports in YAML's flow style, and further fields of its `spec`.
pub(crate) fn service_with(namespace: &str, name: &str, ports: &str, fields: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {{ports: [{ports}]{fields}}}\n"
    )
}

/// A slice of a Service's port `p` with one end point, in these conditions.
pub(crate) fn slice(namespace: &str, service: &str, index: usize, address: SocketAddr, conditions: &str) -> String {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let (ip, port) = (address.ip(), address.port());
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: {service}-{index}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {service}}}}}\n\
         addressType: {family}\nports: [{{name: p, port: {port}}}]\n\
         endpoints: [{{addresses: ['{ip}'], conditions: {{{conditions}}}}}]\n"
    )
}

/// A Backend: its `spec` in YAML's flow style.
pub(crate) fn backend(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// A Backend at one address, with further fields of its `spec`.
pub(crate) fn backend_at(name: &str, address: SocketAddr, fields: &str) -> String {
    let (ip, port) = (address.ip(), address.port());
    backend(name, &format!("{{endpoints: [{{ip: {{address: '{ip}', port: {port}}}}}]{fields}}}"))
}

/// The reference to a Backend, with further fields (`, weight: 2`).
pub(crate) fn to_backend(name: &str, fields: &str) -> String {
    format!("{{group: gateway.envoyproxy.io, kind: Backend, name: {name}{fields}}}")
}

/// The reference to port 80 of a Service, with further fields.
pub(crate) fn to_service(name: &str, fields: &str) -> String {
    format!("{{name: {name}, port: 80{fields}}}")
}

/// An HTTPRoute in the namespace `default` that sends everything for these hosts to these references.
pub(crate) fn http_route(name: &str, parents: &str, hosts: &[&str], references: &str) -> String {
    let hosts = hosts.join(", ");
    let fields = format!("hostnames: [{hosts}]\n  rules: [{{backendRefs: [{references}]}}]");
    route("HTTPRoute", "default", name, parents, &fields)
}

/// A grant for routes of a kind in the namespace `from` to refer to Services in `to`.
pub(crate) fn grant(kind: &str, from: &str, to: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: ReferenceGrant\nmetadata: {{name: from-{from}, namespace: {to}}}\n\
         spec:\n  from: [{{group: gateway.networking.k8s.io, kind: {kind}, namespace: {from}}}]\n  to: [{{group: '', \
         kind: Service}}]\n"
    )
}

/// A ConfigMap with an authority's certificate in `ca.crt`.
pub(crate) fn authority(name: &str, pem: &str) -> String {
    let pem: String = pem.lines().map(|line| format!("    {line}\n")).collect();
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  ca.crt: |\n{pem}")
}

/// An EnvoyProxy `proxy`: its `spec`, indented by two.
pub(crate) fn proxy(fields: &str) -> String {
    format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {{name: proxy}}\nspec:\n{fields}"
    )
}

/// What a Gateway says to use [`proxy`].
pub(crate) const USES_PROXY: &str =
    "  infrastructure:\n    parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy}\n";

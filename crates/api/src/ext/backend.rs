//! `Backend`: end points outside of Kubernetes, by name, address or Unix socket.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{HOSTNAME_PATTERN, LocalObjectReference, SecretObjectReference},
    tls::{TlsVersion, ciphers_need_tls_1_2, versions_are_a_range},
};

/// A DNS name, with a dot at its end if you like.
pub(crate) const FQDN_PATTERN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?$";
/// IPv4, or IPv6 in full or with one `::`.
pub(crate) const ADDRESS_PATTERN: &str = r"^((25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$|^(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,7}:|([0-9a-fA-F]{1,4}:){1,6}:[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,5}(:[0-9a-fA-F]{1,4}){1,2}|([0-9a-fA-F]{1,4}:){1,4}(:[0-9a-fA-F]{1,4}){1,3}|([0-9a-fA-F]{1,4}:){1,3}(:[0-9a-fA-F]{1,4}){1,4}|([0-9a-fA-F]{1,4}:){1,2}(:[0-9a-fA-F]{1,4}){1,5}|[0-9a-fA-F]{1,4}:(:[0-9a-fA-F]{1,4}){1,6}|:((:[0-9a-fA-F]{1,4}){1,7}|:))$";
const WELL_KNOWN_PATTERN: &str = r"^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$";

/// Where the requests of a `Backend` go.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "gateway.envoyproxy.io",
    version = "v1alpha1",
    kind = "Backend",
    namespaced,
    derive = "PartialEq",
    derive = "Default",
    shortname = "be",
    category = "envoy-gateway",
    doc = "A back end outside of Kubernetes: names, addresses or Unix sockets that routes and policies can refer to.",
    printcolumn(name = "Status", type_ = "string", json_path = r#".status.conditions[?(@.type=="Accepted")].reason"#),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("self.type != 'DynamicResolver' || !has(self.endpoints)")
    .message("a DynamicResolver takes the host of each request: leave `endpoints` out"))]
#[x_kube(validation = Rule::new("self.type != 'DynamicResolver' || !has(self.tls) || !has(self.tls.autoSNIFromEndpointHostname) \
    || !self.tls.autoSNIFromEndpointHostname")
    .message("a DynamicResolver has no endpoints whose `hostname` could be the SNI: leave `tls.autoSNIFromEndpointHostname` out"))]
#[x_kube(validation = Rule::new("!has(self.tls) || !has(self.tls.autoSNIFromEndpointHostname) || \
    !self.tls.autoSNIFromEndpointHostname || !has(self.endpoints) || self.endpoints.all(e, has(e.fqdn) || has(e.hostname))")
    .message("with `tls.autoSNIFromEndpointHostname` every endpoint by `ip` or `unix` needs a `hostname`"))]
pub struct BackendSpec {
    /// Where the addresses come from.
    #[serde(default)]
    pub r#type: BackendType,
    /// The end points, all of equal weight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = Rule::new("self.all(e, has(e.fqdn)) || !self.exists(e, has(e.fqdn))")
        .message("endpoints by `fqdn` cannot stand beside endpoints by `ip` or `unix`: make two Backends"))]
    pub endpoints: Vec<BackendEndpoint>,
    /// Protocols that the end points speak, beside HTTP/1.1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub app_protocols: Vec<AppProtocol>,
    /// Whether it's used only while the back ends beside it that are no fallback are unhealthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<bool>,
    /// TLS towards the end points; plain text unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
}

/// Where a back end's addresses come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BackendType {
    /// From `endpoints`.
    #[default]
    Endpoints,
    /// From the host of each request, by DNS. Only for clients that are trusted: they choose where requests go.
    DynamicResolver,
}

/// A protocol beside HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AppProtocol {
    /// HTTP/2 in plain text, from the first byte.
    #[serde(rename = "gateway.envoyproxy.io/h2c")]
    H2c,
    /// WebSocket.
    #[serde(rename = "gateway.envoyproxy.io/ws")]
    Ws,
    /// WebSocket over TLS.
    #[serde(rename = "gateway.envoyproxy.io/wss")]
    Wss,
}

/// One end point: exactly one of `fqdn`, `ip` and `unix`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.fqdn), has(self.ip), has(self.unix)].exists_one(given, given)")
    .message("an endpoint needs exactly one of `fqdn`, `ip` and `unix`"))]
pub struct BackendEndpoint {
    /// By DNS name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<FqdnEndpoint>,
    /// By address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpEndpoint>,
    /// By Unix socket on Envoy's machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unix: Option<UnixEndpoint>,
    /// The name under which an end point by address or socket is known: for SNI and health checks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOSTNAME_PATTERN))]
    pub hostname: Option<String>,
    /// The zone in which the end point is, for zone-aware load balancing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// An end point by DNS name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FqdnEndpoint {
    /// The DNS name; a dot at its end keeps search domains away.
    #[schemars(length(min = 1, max = 253), regex(pattern = FQDN_PATTERN))]
    pub hostname: String,
    /// The port.
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
}

/// An end point by address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IpEndpoint {
    /// The IPv4 or IPv6 address.
    #[schemars(length(min = 3, max = 45), regex(pattern = ADDRESS_PATTERN))]
    pub address: String,
    /// The port.
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
}

/// An end point by Unix socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnixEndpoint {
    /// The socket's path on Envoy's machine; it begins with `@` in the abstract namespace.
    #[x_kube(validation = Rule::new("size(self) <= 108").message("the path of a Unix socket has at most 108 characters"))]
    pub path: String,
}

/// TLS towards a back end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.caCertificateRefs) && size(self.caCertificateRefs) > 0 && \
    has(self.wellKnownCACertificates) && self.wellKnownCACertificates != '')")
    .message("set one of `caCertificateRefs` and `wellKnownCACertificates`, not both"))]
#[x_kube(validation = Rule::new("!(has(self.insecureSkipVerify) && self.insecureSkipVerify && ((has(self.caCertificateRefs) && \
    size(self.caCertificateRefs) > 0) || (has(self.wellKnownCACertificates) && self.wellKnownCACertificates != '')))")
    .message("`insecureSkipVerify` checks no certificate: leave it out, or `caCertificateRefs` and `wellKnownCACertificates`"))]
#[x_kube(validation = Rule::new("!(has(self.sni) && has(self.autoSNIFromEndpointHostname) && self.autoSNIFromEndpointHostname)")
    .message("set one of `sni` and `autoSNIFromEndpointHostname`, not both"))]
#[x_kube(validation = ciphers_need_tls_1_2())]
#[x_kube(validation = versions_are_a_range())]
pub struct BackendTls {
    /// ConfigMaps or Secrets of the same namespace with the certificates of authorities in `ca.crt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub ca_certificate_refs: Vec<LocalObjectReference>,
    /// `System` trusts the authorities that Envoy's machine trusts.
    #[serde(rename = "wellKnownCACertificates", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = WELL_KNOWN_PATTERN))]
    pub well_known_ca_certificates: Option<String>,
    /// Whether the back end's certificate isn't checked at all. Not for production.
    #[serde(default)]
    pub insecure_skip_verify: bool,
    /// The name sent as SNI and looked for in the back end's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = HOSTNAME_PATTERN))]
    pub sni: Option<String>,
    /// Whether the SNI is each end point's own `hostname`.
    #[serde(rename = "autoSNIFromEndpointHostname", skip_serializing_if = "Option::is_none")]
    pub auto_sni_from_endpoint_hostname: Option<bool>,
    /// A Secret with the certificate and key that Envoy shows to the back end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretObjectReference>,
    /// The earliest version of TLS; 1.2 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// The latest version of TLS; 1.3 unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Cipher suites up to TLS 1.2, by their OpenSSL names, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ciphers: Vec<String>,
    /// Curves for the key exchange, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ecdh_curves: Vec<String>,
    /// Signature algorithms, the preferred first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signature_algorithms: Vec<String>,
    /// Protocols offered by ALPN; `h2` and `http/1.1` unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alpn_protocols: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_of_addresses_agrees_with_the_standard_library() {
        let pattern = regex::Regex::new(ADDRESS_PATTERN).unwrap();
        let addresses = [
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "256.0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "::",
            "::1",
            "1::",
            "fe80::1:2",
            "2001:db8::1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "1::2::3",
            "1:2",
            ":1",
            "1:",
            "12345::",
            "g::1",
            "a",
            "1:2:3:4:5:6::8",
            "1::3:4:5:6:7:8",
            "::2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7::",
            "1:2:3:4::5:6:7:8:9",
        ];
        for address in addresses {
            assert_eq!(pattern.is_match(address), address.parse::<std::net::IpAddr>().is_ok(), "{address}");
        }
    }
}

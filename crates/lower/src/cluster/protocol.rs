//! The protocol that a back end speaks.

use std::collections::BTreeMap;

use envoy::{
    Any,
    core::{Http1ProtocolOptions, Http2ProtocolOptions, UpstreamHttpProtocolOptions},
    ext::upstream::http::{
        HttpProtocolOptions,
        http_protocol_options::{
            AutoHttpConfig, ExplicitHttpConfig, UpstreamProtocolOptions, explicit_http_config::ProtocolConfig,
        },
    },
};
use ir::{Discovery, UpstreamProtocol, UpstreamTls, tls::Trust};

use crate::convert::http2_windows;

const NAME: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The protocol options of a cluster. HTTP/1.1 without further options is Envoy's default.
pub(super) fn options(
    protocol: UpstreamProtocol,
    discovery: &Discovery,
    tls: Option<&UpstreamTls>,
) -> BTreeMap<String, Any> {
    let http1 = Http1ProtocolOptions::default;
    let specifier = match protocol {
        UpstreamProtocol::Tcp => return BTreeMap::new(),
        UpstreamProtocol::Http1 => explicit(ProtocolConfig::HttpProtocolOptions(http1())),
        UpstreamProtocol::Http2 => explicit(ProtocolConfig::Http2ProtocolOptions(http2())),
        UpstreamProtocol::Negotiated => UpstreamProtocolOptions::AutoConfig(AutoHttpConfig {
            http_protocol_options: Some(http1()),
            http2_protocol_options: Some(http2()),
            ..Default::default()
        }),
    };
    let names = server_names(discovery, tls);
    if protocol == UpstreamProtocol::Http1 && names.is_none() {
        return BTreeMap::new();
    }
    let options = HttpProtocolOptions {
        upstream_http_protocol_options: names,
        upstream_protocol_options: Some(specifier),
        ..Default::default()
    };
    BTreeMap::from([(NAME.to_owned(), envoy::any(&options))])
}

/// Whether the server name of TLS is the host of the request, and is looked for in the certificate.
fn server_names(discovery: &Discovery, tls: Option<&UpstreamTls>) -> Option<UpstreamHttpProtocolOptions> {
    let dynamic = matches!(discovery, Discovery::Dynamic { .. });
    let auto_sni = dynamic || tls.is_some_and(|tls| tls.auto_sni);
    // Envoy insists on the check where the host is the client's choice.
    let checked = tls.is_none_or(|tls| tls.trust != Trust::Anything && tls.subject_alt_names.is_empty());
    auto_sni.then(|| UpstreamHttpProtocolOptions {
        auto_sni: true,
        auto_san_validation: dynamic || checked,
        ..Default::default()
    })
}

fn explicit(config: ProtocolConfig) -> UpstreamProtocolOptions {
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(config) })
}

fn http2() -> Http2ProtocolOptions {
    http2_windows()
}

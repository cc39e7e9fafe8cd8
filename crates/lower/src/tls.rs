//! TLS towards clients and towards back ends. Keys and authorities are delivered apart (SDS), so that a rotation disturbs no
//! connection.

use envoy::{
    Any, core,
    core::{TransportSocket, config_source::ConfigSourceSpecifier, transport_socket::ConfigType},
    matcher::{StringMatcher, string_matcher::MatchPattern},
    tls::{
        CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, SubjectAltNameMatcher,
        TlsParameters, UpstreamTlsContext,
        certificate_validation_context::TrustChainVerification,
        common_tls_context::{CombinedCertificateValidationContext, ValidationContextType},
        subject_alt_name_matcher::SanType,
        tls_parameters::TlsProtocol,
    },
};
use ir::{
    DownstreamTls, UpstreamTls,
    tls::{self, SubjectAltName, TlsVersion, Trust},
};

use crate::{
    bootstrap::own_documents,
    convert::{ads, exact, pattern, quote, regex},
    secret::bundle_name,
};

/// TLS on a listener's connections.
pub(crate) fn downstream(tls: &DownstreamTls) -> TransportSocket {
    let DownstreamTls { certificates, client_authorities, client_certificate_optional, alpn, parameters } = tls;
    let validation = bundle_name(client_authorities).map(|name| {
        let mut context = CertificateValidationContext::default();
        if *client_certificate_optional {
            // Any certificate is let in; whether it was found valid is told to back ends and logs.
            context.trust_chain_verification = TrustChainVerification::AcceptUntrusted.into();
        }
        combined(context, sds(&name))
    });
    let required = validation.is_some() && !client_certificate_optional;
    let context = DownstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_params: params(parameters),
            tls_certificate_sds_secret_configs: certificates.iter().map(|name| sds(name)).collect(),
            alpn_protocols: alpn.clone(),
            validation_context_type: validation,
            ..Default::default()
        }),
        require_client_certificate: required.then_some(true),
        ..Default::default()
    };
    socket(envoy::any(&context))
}

/// TLS on a cluster's connections. A server name that is taken from each request is said in the cluster's protocol options.
pub(crate) fn upstream(tls: &UpstreamTls, system_authorities: &str) -> TransportSocket {
    let UpstreamTls { sni, auto_sni: _, trust, subject_alt_names, client_certificate, alpn, parameters } = tls;
    let names = match (subject_alt_names.as_slice(), sni) {
        ([], Some(sni)) => vec![san(SanType::Dns, sni)],
        (names, _) => names.iter().map(subject_alt_name).collect(),
    };
    let context = CertificateValidationContext { match_typed_subject_alt_names: names, ..Default::default() };
    let [own_certificate, own_authorities] = own_documents().map(|(name, path)| of_file(name, path));
    let certificates = match trust {
        Trust::Fleet => vec![own_certificate],
        _ => client_certificate.iter().map(|name| sds(name)).collect(),
    };
    let validation = match trust {
        Trust::Anything => None,
        Trust::Fleet => Some(combined(context, own_authorities)),
        Trust::System => Some(ValidationContextType::ValidationContext(CertificateValidationContext {
            trusted_ca: Some(core::DataSource {
                specifier: Some(core::data_source::Specifier::Filename(system_authorities.to_owned())),
                ..Default::default()
            }),
            ..context
        })),
        Trust::Authorities(name) => Some(combined(context, sds(name))),
    };
    let context = UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_params: params(parameters),
            tls_certificate_sds_secret_configs: certificates,
            alpn_protocols: alpn.clone(),
            validation_context_type: validation,
            ..Default::default()
        }),
        sni: sni.clone().unwrap_or_default(),
        ..Default::default()
    };
    socket(envoy::any(&context))
}

fn combined(context: CertificateValidationContext, authorities: SdsSecretConfig) -> ValidationContextType {
    ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
        default_validation_context: Some(context),
        validation_context_sds_secret_config: Some(authorities),
        ..Default::default()
    })
}

fn sds(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(ads()) }
}

/// Key material that Envoy finds in a file and follows there.
fn of_file(name: &str, path: String) -> SdsSecretConfig {
    let file = core::PathConfigSource { path, ..Default::default() };
    let source = core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::PathConfigSource(file)),
        ..Default::default()
    };
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(source) }
}

fn subject_alt_name(name: &SubjectAltName) -> SubjectAltNameMatcher {
    match name {
        SubjectAltName::Dns(name) => match name.strip_prefix("*.") {
            Some(domain) => matching(SanType::Dns, pattern(MatchPattern::SafeRegex(regex(&below(domain))))),
            None => san(SanType::Dns, name),
        },
        SubjectAltName::Uri(uri) => san(SanType::Uri, uri),
    }
}

/// The names right below a domain, which is how far a wildcard in a certificate reaches (RFC 9525), and that wildcard.
fn below(domain: &str) -> String {
    format!(r"(?i)[^.]+\.{}", quote(domain))
}

fn san(kind: SanType, name: &str) -> SubjectAltNameMatcher {
    matching(kind, exact(name))
}

fn matching(kind: SanType, matcher: StringMatcher) -> SubjectAltNameMatcher {
    SubjectAltNameMatcher { san_type: kind.into(), matcher: Some(matcher), ..Default::default() }
}

fn params(parameters: &tls::TlsParameters) -> Option<TlsParameters> {
    let tls::TlsParameters { min, max, ciphers, curves, signature_algorithms } = parameters;
    (*parameters != tls::TlsParameters::default()).then(|| TlsParameters {
        tls_minimum_protocol_version: version(*min).into(),
        tls_maximum_protocol_version: version(*max).into(),
        cipher_suites: ciphers.clone(),
        ecdh_curves: curves.clone(),
        signature_algorithms: signature_algorithms.clone(),
        ..Default::default()
    })
}

fn version(version: Option<TlsVersion>) -> TlsProtocol {
    match version {
        None => TlsProtocol::TlsAuto,
        Some(TlsVersion::V1_0) => TlsProtocol::TlSv10,
        Some(TlsVersion::V1_1) => TlsProtocol::TlSv11,
        Some(TlsVersion::V1_2) => TlsProtocol::TlSv12,
        Some(TlsVersion::V1_3) => TlsProtocol::TlSv13,
    }
}

fn socket(config: Any) -> TransportSocket {
    TransportSocket {
        name: "envoy.transport_sockets.tls".to_owned(),
        config_type: Some(ConfigType::TypedConfig(config)),
    }
}

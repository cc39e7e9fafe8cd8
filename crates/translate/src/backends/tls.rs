//! TLS to a back end: by its `BackendTLSPolicy`, or by its own settings.

use std::sync::Arc;

use api::{
    ObjectRef, Stored,
    ext::{Backend, EnvoyProxy, backend::BackendTls, common::SecretObjectReference, tls::TlsVersion as ApiVersion},
    gateway::{CaCertificateRef, SecretRef},
};
use ir::{
    Secret, UpstreamProtocol, UpstreamTls,
    tls::{TlsParameters, TlsVersion, Trust},
};

use super::Scope;
use crate::{
    certificates::{Reasons, authorities, bundle, certificate},
    grants::Referrer,
    problem::Problem,
    rejections::rejection,
};

/// TLS and the key material it uses; nothing when it is spoken in clear.
pub(super) type Found = Option<(UpstreamTls, Vec<Arc<Secret>>)>;

/// How TLS is spoken to a back end. A policy has precedence over the Backend's own settings for what it says.
///
/// # Errors
/// When the back end's certificate could not be checked as it was asked for.
pub(super) fn upstream(
    scope: Scope<'_>,
    target: Option<usize>,
    protocol: UpstreamProtocol,
    backend: Option<&Backend>,
) -> Result<Found, Problem> {
    let own = backend.and_then(|backend| Some((backend, backend.spec.tls.as_ref()?)));
    let mut found = match (target.map(|target| scope.plan.backend_tls.holder(target)), own) {
        (None, None) => return Ok(None),
        (None, Some((backend, settings))) => of_backend(scope, backend, settings)?,
        (Some(policy), own) => {
            rejection(scope.resources, &scope.fleet().name, &*policy.resource).map_or(Ok(()), Err)?;
            let (trust, secret) = policy.checked.clone()?;
            let mut base = match own {
                Some((backend, settings)) => parameters_of_backend(scope, backend, settings)?,
                None => plain(),
            };
            base.0.sni = Some(policy.resource.spec.validation.hostname.clone());
            base.0.trust = trust;
            base.0.subject_alt_names = policy.subject_alt_names();
            base.1.extend(secret);
            base
        }
    };
    defaults(scope, &mut found)?;
    if found.0.alpn.is_empty() {
        found.0.alpn = match protocol {
            UpstreamProtocol::Http1 => vec!["http/1.1".to_owned()],
            UpstreamProtocol::Http2 => vec!["h2".to_owned()],
            UpstreamProtocol::Negotiated => vec!["h2".to_owned(), "http/1.1".to_owned()],
            UpstreamProtocol::Tcp => Vec::new(),
        };
    }
    Ok(Some(found))
}

/// What a cluster is made from: the back end, and where TLS is spoken the policy and the proxy's settings.
pub(super) fn sources(
    scope: Scope<'_>,
    target: Option<usize>,
    backend: ObjectRef,
    tls: Option<&UpstreamTls>,
) -> Vec<ObjectRef> {
    let policy = target.map(|target| scope.plan.backend_tls.holder(target).resource.reference());
    let proxy = scope.fleet().proxy.source.as_ref().map(|proxy| proxy.reference());
    let ways = policy.into_iter().chain(proxy).filter(|_| tls.is_some());
    std::iter::once(backend).chain(ways).collect()
}

/// What nobody closer says, the gateway's client certificate and the proxy's settings say.
fn defaults(scope: Scope<'_>, (tls, secrets): &mut (UpstreamTls, Vec<Arc<Secret>>)) -> Result<(), Problem> {
    if tls.client_certificate.is_none() {
        tls.client_certificate = scope.gateway().client_certificate.clone();
    }
    let proxy = &scope.fleet().proxy;
    let Some(settings) = &proxy.spec.backend_tls else { return Ok(()) };
    if let (None, Some(reference)) = (&tls.client_certificate, &settings.client_certificate_ref) {
        let from = Referrer { group: EnvoyProxy::GROUP, kind: EnvoyProxy::KIND, namespace: proxy.namespace() };
        let secret = certificate(scope.resources, from, &secret_ref(reference), "InvalidCertificateRef")?;
        tls.client_certificate = Some(Arc::clone(&secret.name));
        secrets.push(secret);
    }
    let own = &mut tls.parameters;
    own.min = own.min.or(settings.min_version.and_then(version));
    own.max = own.max.or(settings.max_version.and_then(version));
    for (own, default) in [
        (&mut own.ciphers, &settings.ciphers),
        (&mut own.curves, &settings.ecdh_curves),
        (&mut own.signature_algorithms, &settings.signature_algorithms),
        (&mut tls.alpn, &settings.alpn_protocols),
    ] {
        if own.is_empty() {
            own.clone_from(default);
        }
    }
    Ok(())
}

fn secret_ref(reference: &SecretObjectReference) -> SecretRef {
    SecretRef {
        group: Some(reference.group.clone()),
        kind: Some(reference.kind.clone()),
        name: reference.name.clone(),
        namespace: reference.namespace.clone(),
    }
}

fn plain() -> (UpstreamTls, Vec<Arc<Secret>>) {
    let tls = UpstreamTls {
        sni: None,
        auto_sni: false,
        trust: Trust::System,
        subject_alt_names: Vec::new(),
        client_certificate: None,
        alpn: Vec::new(),
        parameters: TlsParameters::default(),
    };
    (tls, Vec::new())
}

/// All of a Backend's own settings.
fn of_backend(
    scope: Scope<'_>,
    backend: &Backend,
    settings: &BackendTls,
) -> Result<(UpstreamTls, Vec<Arc<Secret>>), Problem> {
    const REASONS: Reasons = Reasons { invalid: "InvalidCACertificateRef", kind: "InvalidKind" };
    let (mut tls, mut secrets) = parameters_of_backend(scope, backend, settings)?;
    let mut found = Vec::new();
    for reference in &settings.ca_certificate_refs {
        let reference = CaCertificateRef {
            group: reference.group.clone(),
            kind: reference.kind.clone(),
            name: reference.name.clone(),
            namespace: None,
        };
        found.push(authorities(scope.resources, Referrer::of(backend), &reference, REASONS)?);
    }
    tls.trust = match bundle(found) {
        _ if settings.insecure_skip_verify => Trust::Anything,
        None => Trust::System,
        Some(secret) => {
            let name = Arc::clone(&secret.name);
            secrets.push(secret);
            Trust::Authorities(name)
        }
    };
    Ok((tls, secrets))
}

/// What of a Backend's own settings holds beside a policy too.
fn parameters_of_backend(
    scope: Scope<'_>,
    backend: &Backend,
    settings: &BackendTls,
) -> Result<(UpstreamTls, Vec<Arc<Secret>>), Problem> {
    let (mut tls, mut secrets) = plain();
    tls.sni = settings.sni.clone();
    tls.auto_sni = tls.sni.is_none();
    tls.alpn = settings.alpn_protocols.clone();
    tls.parameters = TlsParameters {
        min: settings.min_version.and_then(version),
        max: settings.max_version.and_then(version),
        ciphers: settings.ciphers.clone(),
        curves: settings.ecdh_curves.clone(),
        signature_algorithms: settings.signature_algorithms.clone(),
    };
    if settings.auto_sni_from_endpoint_hostname == Some(true) {
        let first = backend.spec.endpoints.first();
        let name = first.and_then(|endpoint| {
            endpoint.hostname.clone().or_else(|| endpoint.fqdn.as_ref().map(|fqdn| fqdn.hostname.clone()))
        });
        tls.auto_sni = name.is_none();
        tls.sni = name;
    }
    if let Some(reference) = &settings.client_certificate_ref {
        let secret =
            certificate(scope.resources, Referrer::of(backend), &secret_ref(reference), "InvalidCertificateRef")?;
        tls.client_certificate = Some(Arc::clone(&secret.name));
        secrets.push(secret);
    }
    Ok((tls, secrets))
}

fn version(version: ApiVersion) -> Option<TlsVersion> {
    match version {
        ApiVersion::Auto => None,
        ApiVersion::V1_0 => Some(TlsVersion::V1_0),
        ApiVersion::V1_1 => Some(TlsVersion::V1_1),
        ApiVersion::V1_2 => Some(TlsVersion::V1_2),
        ApiVersion::V1_3 => Some(TlsVersion::V1_3),
    }
}

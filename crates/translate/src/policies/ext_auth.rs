//! A service decides who may pass: `SecurityPolicy.extAuth`, and the filter `ExternalAuth` of an HTTPRoute.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    ConfigMap, Secret, Stored,
    ext::{
        SecurityPolicy, SecurityPolicySpec,
        common::BackendRef,
        security_policy::ext_auth::{
            ContextExtension, ContextExtensionType, ExtAuth as Settings, GrpcExtAuth, HttpExtAuth,
        },
    },
    gateway::{ExternalAuth, ExternalAuthProtocol},
};
use ir::{
    Features,
    features::{ExtAuth, ExtAuthService},
};

use crate::{
    backends::{Reference, Resolved, Usage, named, resolve},
    grants::Referrer,
    problem::Problem,
    rules::{Compiled, RuleScope},
    secrets::field,
};

/// How long a service may take, unless it is said.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Puts a policy's external authorization into a rule's features.
pub(super) fn apply(
    policy: &SecurityPolicy,
    spec: &SecurityPolicySpec,
    rule: RuleScope<'_>,
    features: &mut Features,
    out: &mut Compiled,
) -> Result<(), Problem> {
    let Some(settings) = &spec.ext_auth else { return Ok(()) };
    // The route's own filter is the more specific word.
    if features.ext_auth.is_some() {
        return Ok(());
    }
    let (service, context) = match (service(policy, settings, rule, out), context(policy, rule, settings)) {
        (Ok(service), Ok(context)) => (service, context),
        (Err(problem), _) | (_, Err(problem)) => {
            // Nobody can decide, so nobody may pass.
            out.fail(rule);
            return Err(problem);
        }
    };
    let timeout = settings.timeout.as_ref().map(|timeout| crate::durations::duration("extAuth.timeout", &timeout.0));
    features.ext_auth = Some(Arc::new(ExtAuth {
        source: policy.reference(),
        service,
        request_headers: settings.headers_to_ext_auth.clone(),
        body_bytes: settings.body_to_ext_auth.as_ref().map(|body| body.max_request_bytes),
        fail_open: settings.fail_open,
        timeout: timeout.transpose()?.unwrap_or(TIMEOUT),
        recompute_route: settings.recompute_route.unwrap_or_default(),
        status_on_error: settings.status_on_error.map(|status| status.code()),
        include_route_metadata: settings.include_route_metadata.unwrap_or_default(),
        context,
    }));
    Ok(())
}

fn service(
    policy: &SecurityPolicy,
    settings: &Settings,
    rule: RuleScope<'_>,
    out: &mut Compiled,
) -> Result<ExtAuthService, Problem> {
    let mut cluster = |one: Option<BackendRef>, several: &[BackendRef], usage| {
        let several: Vec<_> = one.into_iter().chain(several.iter().cloned()).collect();
        named(rule.scope, Referrer::of(policy), &several, usage, &mut out.used)
    };
    match (&settings.grpc, &settings.http) {
        (Some(GrpcExtAuth { backend_ref, backend_refs }), None) => {
            let (cluster, authority) = cluster(backend_ref.clone().map(Into::into), backend_refs, Usage::Grpc)?;
            Ok(ExtAuthService::Grpc { cluster, authority })
        }
        (None, Some(HttpExtAuth { backend_ref, backend_refs, path, path_override, headers_to_backend })) => {
            let (cluster, authority) = cluster(backend_ref.clone().map(Into::into), backend_refs, Usage::Http)?;
            Ok(ExtAuthService::Http {
                cluster,
                authority,
                path: path.clone().unwrap_or_default(),
                path_override: path_override.clone(),
                response_headers: Some(headers_to_backend.clone()),
            })
        }
        _ => Err(Problem::new("Invalid", "extAuth needs exactly one of grpc and http")),
    }
}

/// What is told to the service with each request.
fn context(
    policy: &SecurityPolicy,
    rule: RuleScope<'_>,
    settings: &Settings,
) -> Result<BTreeMap<String, String>, Problem> {
    let pair = |item: &ContextExtension| Ok((item.name.clone(), context_value(policy, rule, item)?));
    settings.context_extensions.iter().map(pair).collect()
}

fn context_value(policy: &SecurityPolicy, rule: RuleScope<'_>, item: &ContextExtension) -> Result<String, Problem> {
    let bad = |message: String| Problem::new("Invalid", format!("extAuth.contextExtensions {}: {message}", item.name));
    match (item.r#type, &item.value, &item.value_ref) {
        (ContextExtensionType::Value, Some(value), _) => Ok(value.clone()),
        (ContextExtensionType::ValueRef, _, Some(reference)) => {
            let (namespace, name, key) = (policy.namespace(), reference.name.as_str(), reference.key.as_str());
            let resources = rule.scope.resources;
            let value = match reference.kind.as_str() {
                Secret::KIND => resources.secrets.get(namespace, name).and_then(|secret| field(secret, key)),
                ConfigMap::KIND => {
                    let map = resources.config_maps.get(namespace, name);
                    let text = map.and_then(|map| map.data.as_ref()).and_then(|data| data.get(key));
                    text.map(|text| text.as_bytes().into())
                }
                other => {
                    return Err(bad(format!("a value cannot be read from a {other}; use a ConfigMap or a Secret")));
                }
            };
            let value = value.ok_or_else(|| bad(format!("{} {namespace}/{name} has no key {key}", reference.kind)))?;
            String::from_utf8(value.to_vec()).map_err(|_| bad(format!("the key {key} is not text")))
        }
        _ => Err(bad("set value, or valueRef with type ValueRef".to_owned())),
    }
}

/// The filter of an HTTPRoute (GEP-1494).
pub(crate) fn of_filter(rule: RuleScope<'_>, auth: &ExternalAuth, out: &mut Compiled) -> Result<ExtAuth, Problem> {
    let reference = Reference {
        group: auth.backend_ref.group.clone().unwrap_or_default(),
        kind: auth.backend_ref.kind.clone().unwrap_or_else(|| "Service".to_owned()),
        namespace: auth.backend_ref.namespace.clone(),
        name: auth.backend_ref.name.clone(),
        port: auth.backend_ref.port,
    };
    let is_grpc = auth.protocol == ExternalAuthProtocol::Grpc;
    let usage = if is_grpc { Usage::Grpc } else { Usage::Http };
    let resolved: Resolved = resolve(rule.scope, Referrer::of(rule.route), &reference, usage)?;
    let authority = resolved.authority.clone();
    let broken = || Problem::new("BackendNotFound", format!("{} has a broken BackendTLSPolicy", reference.name));
    let cluster = out.used.note(resolved).ok_or_else(broken)?;
    let (service, headers) = if is_grpc {
        let headers = auth.grpc.as_ref().and_then(|grpc| grpc.allowed_headers.clone());
        (ExtAuthService::Grpc { cluster, authority }, headers)
    } else {
        let http = auth.http.clone().unwrap_or_default();
        // An empty list is all, other than in a SecurityPolicy.
        let response_headers = http.allowed_response_headers.filter(|names| !names.is_empty());
        let path = http.path.unwrap_or_default();
        (ExtAuthService::Http { cluster, authority, path, path_override: None, response_headers }, http.allowed_headers)
    };
    let size = auth.forward_body.as_ref().and_then(|body| body.max_size);
    Ok(ExtAuth {
        source: rule.route.reference(),
        service,
        request_headers: headers.unwrap_or_default(),
        body_bytes: size.and_then(|size| u32::try_from(size).ok()).filter(|size| *size > 0),
        fail_open: false,
        timeout: TIMEOUT,
        recompute_route: false,
        status_on_error: None,
        include_route_metadata: false,
        context: BTreeMap::new(),
    })
}

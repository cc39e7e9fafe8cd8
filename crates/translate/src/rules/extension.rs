//! `HTTPRouteFilter`, the filter of ours that a rule can refer to.

use std::sync::Arc;

use api::{
    ConfigMap, Stored,
    ext::{
        HttpRouteFilter, HttpRouteFilterSpec,
        http_route_filter::{
            BodyType, CookieMatchType, CredentialInjection, DirectResponse, HostnameRewrite, HostnameRewriteType,
            ResponseBody, UrlRewrite,
        },
    },
    gateway::ExtensionRef,
};
use ir::{
    SecretMaterial, features,
    route::{HeaderMutation, HostRewrite, PathRewrite, Respond},
};

use super::{Compiled, RuleFilters, RuleScope, matches};
use crate::{
    certificates::Reasons,
    grants::{Referent, Referrer},
    problem::Problem,
    rejections::rejection,
    secrets,
};

/// The key of a ConfigMap that holds the body of an answer, unless it has one key only.
const BODY_KEY: &str = "response.body";
/// The key of a Secret that holds the value of a header.
const CREDENTIAL_KEY: &str = "credential";

/// Follows a reference to a filter. The specification wants requests to fail when it does not resolve.
pub(super) fn apply(
    rule: RuleScope<'_>,
    reference: &ExtensionRef,
    into: &mut RuleFilters,
    out: &mut Compiled,
) -> Result<(), Problem> {
    let found =
        if (reference.group.as_str(), reference.kind.as_str()) == (HttpRouteFilter::GROUP, HttpRouteFilter::KIND) {
            let filter = rule.scope.resources.http_route_filters.get(rule.route.namespace(), &reference.name);
            filter.ok_or_else(|| {
                let name = format!("{}/{}", rule.route.namespace(), reference.name);
                Problem::new("BackendNotFound", format!("HTTPRouteFilter {name} does not exist"))
            })
        } else {
            let kind = &reference.kind;
            Err(Problem::new(
                "InvalidKind",
                format!("{kind} of group {:?} is not a filter; use an HTTPRouteFilter", reference.group),
            ))
        };
    let taken = found.and_then(|filter| {
        rejection(rule.scope.resources, &rule.scope.fleet().name, &**filter).map_or(Ok(()), Err)?;
        into.extensions.push(filter.reference());
        of_filter(rule, filter, into, out)
    });
    match taken {
        Ok(()) => {}
        Err(problem) => {
            into.fail = true;
            out.unresolved.push(problem);
        }
    }
    Ok(())
}

fn of_filter(
    rule: RuleScope<'_>,
    filter: &HttpRouteFilter,
    into: &mut RuleFilters,
    out: &mut Compiled,
) -> Result<(), Problem> {
    let HttpRouteFilterSpec { url_rewrite, direct_response, credential_injection, matches } = &filter.spec;
    if let Some(rewrite) = url_rewrite {
        of_rewrite(rewrite, into)?;
    }
    if let Some(response) = direct_response {
        into.respond = Some(respond(rule, response)?);
    }
    if let Some(injection) = credential_injection {
        into.features.credential = Some(Arc::new(credential(rule, filter, injection, out)?));
    }
    for item in matches {
        let cookies = item.cookies.iter().map(|cookie| {
            let is_regex = cookie.r#type == CookieMatchType::RegularExpression;
            Ok((cookie.name.clone(), matches::value(is_regex, &cookie.value)?))
        });
        into.cookies.push(cookies.collect::<Result<_, Problem>>()?);
    }
    Ok(())
}

fn of_rewrite(rewrite: &UrlRewrite, into: &mut RuleFilters) -> Result<(), Problem> {
    if let Some(regex) = rewrite.path.as_ref().and_then(|path| path.replace_regex_match.as_ref()) {
        let pattern = matches::regex(&regex.pattern)?;
        into.path = Some(PathRewrite::Regex { pattern, substitution: regex.substitution.clone() });
    }
    if let Some(hostname) = &rewrite.hostname {
        into.host = Some(host_rewrite(hostname)?);
    }
    into.append_forwarded_host = rewrite.append_x_forwarded_host.unwrap_or_default();
    Ok(())
}

fn host_rewrite(hostname: &HostnameRewrite) -> Result<HostRewrite, Problem> {
    let missing =
        |field: &str| Problem::new("UnsupportedValue", format!("urlRewrite.hostname of this type needs {field}"));
    match hostname.r#type {
        HostnameRewriteType::Backend => Ok(HostRewrite::Endpoint),
        HostnameRewriteType::Header => {
            hostname.header.clone().map(HostRewrite::Header).ok_or_else(|| missing("header"))
        }
        HostnameRewriteType::PathRegex => {
            let regex = hostname.path_regex.as_ref().ok_or_else(|| missing("pathRegex"))?;
            let pattern = matches::regex(&regex.pattern)?;
            Ok(HostRewrite::PathRegex { pattern, substitution: regex.substitution.clone() })
        }
    }
}

fn respond(rule: RuleScope<'_>, response: &DirectResponse) -> Result<Respond, Problem> {
    let headers = response.header.as_ref().map(|headers| HeaderMutation {
        set: headers.set.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        add: headers.add.iter().map(|header| (header.name.clone(), header.value.clone())).collect(),
        remove: headers.remove.clone(),
    });
    Ok(Respond {
        status: response.status_code.unwrap_or(200),
        body: response.body.as_ref().map(|body| self::body(rule, body)).transpose()?,
        headers: headers.unwrap_or_default(),
        content_type: response.content_type.clone(),
    })
}

fn body(rule: RuleScope<'_>, body: &ResponseBody) -> Result<Arc<[u8]>, Problem> {
    // Each route table tells Envoy so (RouteConfiguration.max_direct_response_body_size_bytes): it would refuse the whole of it.
    const MOST: usize = Respond::MOST_BODY_BYTES as usize;
    let text: Arc<[u8]> = match (body.r#type, &body.value_ref) {
        (BodyType::Inline, _) => body.inline.as_deref().unwrap_or_default().as_bytes().into(),
        (BodyType::ValueRef, Some(reference)) if reference.kind == ConfigMap::KIND && reference.group.is_empty() => {
            let name = format!("ConfigMap {}/{}", rule.route.namespace(), reference.name);
            let bad = |what: &str| Problem::new("BackendNotFound", format!("{name} {what}"));
            let map = rule.scope.resources.config_maps.get(rule.route.namespace(), &reference.name);
            let data = map.ok_or_else(|| bad("does not exist"))?.data.as_ref().ok_or_else(|| bad("is empty"))?;
            let value = data.get(BODY_KEY).or_else(|| data.values().next().filter(|_| data.len() == 1));
            value.ok_or_else(|| bad(&format!("has no key {BODY_KEY}")))?.as_bytes().into()
        }
        (BodyType::ValueRef, _) => {
            return Err(Problem::new("InvalidKind", "directResponse.body.valueRef must name a ConfigMap"));
        }
    };
    match text.len() {
        length if length > MOST => Err(Problem::new(
            "UnsupportedValue",
            format!("the body of a direct response has {length} bytes; at most {MOST} are taken"),
        )),
        _ => Ok(text),
    }
}

fn credential(
    rule: RuleScope<'_>,
    filter: &HttpRouteFilter,
    injection: &CredentialInjection,
    out: &mut Compiled,
) -> Result<features::CredentialInjection, Problem> {
    let reference = &injection.credential.value_ref;
    let from = Referrer::of(filter);
    let to = Referent {
        group: &reference.group,
        kind: &reference.kind,
        namespace: reference.namespace.as_deref().unwrap_or(from.namespace),
        name: &reference.name,
    };
    let reasons = Reasons { invalid: "BackendNotFound", kind: "InvalidKind" };
    let held = secrets::secret(rule.scope.resources, from, to, reasons)?;
    let value = held.field(CREDENTIAL_KEY)?;
    let name: Arc<str> = format!("value/{}/{}/{CREDENTIAL_KEY}", to.namespace, to.name).into();
    let material = SecretMaterial::Value(value);
    let kept = ir::Secret { name: Arc::clone(&name), material, source: held.secret.reference() };
    out.used.secrets.insert(Arc::clone(&name), Arc::new(kept));
    Ok(features::CredentialInjection {
        source: filter.reference(),
        header: injection.header.clone().unwrap_or_else(|| "Authorization".to_owned()),
        overwrite: injection.overwrite.unwrap_or_default(),
        secret: name,
    })
}

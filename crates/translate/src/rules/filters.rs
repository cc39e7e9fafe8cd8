//! The filters of a rule.

use std::sync::Arc;

use api::gateway::{
    Filter, FilterType, HeaderModifier, PathMatchType, PathModifier, PathModifierType, RedirectScheme, RequestMirror,
    RequestRedirect, UrlRewrite, same_shape,
};
use ir::route::{HeaderMutation, HostRewrite, Mirror, PathRewrite, Redirect};

use super::{Compiled, RuleFilters, RuleScope, extension};
use crate::{
    backends::{RedirectsFrom, Reference, resolve},
    policies::ext_auth,
    problem::Problem,
};

/// Reads all filters of a rule. An error drops the rule.
pub(super) fn of_rule(rule: RuleScope<'_>, out: &mut Compiled) -> Result<RuleFilters, Problem> {
    let mut filters = RuleFilters::default();
    for filter in rule.rule.filters.iter().flatten() {
        apply(rule, filter, &mut filters, out)?;
    }
    if filters.redirect.is_some() && (filters.path.is_some() || filters.host.is_some()) {
        let message = "RequestRedirect and URLRewrite exclude one another; remove one of them";
        return Err(Problem::new("IncompatibleFilters", message));
    }
    Ok(filters)
}

fn apply(rule: RuleScope<'_>, filter: &Filter, into: &mut RuleFilters, out: &mut Compiled) -> Result<(), Problem> {
    let missing =
        |field: &str| Problem::new("UnsupportedValue", format!("a filter of this type needs the field {field}"));
    match filter.r#type {
        FilterType::RequestHeaderModifier => {
            let modifier = filter.request_header_modifier.as_ref().ok_or_else(|| missing("requestHeaderModifier"))?;
            into.features.request_headers = mutation(modifier);
        }
        FilterType::ResponseHeaderModifier => {
            let modifier = filter.response_header_modifier.as_ref().ok_or_else(|| missing("responseHeaderModifier"))?;
            into.features.response_headers = mutation(&same_shape(modifier));
        }
        FilterType::RequestMirror => {
            let request_mirror = filter.request_mirror.as_ref().ok_or_else(|| missing("requestMirror"))?;
            mirror(rule, request_mirror, into, out);
        }
        FilterType::RequestRedirect => {
            let request_redirect = filter.request_redirect.as_ref().ok_or_else(|| missing("requestRedirect"))?;
            into.redirect = Some(redirect(rule, request_redirect)?);
        }
        FilterType::UrlRewrite => {
            let rewrite = filter.url_rewrite.as_ref().ok_or_else(|| missing("urlRewrite"))?;
            url_rewrite(rule, rewrite, into)?;
        }
        FilterType::Cors => {
            let cors = filter.cors.clone().ok_or_else(|| missing("cors"))?;
            into.features.cors = Some(Arc::new(cors));
        }
        FilterType::ExternalAuth => {
            let auth = filter.external_auth.as_ref().ok_or_else(|| missing("externalAuth"))?;
            match ext_auth::of_filter(rule, auth, out) {
                Ok(auth) => into.features.ext_auth = Some(Arc::new(auth)),
                Err(problem) => {
                    into.fail = true;
                    out.unresolved.push(problem);
                }
            }
        }
        FilterType::ExtensionRef => {
            let reference = filter.extension_ref.as_ref().ok_or_else(|| missing("extensionRef"))?;
            extension::apply(rule, reference, into, out)?;
        }
    }
    Ok(())
}

/// Headers that are changed.
pub(super) fn mutation(modifier: &HeaderModifier) -> HeaderMutation {
    HeaderMutation {
        set: modifier.set.iter().flatten().map(|header| (header.name.clone(), header.value.clone())).collect(),
        add: modifier.add.iter().flatten().map(|header| (header.name.clone(), header.value.clone())).collect(),
        remove: modifier.remove.clone().unwrap_or_default(),
    }
}

/// A mirror that does not resolve is told, and not sent; the request itself goes its way.
fn mirror(rule: RuleScope<'_>, mirror: &RequestMirror, into: &mut RuleFilters, out: &mut Compiled) {
    let millionths = match (&mirror.fraction, mirror.percent) {
        (Some(fraction), _) => {
            let denominator = f64::from(fraction.denominator.unwrap_or(100).max(1));
            (f64::from(fraction.numerator) / denominator * 1e6).clamp(0.0, 1e6) as u32
        }
        (None, Some(percent)) => u32::try_from(percent.clamp(0, 100)).unwrap_or_default() * 10_000,
        (None, None) => 1_000_000,
    };
    match resolve(rule.scope, rule.referrer(), &Reference::from(&mirror.backend_ref), rule.usage()) {
        Ok(resolved) => {
            if let Some(cluster) = out.used.note(resolved) {
                into.mirrors.push(Mirror { cluster, millionths });
            }
        }
        Err(problem) => out.unresolved.push(problem),
    }
}

fn redirect(rule: RuleScope<'_>, redirect: &RequestRedirect) -> Result<Redirect, Problem> {
    let port = redirect
        .port
        .map(|port| u16::try_from(port).map_err(|_| Problem::new("UnsupportedValue", format!("{port} is not a port"))));
    let path = redirect.path.as_ref().map(|path| path_rewrite(rule, &same_shape(path)));
    let port = port.transpose()?;
    let from = rule.scope.redirects_from.filter(|_| redirect.scheme.is_none());
    // The specification wants no port in the location where the scheme implies it, be it the listener's.
    let of_listener = from.map(RedirectsFrom::scheme).filter(|scheme| port == Some(implied_port(scheme)));
    let scheme = redirect.scheme.clone().or(of_listener);
    let implied = scheme.as_ref().map(implied_port);
    // Without scheme and port the target is on this listener's port.
    let own_port = from.filter(|from| redirect.hostname.is_some() && from.port != implied_port(&from.scheme()));
    Ok(Redirect {
        port: match port {
            Some(port) => Some(port).filter(|port| Some(*port) != implied),
            None => own_port.map(|from| from.port),
        },
        scheme,
        hostname: redirect.hostname.clone(),
        path: path.transpose()?,
        status: redirect.status_code.and_then(|code| u16::try_from(code).ok()).unwrap_or(302),
    })
}

fn implied_port(scheme: &RedirectScheme) -> u16 {
    match scheme {
        RedirectScheme::Http => 80,
        RedirectScheme::Https => 443,
    }
}

fn url_rewrite(rule: RuleScope<'_>, rewrite: &UrlRewrite, into: &mut RuleFilters) -> Result<(), Problem> {
    if let Some(hostname) = &rewrite.hostname {
        into.host = Some(HostRewrite::Name(hostname.clone()));
    }
    if let Some(path) = &rewrite.path {
        into.path = Some(path_rewrite(rule, path)?);
    }
    Ok(())
}

fn path_rewrite(rule: RuleScope<'_>, path: &PathModifier) -> Result<PathRewrite, Problem> {
    match path.r#type {
        PathModifierType::ReplaceFullPath => Ok(PathRewrite::Full(path.replace_full_path.clone().unwrap_or_default())),
        PathModifierType::ReplacePrefixMatch => {
            let prefixes_only = rule.rule.matches.iter().flatten().all(|item| {
                let kind = item.path.as_ref().and_then(|path| path.r#type.as_ref());
                matches!(kind, None | Some(PathMatchType::PathPrefix))
            });
            match prefixes_only {
                true => Ok(PathRewrite::Prefix(path.replace_prefix_match.clone().unwrap_or_default())),
                false => Err(Problem::new(
                    "UnsupportedValue",
                    "ReplacePrefixMatch needs every match of the rule to be of type PathPrefix",
                )),
            }
        }
    }
}

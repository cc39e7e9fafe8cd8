//! What a rule does with a request: forward, redirect or answer.

use api::{
    RouteKind,
    gateway::{BackendRef, FilterType, HeaderModifier, backend_filters, same_shape},
};
use ir::{
    Action, Forward, WeightedCluster,
    route::{HeaderMutation, Retry},
};

use super::{Compiled, RuleFilters, RuleScope, failure, filters::mutation, persistence};
use crate::{
    backends::{Member, Reference, Resolved, combine, resolve},
    durations::duration,
    problem::Problem,
};

/// The action of a rule. An error drops the rule.
pub(super) fn of_rule(rule: RuleScope<'_>, filters: RuleFilters, out: &mut Compiled) -> Result<Action, Problem> {
    if filters.fail {
        return Ok(failure(rule));
    }
    if let Some(redirect) = filters.redirect {
        return Ok(Action::Redirect(redirect));
    }
    if let Some(respond) = filters.respond {
        return Ok(Action::Respond(respond));
    }
    let mut forward = Forward {
        path: filters.path,
        host: filters.host,
        append_forwarded_host: filters.append_forwarded_host,
        mirrors: filters.mirrors,
        ..Forward::default()
    };
    timeouts(rule, &mut forward)?;
    forward.session =
        rule.rule.session_persistence.as_ref().map(|settings| persistence::session(rule, settings)).transpose()?;
    forward.clusters = clusters(rule, forward.session.is_some(), out)?;
    forward.unresolved_is_unavailable = rule.route.kind == RouteKind::Grpc;
    // Nothing to send to: the specification wants 500, or UNAVAILABLE of gRPC.
    let any = forward.clusters.iter().any(|share| share.weight > 0 && share.cluster.is_some());
    Ok(if any { Action::Forward(Box::new(forward)) } else { failure(rule) })
}

fn timeouts(rule: RuleScope<'_>, forward: &mut Forward) -> Result<(), Problem> {
    // "0s" asks for no limit.
    let limit = |field: &str, text: &Option<String>| match text {
        Some(text) => duration(field, text).map(|time| (!time.is_zero()).then_some(time)),
        None => Ok(None),
    };
    if let Some(timeouts) = &rule.rule.timeouts {
        forward.timeout = limit("timeouts.request", &timeouts.request)?;
        forward.try_timeout = limit("timeouts.backendRequest", &timeouts.backend_request)?;
    }
    if let Some(retry) = &rule.rule.retry {
        forward.retry = Some(Retry {
            attempts: retry.attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(1),
            backoff: retry.backoff.as_deref().map(|text| duration("retry.backoff", text)).transpose()?,
            codes: retry.codes.iter().flatten().filter_map(|code| u32::try_from(*code).ok()).collect(),
        });
    }
    // A limit for each try is a limit for the whole where nothing is tried again.
    if forward.retry.is_none() && forward.try_timeout.is_some() {
        let try_timeout = forward.try_timeout.take();
        forward.timeout = [forward.timeout, try_timeout].into_iter().flatten().min();
    }
    Ok(())
}

/// One back end of a rule that was looked at.
struct Share {
    resolved: Option<Resolved>,
    weight: u32,
    request_headers: HeaderMutation,
    response_headers: HeaderMutation,
}

fn clusters(rule: RuleScope<'_>, session: bool, out: &mut Compiled) -> Result<Vec<WeightedCluster>, Problem> {
    let references = rule.rule.backend_refs.as_deref().unwrap_or_default();
    let mut shares = references.iter().map(|reference| share(rule, reference, out)).collect::<Result<Vec<_>, _>>()?;
    let fallback = shares.iter().any(|share| share.resolved.as_ref().is_some_and(|resolved| resolved.fallback));
    let several = shares.iter().filter(|share| share.weight > 0).count() > 1;
    if several && (session || fallback) {
        return together(shares, out);
    }
    Ok(shares
        .drain(..)
        .map(|share| WeightedCluster {
            cluster: share.resolved.and_then(|resolved| out.used.note(resolved)),
            weight: share.weight,
            request_headers: share.request_headers,
            response_headers: share.response_headers,
        })
        .collect())
}

/// All back ends as one cluster, for a session over all of them, or a fall-back.
fn together(shares: Vec<Share>, out: &mut Compiled) -> Result<Vec<WeightedCluster>, Problem> {
    let mut members = Vec::new();
    let mut lost = 0;
    for share in shares {
        if !share.request_headers.is_empty() || !share.response_headers.is_empty() {
            let message = "filters of a backendRef cannot stand beside session persistence or a fallback Backend";
            return Err(Problem::new("UnsupportedValue", message));
        }
        let weight = share.weight;
        let fallback = share.resolved.as_ref().is_some_and(|resolved| resolved.fallback);
        match share.resolved.and_then(|resolved| out.used.note_keys(resolved)) {
            Some(cluster) => members.push(Member { cluster, weight, fallback }),
            None => lost += weight,
        }
    }
    let weight = members.iter().filter(|member| !member.fallback).map(|member| member.weight).sum::<u32>().max(1);
    let share = |cluster, weight| WeightedCluster {
        cluster,
        weight,
        request_headers: HeaderMutation::default(),
        response_headers: HeaderMutation::default(),
    };
    let mut clusters = Vec::new();
    if !members.is_empty() {
        let message =
            "back ends of one session, or with a fallback, must speak the same protocol and be found in the same way";
        let cluster = combine(&members).ok_or_else(|| Problem::new("UnsupportedValue", message))?;
        clusters.push(share(Some(out.used.note_cluster(cluster)), weight));
    }
    if lost > 0 {
        clusters.push(share(None, lost));
    }
    Ok(clusters)
}

fn share(rule: RuleScope<'_>, reference: &BackendRef, out: &mut Compiled) -> Result<Share, Problem> {
    let mut share = Share {
        resolved: None,
        weight: reference.weight.and_then(|weight| u32::try_from(weight).ok()).unwrap_or(1),
        request_headers: HeaderMutation::default(),
        response_headers: HeaderMutation::default(),
    };
    for filter in backend_filters(reference) {
        match (filter.r#type, filter.request_header_modifier, filter.response_header_modifier) {
            (FilterType::RequestHeaderModifier, Some(modifier), _) => share.request_headers = mutation(&modifier),
            (FilterType::ResponseHeaderModifier, _, Some(modifier)) => {
                let modifier: HeaderModifier = same_shape(&modifier);
                share.response_headers = mutation(&modifier);
            }
            (other, ..) => {
                let message = format!("a backendRef cannot have a filter of type {other:?}; move it to the rule");
                return Err(Problem::new("UnsupportedValue", message));
            }
        }
    }
    match resolve(rule.scope, rule.referrer(), &Reference::from(reference), rule.usage()) {
        Ok(resolved) => share.resolved = Some(resolved),
        Err(problem) => out.unresolved.push(problem),
    }
    Ok(share)
}

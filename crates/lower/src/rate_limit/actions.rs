//! What Envoy tells the service of a request.

use envoy::{
    matcher::{AddressMatcher, StringMatcher, string_matcher::MatchPattern},
    metadata::{
        MetadataKey,
        metadata_key::{PathSegment, path_segment::Segment},
    },
    route::{
        HeaderMatcher, QueryParameterMatcher, RateLimit,
        header_matcher::HeaderMatchSpecifier,
        query_parameter_matcher::QueryParameterMatchSpecifier,
        rate_limit::{
            Action, HitsAddend, Override, XRateLimitOption,
            action::{
                ActionSpecifier, GenericKey, HeaderValueMatch, QueryParameterValueMatch, QueryParameters,
                RemoteAddress, RemoteAddressMatch, RequestHeaders,
            },
            r#override::{DynamicMetadata, OverrideSpecifier},
        },
    },
    xds_core::CidrRange,
};
use ir::{
    api::ext::backend_traffic_policy::rate_limit::{
        Cost, CostFrom, Method, NamedMatch, NamedMatchType, PathMatch, PathMatchType, RateLimitHeaders, RateLimitRule,
        SourceMatch,
    },
    features::GlobalRateLimit,
};

use super::{Entry, entry};
use crate::convert::{exact, pattern, quote, regex};

/// The limits of a route: for each rule one for the request and, where the answer costs something, one for the answer.
pub(crate) fn of_route(limit: &GlobalRateLimit) -> Vec<RateLimit> {
    limit.rules.iter().enumerate().flat_map(|(index, rule)| of_rule(limit, index, rule)).collect()
}

fn of_rule(limit: &GlobalRateLimit, index: usize, rule: &RateLimitRule) -> Vec<RateLimit> {
    let RateLimitRule { client_selectors: _, limit: value, cost, shared: _, shadow_mode: _, x_rate_limit_headers } =
        rule;
    let entries = entry::of_rule(limit, index, rule);
    let request = RateLimit {
        actions: entries.iter().map(action).collect(),
        hits_addend: cost.as_ref().and_then(|cost| cost.request.as_ref()).map(hits),
        limit: value.from_metadata.as_ref().map(|place| Override {
            override_specifier: Some(OverrideSpecifier::DynamicMetadata(DynamicMetadata {
                metadata_key: Some(metadata_key(&place.namespace, &place.key)),
            })),
        }),
        x_ratelimit_option: match x_rate_limit_headers {
            None => XRateLimitOption::Unspecified,
            Some(RateLimitHeaders::Off) => XRateLimitOption::Off,
            Some(RateLimitHeaders::DraftVersion03) => XRateLimitOption::DraftVersion03,
        }
        .into(),
        ..Default::default()
    };
    let answer = cost.as_ref().and_then(|cost| cost.response.as_ref()).map(|cost| RateLimit {
        hits_addend: Some(hits(cost)),
        apply_on_stream_done: true,
        ..request.clone()
    });
    std::iter::once(request).chain(answer).collect()
}

fn hits(cost: &Cost) -> HitsAddend {
    match (cost.from, &cost.metadata) {
        (CostFrom::Metadata, Some(place)) => {
            let format = format!("%DYNAMIC_METADATA({}:{})%", place.namespace, place.key);
            HitsAddend { format, ..Default::default() }
        }
        _ => HitsAddend { number: Some(cost.number.unwrap_or(1)), ..Default::default() },
    }
}

fn metadata_key(namespace: &str, key: &str) -> MetadataKey {
    MetadataKey { key: namespace.to_owned(), path: vec![PathSegment { segment: Some(Segment::Key(key.to_owned())) }] }
}

fn action(entry: &Entry<'_>) -> Action {
    let (descriptor_key, value) = entry.key_and_value();
    let descriptor_value = value.unwrap_or_default();
    let specifier = match entry {
        Entry::Fixed(..) => {
            ActionSpecifier::GenericKey(GenericKey { descriptor_key, descriptor_value, ..Default::default() })
        }
        Entry::Matches(_, conditions) => {
            let methods = conditions.methods.iter().map(|(methods, invert)| method(methods, *invert));
            let paths = conditions.paths.iter().map(|path| path_header(path));
            let headers =
                conditions.headers.iter().map(|header| header_match(&header.name, value_match(header), header.invert));
            let headers = methods.chain(paths).chain(headers).collect();
            ActionSpecifier::HeaderValueMatch(HeaderValueMatch {
                descriptor_key,
                descriptor_value,
                headers,
                ..Default::default()
            })
        }
        Entry::Query(_, parameter) => ActionSpecifier::QueryParameterValueMatch(QueryParameterValueMatch {
            descriptor_key,
            descriptor_value,
            expect_match: parameter.invert.then_some(false),
            query_parameters: vec![QueryParameterMatcher {
                name: parameter.name.clone(),
                query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(value_match(
                    parameter,
                ))),
            }],
            ..Default::default()
        }),
        Entry::Source(source) => ActionSpecifier::RemoteAddressMatch(RemoteAddressMatch {
            descriptor_key,
            descriptor_value,
            address_matcher: Some(address_match(source)),
            ..Default::default()
        }),
        Entry::EachAddress => ActionSpecifier::RemoteAddress(RemoteAddress {}),
        Entry::EachHeader(name) => ActionSpecifier::RequestHeaders(RequestHeaders {
            header_name: (*name).to_owned(),
            descriptor_key,
            ..Default::default()
        }),
        Entry::EachQuery(name) => ActionSpecifier::QueryParameters(QueryParameters {
            query_parameter_name: (*name).to_owned(),
            descriptor_key,
            ..Default::default()
        }),
    };
    Action { action_specifier: Some(specifier) }
}

fn value_match(named: &NamedMatch) -> StringMatcher {
    let value = named.value.as_deref().unwrap_or_default();
    match named.r#type {
        NamedMatchType::RegularExpression => pattern(MatchPattern::SafeRegex(regex(value))),
        NamedMatchType::Exact | NamedMatchType::Distinct => exact(value),
    }
}

fn header_match(name: &str, matcher: StringMatcher, invert_match: bool) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        invert_match,
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(matcher)),
        ..Default::default()
    }
}

fn method(methods: &[Method], invert: bool) -> HeaderMatcher {
    // The type's own spelling is the upper-case name.
    let names: Vec<String> = methods.iter().map(|method| format!("{method:?}").to_ascii_uppercase()).collect();
    let matcher = match names.as_slice() {
        [only] => exact(only),
        several => pattern(MatchPattern::SafeRegex(regex(&several.join("|")))),
    };
    header_match(":method", matcher, invert)
}

/// The path is looked at with its query, which must not count.
fn path_header(path: &PathMatch) -> HeaderMatcher {
    const QUERY: &str = r"(?:\?.*)?";
    let expression = match path.r#type {
        PathMatchType::Exact => format!("{}{QUERY}", quote(&path.value)),
        PathMatchType::PathPrefix => format!("{}(?:/.*)?{QUERY}", quote(path.value.trim_end_matches('/'))),
        PathMatchType::RegularExpression => format!("(?:{}){QUERY}", path.value),
    };
    header_match(":path", pattern(MatchPattern::SafeRegex(regex(&expression))), path.invert)
}

fn address_match(source: &SourceMatch) -> AddressMatcher {
    let (address, length) = source.value.split_once('/').unwrap_or((&source.value, ""));
    let whole = if address.contains(':') { 128 } else { 32 };
    let range = CidrRange { address_prefix: address.to_owned(), prefix_len: Some(length.parse().unwrap_or(whole)) };
    AddressMatcher { ranges: vec![range], invert_match: source.invert }
}

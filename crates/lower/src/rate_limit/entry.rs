//! The entries of a rule's descriptor.

use ir::{
    api::ext::backend_traffic_policy::rate_limit::{
        ClientSelector, Method, NamedMatch, NamedMatchType, PathMatch, RateLimitRule, SourceMatch, SourceMatchType,
    },
    features::GlobalRateLimit,
};

/// One entry of a descriptor. All conditions of a rule must hold; each has an entry or shares one.
#[derive(Debug, PartialEq)]
pub(super) enum Entry<'a> {
    /// Always there, with this key and value.
    Fixed(&'static str, String),
    /// There when all of these hold.
    Matches(String, Conditions<'a>),
    /// There when a query parameter has a value, or has not.
    Query(String, &'a NamedMatch),
    /// There when the client's address is in a range, or is not.
    Source(&'a SourceMatch),
    /// The client's address: each has a counter of its own.
    EachAddress,
    /// The value of a header: each has a counter of its own.
    EachHeader(&'a str),
    /// The value of a query parameter: each has a counter of its own.
    EachQuery(&'a str),
}

/// Conditions that Envoy can look at in one go.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Conditions<'a> {
    pub(super) headers: Vec<&'a NamedMatch>,
    /// One of the list for each selector, and whether it is inverted.
    pub(super) methods: Vec<(Vec<Method>, bool)>,
    pub(super) paths: Vec<&'a PathMatch>,
}

impl Conditions<'_> {
    fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.methods.is_empty() && self.paths.is_empty()
    }
}

/// The entries of the rule with this index. The first sets the route apart, or the policy where the rule is shared; the
/// second the rule.
pub(super) fn of_rule<'a>(limit: &'a GlobalRateLimit, index: usize, rule: &'a RateLimitRule) -> Vec<Entry<'a>> {
    let scope = match rule.shared {
        Some(true) => Entry::Fixed("policy", format!("{}/{}", limit.source.namespace, limit.source.name)),
        _ => Entry::Fixed("route", limit.scope.clone()),
    };
    let mut conditions = Conditions::default();
    let mut rest = Vec::new();
    for selector in &rule.client_selectors {
        of_selector(selector, &mut conditions, &mut rest);
    }
    let number = index.to_string();
    let rule = if conditions.is_empty() { Entry::Fixed("rule", number) } else { Entry::Matches(number, conditions) };
    [scope, rule].into_iter().chain(rest).collect()
}

fn of_selector<'a>(selector: &'a ClientSelector, conditions: &mut Conditions<'a>, rest: &mut Vec<Entry<'a>>) {
    let ClientSelector { headers, methods, path, source_cidr, query_params } = selector;
    for header in headers {
        match header.r#type {
            NamedMatchType::Distinct => rest.push(Entry::EachHeader(&header.name)),
            NamedMatchType::Exact | NamedMatchType::RegularExpression => conditions.headers.push(header),
        }
    }
    // One of those that are wanted, and none of those that are not.
    for invert in [false, true] {
        let listed: Vec<_> =
            methods.iter().filter(|method| method.invert == invert).map(|method| method.value).collect();
        conditions.methods.extend((!listed.is_empty()).then_some((listed, invert)));
    }
    conditions.paths.extend(path);
    for (index, parameter) in query_params.iter().enumerate() {
        rest.push(match parameter.r#type {
            NamedMatchType::Distinct => Entry::EachQuery(&parameter.name),
            NamedMatchType::Exact | NamedMatchType::RegularExpression => Entry::Query(index.to_string(), parameter),
        });
    }
    if let Some(source) = source_cidr {
        rest.push(Entry::Source(source));
        rest.extend((source.r#type == SourceMatchType::Distinct).then_some(Entry::EachAddress));
    }
}

impl Entry<'_> {
    /// The key and, unless each value has a counter of its own, the value.
    pub(super) fn key_and_value(&self) -> (String, Option<String>) {
        match self {
            Self::Fixed(key, value) => ((*key).to_owned(), Some(value.clone())),
            Self::Matches(rule, _) => ("rule".to_owned(), Some(rule.clone())),
            Self::Query(index, parameter) => (format!("query/{index}/{}", parameter.name), Some("match".to_owned())),
            Self::Source(source) => ("source".to_owned(), Some(source.value.clone())),
            Self::EachAddress => ("remote_address".to_owned(), None),
            Self::EachHeader(name) => (format!("header/{}", name.to_ascii_lowercase()), None),
            Self::EachQuery(name) => (format!("query/{name}"), None),
        }
    }
}

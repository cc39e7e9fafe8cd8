//! What a rule says has to be something that Envoy takes, and means what it says.

use std::net::IpAddr;

use api::ext::backend_traffic_policy::rate_limit::{
    ClientSelector, Cost, CostFrom, NamedMatch, NamedMatchType, PathMatchType, RateLimitRule,
};

use crate::{problem::Problem, rules::regex};

/// The most that a request may cost, by Envoy's rules.
const DEAREST: u64 = 1_000_000_000;

/// The first thing in a policy's rules that cannot be used.
pub(super) fn rules(rules: &[RateLimitRule]) -> Result<(), Problem> {
    for (index, rule) in rules.iter().enumerate() {
        let field = format!("rateLimit.global.rules[{index}]");
        for (number, item) in rule.client_selectors.iter().enumerate() {
            selector(item, &format!("{field}.clientSelectors[{number}]"))?;
        }
        let costs = rule.cost.iter().flat_map(|cost| [("request", &cost.request), ("response", &cost.response)]);
        for (side, item) in costs.filter_map(|(side, item)| Some((side, item.as_ref()?))) {
            cost(item, &format!("{field}.cost.{side}"))?;
        }
    }
    Ok(())
}

fn selector(selector: &ClientSelector, field: &str) -> Result<(), Problem> {
    let ClientSelector { headers, methods: _, path, source_cidr, query_params } = selector;
    for (list, items) in [("headers", headers), ("queryParams", query_params)] {
        for (index, item) in items.iter().enumerate() {
            named(item, &format!("{field}.{list}[{index}]"))?;
        }
    }
    if let Some(path) = path.as_ref().filter(|path| path.r#type == PathMatchType::RegularExpression) {
        expression(&path.value, &format!("{field}.path"))?;
    }
    if let Some(source) = source_cidr.as_ref().filter(|source| !is_range(&source.value)) {
        let message = format!(
            "{field}.sourceCIDR.value is {:?}, allowed: an address with the length of the range's prefix, such as \
             192.0.2.0/24 or 2001:db8::/32",
            source.value
        );
        return Err(invalid(message));
    }
    Ok(())
}

fn named(item: &NamedMatch, field: &str) -> Result<(), Problem> {
    match (item.r#type, &item.value) {
        (NamedMatchType::Distinct, _) | (NamedMatchType::Exact, Some(_)) => Ok(()),
        (NamedMatchType::RegularExpression, Some(value)) => expression(value, field),
        (NamedMatchType::Exact | NamedMatchType::RegularExpression, None) => {
            Err(invalid(format!("{field}.value is missing; only type Distinct has none")))
        }
    }
}

fn expression(value: &str, field: &str) -> Result<(), Problem> {
    regex(value).map(drop).map_err(|problem| invalid(format!("{field}.value: {}", problem.message)))
}

/// Whether a text is an address, with or without the length of a prefix.
fn is_range(text: &str) -> bool {
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let whole = if address.is_ipv4() { 32 } else { 128 };
    // Digits only: numbers of Rust may have a sign.
    length.is_none_or(|length| {
        length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse::<u8>().is_ok_and(|length| length <= whole)
    })
}

fn cost(cost: &Cost, field: &str) -> Result<(), Problem> {
    if let Some(number) = cost.number.filter(|number| *number > DEAREST) {
        return Err(invalid(format!("{field}.number is {number}, allowed: up to {DEAREST}")));
    }
    if cost.from != CostFrom::Metadata {
        return Ok(());
    }
    let Some(place) = &cost.metadata else {
        return Err(invalid(format!("{field}.metadata is missing, and from is Metadata")));
    };
    for (part, text) in [("namespace", &place.namespace), ("key", &place.key)] {
        // Envoy is told the place in a format of its own, in which these have a meaning and cannot be escaped.
        if text.is_empty() || text.contains(|character: char| "%():".contains(character) || character.is_control()) {
            let message = format!("{field}.metadata.{part} is {text:?}, allowed: some text without % ( ) and :");
            return Err(invalid(message));
        }
    }
    Ok(())
}

fn invalid(message: String) -> Problem {
    Problem::new("Invalid", message)
}

#[cfg(test)]
mod tests {
    use super::is_range;

    #[test]
    fn ranges_are_addresses_with_a_prefix() {
        for good in ["10.0.0.0/8", "192.0.2.1", "0.0.0.0/0", "2001:db8::/32", "::/128", "::1"] {
            assert!(is_range(good), "{good}");
        }
        for bad in ["", "10.0.0.0/x", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/+8", "a/8", "::/-1"] {
            assert!(!is_range(bad), "{bad}");
        }
    }
}

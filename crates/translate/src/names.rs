//! Host names: `a.example.com`, `*.example.com`, and nothing for every host.

/// In lower case, without a dot at the end; `None` for an empty one, which stands for every host.
pub(crate) fn normalize(hostname: Option<&str>) -> Option<String> {
    let name = hostname?.trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then_some(name)
}

/// Whether every host that `inner` stands for is one of `outer`.
pub(crate) fn covers(outer: Option<&str>, inner: &str) -> bool {
    match outer {
        None => true,
        Some(outer) if outer == inner => true,
        Some(outer) => match (outer.strip_prefix('*'), inner) {
            (_, "*") | (None, _) => false,
            (Some(suffix), inner) => inner.strip_prefix('*').unwrap_or(inner).ends_with(suffix),
        },
    }
}

/// The hosts that both stand for, if there are any.
pub(crate) fn intersection(listener: Option<&str>, route: &str) -> Option<String> {
    if covers(listener, route) {
        return Some(route.to_owned());
    }
    listener.filter(|listener| covers(Some(route), listener)).map(str::to_owned)
}

/// The domains that a route has on a listener: the intersections, or the listener's own when the route names none.
pub(crate) fn domains(listener: Option<&str>, route: &[String]) -> Vec<String> {
    if route.is_empty() {
        return vec![listener.unwrap_or("*").to_owned()];
    }
    let mut domains: Vec<String> = Vec::with_capacity(route.len());
    for name in route.iter().filter_map(|name| intersection(listener, name)) {
        if !domains.contains(&name) {
            domains.push(name);
        }
    }
    domains
}

/// Orders listener host names from the least to the most specific: exact ones beat wildcards, longer beat shorter.
pub(crate) fn specificity(hostname: Option<&str>) -> (u8, usize) {
    match hostname {
        None => (0, 0),
        Some(name) if name.starts_with('*') => (1, name.len()),
        Some(name) => (2, name.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_cover_every_depth_but_not_the_bare_domain() {
        assert!(covers(Some("*.example.com"), "a.example.com"));
        assert!(covers(Some("*.example.com"), "a.b.example.com"));
        assert!(covers(Some("*.example.com"), "*.b.example.com"));
        assert!(!covers(Some("*.example.com"), "example.com"));
        assert!(!covers(Some("*.example.com"), "aexample.com"));
        assert!(!covers(Some("*.b.example.com"), "*.example.com"));
        assert!(!covers(Some("a.example.com"), "*.example.com"));
    }

    #[test]
    fn the_intersection_is_the_narrower_name() {
        assert_eq!(intersection(None, "*.example.com").as_deref(), Some("*.example.com"));
        assert_eq!(intersection(Some("a.example.com"), "*.example.com").as_deref(), Some("a.example.com"));
        assert_eq!(intersection(Some("*.example.com"), "a.example.com").as_deref(), Some("a.example.com"));
        assert_eq!(intersection(Some("*.example.com"), "*.com").as_deref(), Some("*.example.com"));
        assert_eq!(intersection(Some("a.example.com"), "b.example.com"), None);
    }

    fn hostname() -> impl Strategy<Value = String> {
        let label = prop_oneof!["a", "b", "c"];
        (any::<bool>(), proptest::collection::vec(label, 1..4)).prop_map(|(wildcard, labels)| {
            let name = labels.join(".");
            if wildcard { format!("*.{name}") } else { name }
        })
    }

    /// The obvious meaning: a concrete host is in a name or not.
    fn contains(name: &str, host: &str) -> bool {
        name.strip_prefix('*').map_or(name == host, |suffix| host.ends_with(suffix) && host.len() > suffix.len())
    }

    proptest! {
        #[test]
        fn the_intersection_holds_exactly_the_hosts_of_both(
            a in hostname(), b in hostname(), host in proptest::collection::vec(prop_oneof!["a", "b", "c"], 1..5)
        ) {
            let host = host.join(".");
            let both = contains(&a, &host) && contains(&b, &host);
            let of_intersection = intersection(Some(&a), &b).is_some_and(|name| contains(&name, &host));
            prop_assert_eq!(both, of_intersection);
        }
    }
}

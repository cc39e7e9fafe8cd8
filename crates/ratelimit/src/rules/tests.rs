use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;
use proptest::prelude::*;

use super::spec::{Descriptor, Domain, RateLimit};
use super::*;
use crate::limit::{Algorithm, Unit};

fn rules(text: &str) -> Rules {
    match read(&[("rules.yaml".to_owned(), text.to_owned())]) {
        Ok(loaded) => loaded.rules,
        Err(error) => panic!("{error}"),
    }
}

fn wrong(text: &str) -> String {
    read(&[("rules.yaml".to_owned(), text.to_owned())]).unwrap_err().to_string()
}

fn descriptor(entries: &[(&str, &str)]) -> RateLimitDescriptor {
    let entry = |(key, value): &(&str, &str)| Entry { key: (*key).to_owned(), value: (*value).to_owned() };
    RateLimitDescriptor { entries: entries.iter().map(entry).collect(), ..RateLimitDescriptor::default() }
}

/// The path of the rule that a descriptor has in the domain `edge`.
fn path(rules: &Rules, entries: &[(&str, &str)]) -> Option<String> {
    rules.find("edge", &descriptor(entries))?.rule.map(|rule| rule.path.to_string())
}

const NESTED: &str = "
domain: edge
descriptors:
- key: path
  value: /api/*
  rate_limit: {unit: second, requests_per_unit: 1}
- key: path
  value: /api/*/admin
  rate_limit: {unit: second, requests_per_unit: 2}
- key: path
  value: /api/v1/admin
  rate_limit: {unit: second, requests_per_unit: 3}
- key: path
  rate_limit: {unit: second, requests_per_unit: 4}
- key: tenant
  value: acme
  descriptors:
  - key: user
    rate_limit: {unit: 90s, requests_per_unit: 5, algorithm: token_bucket, burst: 7}
- key: tenant
  rate_limit: {unit: HOUR, requests_per_unit: 6, name: tenants}
- key: status
  value: 429
  rate_limit: {unlimited: true, replaces: [{name: tenants}]}
";

#[test]
fn the_most_specific_wins() {
    let rules = rules(NESTED);
    for (value, wanted) in [
        ("/api/v1/admin", "path_/api/v1/admin"),
        ("/api/v2/admin", "path_/api/*/admin"),
        ("/api/v2", "path_/api/*"),
        ("/", "path"),
        ("", "path"),
    ] {
        assert_eq!(path(&rules, &[("path", value)]).as_deref(), Some(wanted), "{value}");
    }
}

#[test]
fn a_rule_applies_to_descriptors_that_end_at_it() {
    let rules = rules(NESTED);
    assert_eq!(path(&rules, &[("tenant", "acme"), ("user", "joe")]).as_deref(), Some("tenant_acme.user"));
    assert_eq!(path(&rules, &[("tenant", "acme")]), None);
    assert_eq!(path(&rules, &[("tenant", "other")]).as_deref(), Some("tenant"));
    assert_eq!(path(&rules, &[("tenant", "other"), ("user", "joe")]), None);
    assert_eq!(path(&rules, &[]), None);
    assert!(rules.find("elsewhere", &descriptor(&[("path", "/")])).is_none());
}

#[test]
fn limits_are_read() {
    let rules = rules(NESTED);
    let limit_of = |entries: &[(&str, &str)]| rules.find("edge", &descriptor(entries)).unwrap().rule.unwrap().limit;
    let bucket = limit_of(&[("tenant", "acme"), ("user", "joe")]).unwrap();
    assert_eq!((bucket.unit.as_secs(), bucket.algorithm, bucket.burst), (90, Algorithm::TokenBucket, 7));
    assert_eq!(limit_of(&[("tenant", "x")]), Some(Limit::fixed(6, Unit::HOUR)));
    assert_eq!(limit_of(&[("status", "429")]), None);
    assert!(rules.dump().contains("edge.tenant: unit=HOUR requests_per_unit=6, shadow_mode: false"));
}

#[test]
fn files_add_to_one_domain_and_may_not_repeat_each_other() {
    let file = |name: &str, key: &str| {
        let text =
            format!("domain: edge\ndescriptors:\n- key: {key}\n  rate_limit: {{unit: day, requests_per_unit: 1}}\n");
        (name.to_owned(), text)
    };
    let rules = read(&[file("a.yaml", "one"), file("b.yaml", "two")]).unwrap().rules;
    assert!(path(&rules, &[("one", "")]).is_some() && path(&rules, &[("two", "")]).is_some());
    let error = read(&[file("a.yaml", "one"), file("b.yaml", "one")]).unwrap_err().to_string();
    assert!(error.starts_with("b.yaml:3:3: descriptors[0]: the key `one` is there already"), "{error}");
}

#[test]
fn errors_name_file_line_field_and_what_is_allowed() {
    let limit = |limit: &str| format!("domain: edge\ndescriptors:\n- key: a\n  value: v*\n  rate_limit: {{{limit}}}\n");
    for (text, wanted) in [
        ("descriptors: []".to_owned(), "rules.yaml:1:1: domain: is empty"),
        (
            limit("unit: fortnight"),
            "rules.yaml:5:16: descriptors[0].rate_limit.unit: `fortnight` is no unit, allowed: second,",
        ),
        (limit("requests_per_unit: 5"), "rules.yaml:5:3: descriptors[0].rate_limit.unit: is missing, allowed: second,"),
        (limit("unit: day, requests_per_unit: -1"), "rules.yaml:5:46: descriptors[0].rate_limit.requests_per_unit: "),
        (limit("unit: day, unlimited: true"), "descriptors[0].rate_limit.unit: does not go with `unlimited`"),
        (limit("unit: day, burst: 5"), "descriptors[0].rate_limit.burst: needs `algorithm: token_bucket`"),
        (limit("unit: day, name: x, replaces: [{name: x}]"), "replaces[0].name: is the rate limit's own name"),
        (limit("unit: day, replaces: [{}]"), "replaces[0].name: is empty"),
        (
            limit("unit: day, algorithm: leaky"),
            "unknown value `leaky`, allowed: fixed_window, sliding_window, token_bucket",
        ),
        (limit("unit: day, rate: 5"), "descriptors[0].rate_limit.rate: unknown field, allowed: algorithm,"),
        ("domain: edge\ndescriptors:\n- value: a\n".to_owned(), "rules.yaml:3:3: descriptors[0].key: is empty"),
        (
            "domain: edge\ndescriptors:\n- key: a\n  value: b\n  share_threshold: true\n".to_owned(),
            "rules.yaml:5:3: descriptors[0].share_threshold: needs a `value` with a wildcard",
        ),
        ("domain: [edge".to_owned(), "rules.yaml:"),
    ] {
        let error = wrong(&text);
        assert!(error.contains(wanted), "{error}\nwanted: {wanted}");
    }
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let error =
        wrong("domain: edge\ndescriptors:\n- key: a\n  rate_limit: {unit: x}\n- key: b\n  rate_limit: {unit: y}\n");
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_field_in_the_wrong_place_is_a_warning_as_the_reference_takes_it() {
    let text = "domain: edge\ndescriptors:\n- key: a\n  rate_limit: {unit: day, shadow_mode: true}\n";
    let loaded = read(&[("rules.yaml".to_owned(), text.to_owned())]).unwrap();
    assert_eq!(loaded.warnings[0].field, "descriptors[0].rate_limit.shadow_mode");
    assert!(!loaded.rules.all()[0].shadow);
}

#[test]
fn a_directory_is_read_without_hidden_files() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("..data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("edge.yaml"), NESTED).unwrap();
    std::os::unix::fs::symlink("..data/edge.yaml", dir.path().join("edge.yaml")).unwrap();
    std::fs::write(dir.path().join("empty.yaml"), "# nothing yet\n").unwrap();
    let rules = load(&[dir.path().to_owned()]).unwrap().rules;
    assert_eq!(rules.domains(), ["edge"]);
    let missing = load(&[dir.path().join("none.yaml")]).unwrap_err().to_string();
    assert!(missing.contains("cannot read") && missing.contains("none.yaml"), "{missing}");
}

#[test]
fn messages_of_a_control_plane_are_the_same_rules() {
    use envoy::rls_conf::{RateLimitConfig, RateLimitDescriptor, RateLimitPolicy, RateLimitReplace, RateLimitUnit};
    let extension =
        serde_json::json!({ "portcullis.dev/ratelimit": { "algorithm": "token_bucket", "burst": 9 }, "plan": "gold" });
    let message = RateLimitDescriptor {
        key: "user".to_owned(),
        value: "a*".to_owned(),
        rate_limit: Some(RateLimitPolicy {
            unit: RateLimitUnit::Week.into(),
            requests_per_unit: 3,
            name: "users".to_owned(),
            replaces: vec![RateLimitReplace { name: "all".to_owned() }],
            ..RateLimitPolicy::default()
        }),
        quota_mode: true,
        metadata: Some(proto::metadata(extension.as_object().unwrap())),
        ..RateLimitDescriptor::default()
    };
    let config =
        RateLimitConfig { name: "x".to_owned(), domain: "edge".to_owned(), descriptors: vec![message.clone()] };
    let rules = compile(&[domain_of_proto(config).unwrap()]).unwrap();
    let rule = rules.find("edge", &descriptor(&[("user", "ann")])).unwrap().rule.unwrap();
    let limit = rule.limit.unwrap();
    assert_eq!((limit.requests, limit.burst, limit.algorithm), (3, 9, Algorithm::TokenBucket));
    assert_eq!((limit.unit.as_secs(), &*rule.name, rule.quota), (604_800, "users", true));
    assert_eq!(rule.metadata.as_ref().unwrap().fields.keys().collect::<Vec<_>>(), ["plan"]);

    let bad = serde_json::json!({ "portcullis.dev/ratelimit": { "burts": 9 } });
    let message = RateLimitDescriptor { metadata: Some(proto::metadata(bad.as_object().unwrap())), ..message };
    let config = RateLimitConfig { descriptors: vec![message], ..RateLimitConfig::default() };
    assert!(
        domain_of_proto(config)
            .unwrap_err()
            .contains("the descriptor `user`: metadata[\"portcullis.dev/ratelimit\"]: unknown field `burts`")
    );
}

/// A random tree: keys and values of few letters, so that much collides.
fn trees(depth: u32) -> BoxedStrategy<Vec<Descriptor>> {
    let below = if depth == 0 { Just(Vec::new()).boxed() } else { trees(depth - 1) };
    let one = ("[ab]", "[xy*]{0,3}", any::<bool>(), below).prop_map(|(key, value, limited, descriptors)| Descriptor {
        key,
        value,
        rate_limit: limited.then(|| RateLimit { unit: "day".to_owned(), ..RateLimit::default() }),
        descriptors,
        ..Descriptor::default()
    });
    prop::collection::vec(one, 0..5)
        .prop_map(|mut list| {
            let mut seen = std::collections::BTreeSet::new();
            list.retain(|one| seen.insert((one.key.clone(), one.value.clone())));
            list
        })
        .boxed()
}

/// The obvious way to find a rule: sort what matches by how specific it is, take the first, go on below it.
fn slow<'a>(level: &'a [Descriptor], entries: &[(String, String)], path: &str) -> Option<String> {
    let ((key, value), rest) = entries.split_first()?;
    let rank = |one: &&'a Descriptor| match one.value.as_str() {
        exact if exact == value && !exact.contains('*') && !exact.is_empty() => Some(usize::MAX),
        "" => Some(0),
        pattern if pattern.contains('*') => {
            pattern::Pattern::new(pattern).unwrap().matches(value).then(|| 1 + pattern.replace('*', "").len())
        }
        _ => None,
    };
    let candidates = level.iter().filter(|one| one.key == *key).filter_map(|one| Some((rank(&one)?, one)));
    // The first of the highest rank.
    let (_, best) = candidates.rev().max_by_key(|(rank, _)| *rank)?;
    let dot = if path.is_empty() { "" } else { "." };
    let bar = if best.value.is_empty() { "" } else { "_" };
    let path = format!("{path}{dot}{}{bar}{}", best.key, best.value);
    if rest.is_empty() { best.rate_limit.as_ref().map(|_| path) } else { slow(&best.descriptors, rest, &path) }
}

proptest! {
    #[test]
    fn finding_is_what_the_obvious_way_finds(
        tree in trees(2),
        entries in prop::collection::vec(("[ab]", "[xy]{0,3}"), 1..4),
    ) {
        let domain = Domain { domain: "edge".to_owned(), descriptors: tree.clone() };
        let rules = compile(&[domain]).unwrap();
        let borrowed: Vec<(&str, &str)> = entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        prop_assert_eq!(path(&rules, &borrowed), slow(&tree, &entries, ""));
    }
}

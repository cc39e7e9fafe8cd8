use envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;
use proptest::prelude::*;

use super::*;
use crate::limit::Unit;
use crate::rules;

fn descriptor(entries: &[(String, String)]) -> RateLimitDescriptor {
    let entries = entries.iter().map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect();
    RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }
}

fn key_of(keys: &Keys, domain: &str, entries: &[(String, String)]) -> String {
    let mut key = Vec::new();
    let (descriptor, limit) = (&descriptor(entries), &Limit::fixed(1, Unit::MINUTE));
    keys.write(&mut key, Counter { domain, descriptor, steps: &[], limit });
    String::from_utf8(key).unwrap()
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn keys_can_be_read() {
    let entries = [pair("remote_address", "192.0.2.1"), pair("path", "/a=b|{c}")];
    assert_eq!(key_of(&Keys::default(), "edge", &entries), "edge|remote_address=192.0.2.1|path=/a%3db%7c%7bc%7d|f60");
}

#[test]
fn only_fixed_windows_have_the_keys_of_the_reference() {
    let keys = Keys { legacy: true, prefix: "rl_".to_owned(), ..Keys::default() };
    let rules = "domain: edge\ndescriptors: [{key: token, hash_value: true}, {key: address}]";
    let rules = rules::read(&[("r.yaml".to_owned(), rules.to_owned())]).unwrap().rules;
    let written = |entry: (String, String)| {
        let (descriptor, mut key) = (descriptor(&[entry]), Vec::new());
        let steps = rules.find("edge", &descriptor).unwrap().steps;
        let limit = &Limit::fixed(1, Unit::MINUTE);
        let counter = Counter { domain: "edge", descriptor: &descriptor, steps: &steps, limit };
        keys.write_of_reference(&mut key, counter, 1_700_000_059_000);
        String::from_utf8(key).unwrap()
    };
    assert_eq!(written(pair("address", "192.0.2.1")), "rl_edge_address_192.0.2.1_1700000040");
    let hashed = written(pair("token", "canary"));
    assert!(hashed.starts_with("rl_edge_token_#") && !hashed.contains("canary"), "{hashed}");
    // Others are known by unit and algorithm in Redis, and all of them here.
    assert_eq!(key_of(&keys, "edge", &[pair("a", "b")]), "rl_edge|a=b|f60");
    let of = |algorithm| keys.are_of_reference(&Limit { algorithm, ..Limit::fixed(1, Unit::MINUTE) });
    let algorithms = [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::TokenBucket];
    assert_eq!(algorithms.map(of), [true, false, false]);
}

#[test]
fn long_values_are_hashed_with_the_secret() {
    let entries = [pair("token", &"x".repeat(LONGEST + 1))];
    let (open, secret) = (Keys::default(), Keys { secret: "pepper".to_owned().into(), ..Keys::default() });
    let key = key_of(&open, "edge", &entries);
    assert!(key.starts_with("edge|token=#") && key.len() < 64, "{key}");
    assert_ne!(key, key_of(&secret, "edge", &entries));
    // A value cannot pretend to be a hash.
    let hash = key.strip_prefix("edge|token=").unwrap().split('|').next().unwrap().to_owned();
    assert_ne!(key, key_of(&open, "edge", &[pair("token", &hash)]));
}

#[test]
fn windows_have_keys_of_their_own() {
    let window = |keys: &Keys, algorithm: Algorithm| {
        let mut key = b"edge|a=b|f60".to_vec();
        let limit = Limit { algorithm, ..Limit::fixed(1, Unit::MINUTE) };
        keys.write_window(&mut key, &limit, 1_700_000_059_000);
        String::from_utf8(key).unwrap()
    };
    assert_eq!(window(&Keys::default(), Algorithm::FixedWindow), "edge|a=b|f60:1700000040");
    assert_eq!(window(&Keys::default(), Algorithm::TokenBucket), "edge|a=b|f60");
}

proptest! {
    #[test]
    fn different_entries_never_share_a_key(
        one in prop::collection::vec(("[a_|=%#{}]{1,4}", "[a_|=%#{}]{0,4}"), 1..3),
        other in prop::collection::vec(("[a_|=%#{}]{1,4}", "[a_|=%#{}]{0,4}"), 1..3),
    ) {
        let keys = Keys::default();
        prop_assert_eq!(key_of(&keys, "d", &one) == key_of(&keys, "d", &other), one == other);
    }
}

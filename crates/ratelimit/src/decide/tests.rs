use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::ext::shared::ratelimit::rate_limit_descriptor::{Entry, RateLimitOverride};
use envoy::service::ratelimit::rate_limit_response::Code;
use envoy::{Duration, ValueKind};
use prometheus::Registry;

use super::*;
use crate::rules;
use crate::store::memory::Memory;

const NOW: Millis = 1_700_000_000_000;

const RULES: &str = "
domain: edge
descriptors:
- key: user
  rate_limit: {unit: minute, requests_per_unit: 2}
- key: soft
  rate_limit: {unit: minute, requests_per_unit: 1}
  shadow_mode: true
- key: quota
  rate_limit: {unit: minute, requests_per_unit: 1}
  quota_mode: true
- key: free
  rate_limit: {unlimited: true, replaces: [{name: all}]}
  metadata: {plan: gold, tiers: [1, 2]}
- key: all
  rate_limit: {unit: hour, requests_per_unit: 1, name: all}
- key: file
  value: img*
  share_threshold: true
  rate_limit: {unit: minute, requests_per_unit: 2}
- key: quick
  rate_limit: {unit: second, requests_per_unit: 1}
- key: token
  hash_value: true
  value_to_metric: true
  rate_limit: {unit: 90s, requests_per_unit: 1}
- key: bucket
  rate_limit: {unit: minute, requests_per_unit: 60, algorithm: token_bucket, burst: 100}
";

fn limiter(policy: Policy) -> Limiter {
    let metrics = Arc::new(Metrics::register(&Registry::new()));
    let limiter = Limiter::new(policy, Store::Memory(Memory::new(1000)), metrics);
    limiter.set_rules(rules::read(&[("r.yaml".to_owned(), RULES.to_owned())]).unwrap().rules);
    limiter
}

fn usual() -> Policy {
    Policy { near_ratio: 0.8, ..Policy::default() }
}

fn descriptor(key: &str, value: &str) -> RateLimitDescriptor {
    let entries = vec![Entry { key: key.to_owned(), value: value.to_owned() }];
    RateLimitDescriptor { entries, ..RateLimitDescriptor::default() }
}

async fn ask(limiter: &Limiter, descriptors: Vec<RateLimitDescriptor>) -> RateLimitResponse {
    ask_at(limiter, descriptors, NOW).await
}

async fn ask_at(limiter: &Limiter, descriptors: Vec<RateLimitDescriptor>, now: Millis) -> RateLimitResponse {
    let request = RateLimitRequest { domain: "edge".to_owned(), descriptors, hits_addend: 0 };
    limiter.decide(&request, now).await.unwrap()
}

#[tokio::test]
async fn a_limit_is_told_with_what_is_left_and_when_it_is_whole_again() {
    let limiter = limiter(usual());
    let status = ask(&limiter, vec![descriptor("user", "ann")]).await.statuses.remove(0);
    assert_eq!((status.code(), status.limit_remaining), (Code::Ok, 1));
    // 1,700,000,000 is twenty seconds into a minute.
    assert_eq!(status.duration_until_reset, Some(Duration { seconds: 40, nanos: 0 }));
    let limit = status.current_limit.unwrap();
    assert_eq!((limit.requests_per_unit, limit.unit), (2, 2));
    ask(&limiter, vec![descriptor("user", "ann")]).await;
    let over = ask(&limiter, vec![descriptor("user", "ann")]).await;
    assert_eq!((over.overall_code(), over.statuses[0].limit_remaining), (Code::OverLimit, 0));
    assert_eq!(over.response_headers_to_add[0].key, "Retry-After");
    assert_eq!(over.response_headers_to_add[0].value, "40");
}

#[tokio::test]
async fn shadow_rules_and_quotas_let_through() {
    let limiter = limiter(Policy { answers: Answers { metadata: true, ..Answers::default() }, ..usual() });
    let both = || vec![descriptor("soft", "x"), descriptor("quota", "x")];
    ask(&limiter, both()).await;
    let over = ask(&limiter, both()).await;
    assert_eq!(over.overall_code(), Code::Ok);
    assert!(over.statuses.iter().all(|status| status.code() == Code::Ok && status.limit_remaining == 0));
    let metadata = over.dynamic_metadata.unwrap().fields;
    let Some(ValueKind::ListValue(violations)) = &metadata["quotaModeViolations"].kind else { panic!("{metadata:?}") };
    assert_eq!(violations.values[0].kind, Some(ValueKind::NumberValue(1.0)));
    let counters = limiter.metrics.of_rules(&limiter.rules().rules);
    assert_eq!((counters[1].shadow.get(), counters[1].over.get()), (1, 1));
}

#[tokio::test]
async fn a_rule_can_take_the_place_of_another_and_add_metadata() {
    let limiter = limiter(usual());
    for _ in 0..3 {
        let response = ask(&limiter, vec![descriptor("all", ""), descriptor("free", "")]).await;
        assert_eq!(response.overall_code(), Code::Ok);
        assert!(response.statuses[0].current_limit.is_none());
        assert_eq!(response.statuses[1].limit_remaining, u32::MAX);
        let plan = &response.dynamic_metadata.unwrap().fields["plan"];
        assert_eq!(plan.kind, Some(ValueKind::StringValue("gold".to_owned())));
    }
    ask(&limiter, vec![descriptor("all", "")]).await;
    assert_eq!(ask(&limiter, vec![descriptor("all", "")]).await.overall_code(), Code::OverLimit);
}

#[tokio::test]
async fn the_request_may_bring_limit_and_hits() {
    let limiter = limiter(usual());
    let with = |hits, negative| RateLimitDescriptor {
        limit: Some(RateLimitOverride { requests_per_unit: 5, unit: 3 }),
        hits_addend: Some(hits),
        is_negative_hits: negative,
        ..descriptor("anything", "at all")
    };
    let left = async |hits, negative| ask(&limiter, vec![with(hits, negative)]).await.statuses[0].limit_remaining;
    assert_eq!(left(4, false).await, 1);
    // A look, a refund, and a refund of more than was taken.
    assert_eq!(left(0, false).await, 1);
    assert_eq!(left(2, true).await, 3);
    assert_eq!(left(9, true).await, 5);
    assert_eq!(left(6, false).await, 0);
}

#[tokio::test]
async fn a_refund_is_not_refused_beyond_the_limit_either() {
    let limiter = limiter(usual());
    let with = |hits, negative| RateLimitDescriptor {
        limit: Some(RateLimitOverride { requests_per_unit: 10, unit: 2 }),
        hits_addend: Some(hits),
        is_negative_hits: negative,
        ..descriptor("user", "ann")
    };
    assert_eq!(ask(&limiter, vec![with(20, false)]).await.overall_code(), Code::OverLimit);
    // 16 of 10 are in use.
    let back = ask(&limiter, vec![with(4, true)]).await;
    assert_eq!((back.overall_code(), back.statuses[0].code()), (Code::Ok, Code::Ok));
    assert_eq!(back.statuses[0].limit_remaining, 0);
    ask(&limiter, vec![with(7, true)]).await;
    assert_eq!(ask(&limiter, vec![with(1, false)]).await.overall_code(), Code::Ok);
}

#[tokio::test]
async fn values_of_a_shared_pattern_count_together() {
    let limiter = limiter(usual());
    for (value, left) in [("img1", 1), ("img2", 0)] {
        assert_eq!(ask(&limiter, vec![descriptor("file", value)]).await.statuses[0].limit_remaining, left);
    }
    assert_eq!(ask(&limiter, vec![descriptor("file", "img3")]).await.overall_code(), Code::OverLimit);
}

#[tokio::test]
async fn hashed_values_are_counted_apart_and_free_spans_have_no_unit() {
    let limiter = limiter(usual());
    for value in ["a", "b"] {
        let status = ask(&limiter, vec![descriptor("token", value)]).await.statuses.remove(0);
        assert_eq!((status.limit_remaining, status.current_limit.unwrap().unit), (0, 0));
    }
    assert_eq!(ask(&limiter, vec![descriptor("token", "a")]).await.overall_code(), Code::OverLimit);
    // Neither metrics nor the list of who goes over show what may not be stored.
    assert_eq!(limiter.metrics.of_values(&limiter.rules().rules.all()[7], "token_#").hits.get(), 3);
    assert!(limiter.top(NOW).iter().all(|one| one.key.starts_with("edge|token=#")), "{:?}", limiter.top(NOW));
}

#[tokio::test]
async fn values_are_hashed_for_limits_of_the_request_too() {
    let limiter = limiter(usual());
    for limit in [None, Some(RateLimitOverride { requests_per_unit: 0, unit: 2 })] {
        for _ in 0..2 {
            ask(&limiter, vec![RateLimitDescriptor { limit, ..descriptor("token", "canary") }]).await;
        }
    }
    let top = limiter.top(NOW);
    assert!(!top.is_empty() && top.iter().all(|one| one.key.contains('#')), "{top:?}");
    assert!(top.iter().all(|one| !one.key.contains("canary")), "{top:?}");
}

#[tokio::test]
async fn limits_of_other_units_are_others_with_keys_of_the_reference_too() {
    let keys = Keys { legacy: true, ..Keys::default() };
    let limiter = limiter(Policy { remembered: 100, keys, ..usual() });
    let hourly = Some(RateLimitOverride { requests_per_unit: 3, unit: 3 });
    for number in 1..=5 {
        let answer = ask(&limiter, vec![RateLimitDescriptor { limit: hourly, ..descriptor("user", "ann") }]).await;
        assert_eq!(answer.overall_code() == Code::OverLimit, number > 3);
    }
    assert_eq!(ask(&limiter, vec![descriptor("user", "ann")]).await.overall_code(), Code::Ok);
}

#[tokio::test]
async fn limits_of_requests_count_each_value_of_a_shared_pattern() {
    let limiter = limiter(usual());
    let limit = Some(RateLimitOverride { requests_per_unit: 2, unit: 2 });
    for value in ["img1", "img2"] {
        let status =
            ask(&limiter, vec![RateLimitDescriptor { limit, ..descriptor("file", value) }]).await.statuses.remove(0);
        assert_eq!(status.limit_remaining, 1, "{value}");
    }
}

#[tokio::test]
async fn global_modes_let_everything_through() {
    let answers = Answers { metadata: true, ..Answers::default() };
    for (shadow, code) in [(true, Code::OverLimit), (false, Code::Ok)] {
        let limiter = limiter(Policy { shadow, quota: !shadow, answers: answers.clone(), ..usual() });
        for number in 0..4 {
            let response = ask(&limiter, vec![descriptor("user", "ann")]).await;
            assert_eq!(response.overall_code(), Code::Ok);
            let over = number >= 2;
            assert_eq!(response.statuses[0].code(), if over { code } else { Code::Ok }, "{shadow} {number}");
            let metadata = response.dynamic_metadata.unwrap().fields;
            assert_eq!(metadata.contains_key("quotaModeViolations"), over && !shadow, "{shadow} {number}");
        }
        assert_eq!(limiter.metrics.global_shadow.get(), if shadow { 2 } else { 0 });
    }
}

#[tokio::test]
async fn what_is_not_known_is_not_limited_and_what_is_malformed_is_refused() {
    let limiter = limiter(usual());
    let request =
        |domain: &str, descriptors| RateLimitRequest { domain: domain.to_owned(), descriptors, hits_addend: 0 };
    let unknown = limiter.decide(&request("other", vec![descriptor("user", "ann")]), NOW).await.unwrap();
    assert_eq!((unknown.overall_code(), limiter.metrics.unknown_domain.get()), (Code::Ok, 1));
    let long = "x".repeat(200 << 10);
    let no_unit = RateLimitDescriptor {
        limit: Some(RateLimitOverride { requests_per_unit: 1, unit: 0 }),
        ..descriptor("a", "b")
    };
    for (request, wanted) in [
        (request("", vec![descriptor("user", "ann")]), Malformed::NoDomain),
        (request("edge", vec![]), Malformed::NoDescriptors),
        (
            request("edge", vec![descriptor("a", "b"); 513]),
            Malformed::TooMany { what: "descriptors", count: 513, most: 512 },
        ),
        (request("edge", vec![descriptor("a", &long)]), Malformed::TooLong { length: 200 << 10, most: 128 << 10 }),
        (request("edge", vec![no_unit]), Malformed::Unit(0)),
    ] {
        assert_eq!(limiter.decide(&request, NOW).await.unwrap_err(), wanted);
        assert!(limiter.metrics.malformed.with_label_values(&[wanted.reason()]).get() > 0);
    }
}

#[tokio::test]
async fn hits_that_cross_a_line_count_on_both_sides() {
    let limiter = limiter(usual());
    let ten = |hits| RateLimitDescriptor {
        limit: Some(RateLimitOverride { requests_per_unit: 10, unit: 4 }),
        hits_addend: Some(hits),
        ..descriptor("a", "b")
    };
    for hits in [7, 2, 4] {
        ask(&limiter, vec![ten(hits)]).await;
    }
    let counters = limiter.metrics.of_overrides("edge");
    let counted = [&counters.hits, &counters.within, &counters.near, &counters.over].map(|counter| counter.get());
    // 7 within; 2 within, one of them near (beyond 8); of 4 one is near and three are over.
    assert_eq!(counted, [13, 9, 2, 3]);
}

#[tokio::test]
async fn exhausted_limits_are_remembered_until_something_is_left_or_given_back() {
    for counting in [Counting::CountAll, Counting::AllOrNothing] {
        let limiter = limiter(Policy { remembered: 100, counting, ..usual() });
        let two = || vec![descriptor("user", "ann"), descriptor("all", "")];
        for _ in 0..2 {
            ask(&limiter, vec![descriptor("user", "ann")]).await;
        }
        for _ in 0..3 {
            let over = ask(&limiter, two()).await;
            assert_eq!((over.overall_code(), over.statuses[0].code()), (Code::OverLimit, Code::OverLimit));
        }
        let counters = limiter.metrics.of_rules(&limiter.rules().rules);
        assert_eq!((counters[0].over.get(), counters[0].over_cached.get()), (3, 2));
        // What was refused from memory has not spent the other limit where nothing refused may count.
        let all = ask(&limiter, vec![RateLimitDescriptor { hits_addend: Some(0), ..descriptor("all", "") }]).await;
        assert_eq!(all.statuses[0].limit_remaining, u32::from(counting == Counting::AllOrNothing));
        let back = RateLimitDescriptor { hits_addend: Some(4), is_negative_hits: true, ..descriptor("user", "ann") };
        ask(&limiter, vec![back]).await;
        assert_eq!(ask(&limiter, vec![descriptor("user", "ann")]).await.overall_code(), Code::Ok);
        // Larger limits, by the request and by new rules, are looked at anew.
        for _ in 0..3 {
            ask(&limiter, vec![descriptor("user", "bob")]).await;
        }
        let limit = Some(RateLimitOverride { requests_per_unit: 9, unit: 2 });
        let larger = ask(&limiter, vec![RateLimitDescriptor { limit, ..descriptor("user", "bob") }]).await;
        assert_eq!(larger.overall_code(), Code::Ok);
        let rules = RULES.replace("requests_per_unit: 2", "requests_per_unit: 9");
        limiter.set_rules(rules::read(&[("r.yaml".to_owned(), rules)]).unwrap().rules);
        assert_eq!(ask(&limiter, vec![descriptor("user", "bob")]).await.overall_code(), Code::Ok);
    }
}

#[tokio::test]
async fn an_exhausted_window_is_forgotten_when_the_next_begins() {
    let limiter = limiter(Policy { remembered: 100, ..usual() });
    let at = async |now| ask_at(&limiter, vec![descriptor("quick", "")], now).await;
    for _ in 0..2 {
        at(NOW + 900).await;
    }
    let cached = at(NOW + 950).await;
    assert_eq!(limiter.metrics.of_rules(&limiter.rules().rules)[6].over_cached.get(), 1);
    assert_eq!(cached.overall_code(), Code::OverLimit);
    // In whole seconds, as the store tells them.
    assert_eq!(cached.statuses[0].duration_until_reset, Some(Duration { seconds: 1, nanos: 0 }));
    assert_eq!(at(NOW + 1000).await.overall_code(), Code::Ok);
}

fn bucket(hits: u64) -> RateLimitDescriptor {
    RateLimitDescriptor { hits_addend: Some(hits), ..descriptor("bucket", "") }
}

#[tokio::test]
async fn a_remembered_bucket_is_whole_when_it_was_said_to_be() {
    let limiter = limiter(Policy { remembered: 100, ..usual() });
    ask(&limiter, vec![bucket(100)]).await;
    for (later, left) in [(0, (100, 0)), (300, (99, 700_000_000)), (900, (99, 100_000_000))] {
        let over = ask_at(&limiter, vec![bucket(1)], NOW + later).await;
        let (seconds, nanos) = left;
        assert_eq!(over.statuses[0].duration_until_reset, Some(Duration { seconds, nanos }), "{later}");
        assert_eq!((over.overall_code(), over.response_headers_to_add[0].value.as_str()), (Code::OverLimit, "1"));
    }
    assert_eq!(limiter.metrics.of_rules(&limiter.rules().rules)[8].over_cached.get(), 2);
}

#[tokio::test]
async fn what_is_only_looked_at_says_when_its_own_hits_would_be_admitted() {
    let limiter = limiter(Policy { remembered: 100, counting: Counting::AllOrNothing, ..usual() });
    for _ in 0..2 {
        ask(&limiter, vec![descriptor("quick", "")]).await;
    }
    ask(&limiter, vec![bucket(98)]).await;
    // Two are left, and one comes each second.
    let over = ask(&limiter, vec![descriptor("quick", ""), bucket(12)]).await;
    assert_eq!([0, 1].map(|index: usize| over.statuses[index].code()), [Code::OverLimit; 2]);
    assert_eq!(over.response_headers_to_add[0].value, "10");
    assert_eq!(ask(&limiter, vec![bucket(0)]).await.statuses[0].limit_remaining, 2);
}

#[tokio::test]
async fn the_largest_limits_have_a_threshold_too() {
    let limiter = limiter(Policy { near_ratio: 1.0, ..usual() });
    let largest = RateLimitDescriptor {
        limit: Some(RateLimitOverride { requests_per_unit: u32::MAX, unit: 6 }),
        hits_addend: Some(u64::MAX),
        ..descriptor("a", "b")
    };
    assert_eq!(ask(&limiter, vec![largest]).await.overall_code(), Code::OverLimit);
    assert_eq!(limiter.metrics.of_overrides("edge").near.get(), 0);
}

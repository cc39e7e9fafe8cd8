use proptest::prelude::*;

use super::*;
use crate::limit::Unit;

/// One step of a schedule: so many milliseconds later, so many hits.
type Step = (u64, i64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![3 => 0_u64..3, 3 => 0_u64..400, 1 => 0_u64..5000];
    let hits = prop_oneof![4 => Just(1_i64), 2 => 0_i64..5, 1 => 0_i64..60];
    prop::collection::vec((pause, hits), 1..200)
}

fn limits(algorithm: Algorithm) -> impl Strategy<Value = Limit> {
    (0_u32..40, 1_u32..4, 0_u32..60).prop_map(move |(requests, seconds, burst)| Limit {
        requests,
        unit: Unit::seconds(seconds).unwrap(),
        algorithm,
        burst,
    })
}

/// Plays a schedule and gives the admitted hits with their times.
fn admitted(limit: &Limit, counting: Counting, steps: &[Step]) -> Vec<(Millis, u64)> {
    let mut counter = Counter::new(limit.algorithm);
    let mut now = 1_700_000_000_000;
    let mut passed = Vec::new();
    for (pause, hits) in steps {
        now += pause;
        let used = counter.used(limit, now);
        if !is_over(limit, used, *hits) {
            passed.push((now, hits.unsigned_abs()));
        }
        counter.add(limit, now, added(limit, used, *hits, counting));
    }
    passed
}

/// The most hits in any span of `length` that is closed at its begin and open at its end.
fn most_in(passed: &[(Millis, u64)], length: Millis) -> u64 {
    let within = |start: Millis| passed.iter().filter(move |(at, _)| (start..start + length).contains(at));
    passed.iter().map(|(start, _)| within(*start).map(|(_, hits)| hits).sum()).max().unwrap_or(0)
}

fn countings() -> impl Strategy<Value = Counting> {
    prop_oneof![Just(Counting::CountAll), Just(Counting::AllOrNothing)]
}

proptest! {
    #[test]
    fn a_fixed_window_never_admits_more_than_its_limit(
        limit in limits(Algorithm::FixedWindow), counting in countings(), steps in steps(),
    ) {
        let passed = admitted(&limit, counting, &steps);
        let mut windows = std::collections::BTreeMap::<u64, u64>::new();
        for (at, hits) in passed {
            *windows.entry(limit.unit.window_start(at)).or_default() += hits;
        }
        prop_assert!(windows.values().all(|sum| *sum <= limit.requests.into()), "{windows:?}");
    }

    #[test]
    fn no_span_of_a_sliding_window_admits_more_than_its_limit(
        limit in limits(Algorithm::SlidingWindow), counting in countings(), steps in steps(),
    ) {
        let passed = admitted(&limit, counting, &steps);
        prop_assert!(most_in(&passed, limit.unit.as_millis()) <= limit.requests.into());
    }

    #[test]
    fn no_span_of_a_bucket_admits_more_than_burst_and_refill(
        limit in limits(Algorithm::TokenBucket), counting in countings(), steps in steps(), length in 1_u64..4000,
    ) {
        let passed = admitted(&limit, counting, &steps);
        let refill = (length - 1) * u64::from(limit.requests) / limit.unit.as_millis();
        prop_assert!(most_in(&passed, length) <= u64::from(limit.burst) + refill);
    }

    #[test]
    fn refunds_never_go_below_zero_and_give_back_what_they_say(
        algorithm in prop_oneof![
            Just(Algorithm::FixedWindow), Just(Algorithm::SlidingWindow), Just(Algorithm::TokenBucket)
        ],
        steps in prop::collection::vec((0_u64..300, -30_i64..30), 1..100),
    ) {
        let limit = Limit { requests: 20, unit: Unit::SECOND, algorithm, burst: 20 };
        let mut counter = Counter::new(algorithm);
        let mut now = 1_700_000_000_000;
        for (pause, hits) in steps {
            now += pause;
            let used = counter.used(&limit, now);
            let delta = added(&limit, used, hits, Counting::CountAll);
            counter.add(&limit, now, delta);
            prop_assert_eq!(Some(counter.used(&limit, now)), used.checked_add_signed(delta));
        }
    }

    #[test]
    fn what_is_refused_is_admitted_after_the_time_that_is_told(
        algorithm in prop_oneof![Just(Algorithm::SlidingWindow), Just(Algorithm::TokenBucket)],
        steps in steps(), wanted in 1_i64..10,
    ) {
        let limit = Limit { requests: 10, unit: Unit::SECOND, algorithm, burst: 10 };
        let mut counter = Counter::new(algorithm);
        let mut now = 1_700_000_000_000;
        for (pause, hits) in steps {
            now += pause;
            let used = counter.used(&limit, now);
            counter.add(&limit, now, added(&limit, used, hits, Counting::AllOrNothing));
        }
        let (reset, retry) = counter.times(&limit, now, wanted);
        prop_assert!(!is_over(&limit, counter.used(&limit, now + retry), wanted));
        prop_assert!(retry == 0 || is_over(&limit, counter.used(&limit, now + retry - 1), wanted));
        prop_assert_eq!(counter.used(&limit, now + reset), 0);
    }
}

#[test]
fn hits_that_reach_the_limit_count_in_full_and_later_ones_not_at_all() {
    for algorithm in [Algorithm::SlidingWindow, Algorithm::TokenBucket] {
        let limit = Limit { requests: 10, unit: Unit::MINUTE, algorithm, burst: 10 };
        assert_eq!(added(&limit, 8, 5, Counting::CountAll), 5);
        assert_eq!(added(&limit, 13, 5, Counting::CountAll), 0);
        assert_eq!(added(&limit, 8, 5, Counting::AllOrNothing), 0);
    }
    assert_eq!(added(&Limit::fixed(10, Unit::MINUTE), 13, 5, Counting::CountAll), 5);
}

#[test]
fn an_even_stream_at_the_rate_passes_a_bucket() {
    let limit = Limit { requests: 3, unit: Unit::SECOND, algorithm: Algorithm::TokenBucket, burst: 1 };
    let steps: Vec<Step> = (0..300).map(|step| (if step % 3 == 0 { 334 } else { 333 }, 1)).collect();
    // Thirds of a second do not fit into milliseconds: one that comes too early is refused, and no token is lost by it.
    let passed = admitted(&limit, Counting::AllOrNothing, &steps).len();
    assert!(passed >= 200, "{passed}");
}

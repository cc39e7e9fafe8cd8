use prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::algorithm::Counting;
use crate::limit::{Limit, Unit};
use crate::store::Weight;
use crate::store::memory::Memory;

const NOW: Millis = 1_700_000_000_000;
const REPLICAS: u64 = 3;

/// Services with leases, and the store that they share.
struct Fleet {
    store: Memory,
    leases: Vec<Leases>,
    calls: usize,
    counting: Counting,
}

impl Fleet {
    fn new(share: f64, time: Duration, counting: Counting) -> Self {
        let metrics = Arc::new(Metrics::register(&Registry::new()));
        let leases = (0..REPLICAS).map(|_| Leases::new(Terms { share, time }, &metrics)).collect();
        Self { store: Memory::new(1000), leases, calls: 0, counting }
    }

    fn batch(&self, limits: &[Limit], now: Millis, hits: i64) -> Batch {
        let mut batch = Batch::new(now, self.counting);
        for (index, limit) in limits.iter().enumerate() {
            batch.push(*limit, hits, Weight::Refuses, |key| key.push(u8::try_from(index).unwrap()), |_| {});
        }
        batch
    }

    /// What a service answers.
    fn ask(&mut self, service: usize, batch: &Batch) -> Readings {
        match self.leases[service].plan(batch) {
            Plan::Admitted(readings) => readings,
            Plan::Ask(due) => {
                self.calls += 1;
                let mut readings = self.store.charge(&batch.with_spares(&due));
                self.leases[service].take(batch, &due, &mut readings);
                readings
            }
        }
    }
}

/// So many milliseconds later, this service, so many hits.
type Step = (u64, usize, i64);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![6 => 0_u64..5, 2 => 0_u64..100, 1 => 0_u64..2000];
    let hits = prop_oneof![6 => Just(1_i64), 1 => 0_i64..5];
    prop::collection::vec((pause, 0..3_usize, hits), 1..400)
}

fn countings() -> impl Strategy<Value = Counting> {
    prop_oneof![Just(Counting::CountAll), Just(Counting::AllOrNothing)]
}

fn limit(algorithm: Algorithm, requests: u32) -> Limit {
    Limit { requests, unit: Unit::SECOND, algorithm, burst: requests }
}

/// Plays a schedule and gives the admitted hits with their times.
fn admitted(limit: Limit, share: f64, time: u64, counting: Counting, steps: &[Step]) -> Vec<(Millis, u64)> {
    let mut fleet = Fleet::new(share, Duration::from_millis(time), counting);
    let (mut now, mut passed) = (NOW, Vec::new());
    for (pause, service, hits) in steps {
        now += pause;
        let batch = fleet.batch(&[limit], now, *hits);
        if !fleet.ask(*service, &batch)[0].over {
            passed.push((now, hits.unsigned_abs()));
        }
    }
    passed
}

/// The most hits in any span of this length, beyond what the limit says of such a span.
fn most_in(passed: &[(Millis, u64)], length: Millis) -> u64 {
    let within = |start: Millis| passed.iter().filter(move |(at, _)| (start..start + length).contains(at));
    passed.iter().map(|(start, _)| within(*start).map(|(_, hits)| hits).sum()).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn a_fixed_window_admits_no_more_than_its_limit(
        requests in 0_u32..60, share in 0.01..1.0, time in 1_u64..3000, counting in countings(), steps in steps(),
    ) {
        let limit = limit(Algorithm::FixedWindow, requests);
        let mut windows = std::collections::BTreeMap::<u64, u64>::new();
        for (at, hits) in admitted(limit, share, time, counting, &steps) {
            *windows.entry(limit.unit.window_start(at)).or_default() += hits;
        }
        prop_assert!(windows.values().all(|sum| *sum <= requests.into()), "{windows:?}");
    }

    #[test]
    fn other_limits_admit_no_more_than_one_lease_of_each_service_beside(
        requests in 0_u32..60, share in 0.01..1.0, time in 1_u64..3000, counting in countings(), steps in steps(),
        length in 1_u64..2000, sliding in any::<bool>(),
    ) {
        let limit = limit(if sliding { Algorithm::SlidingWindow } else { Algorithm::TokenBucket }, requests);
        let passed = admitted(limit, share, time, counting, &steps);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
        let lease = (f64::from(requests) * share).floor() as u64;
        let length = if sliding { limit.unit.as_millis() } else { length };
        let refill = if sliding { 0 } else { (length - 1) * u64::from(requests) / limit.unit.as_millis() };
        let bound = u64::from(requests) + refill + REPLICAS * lease;
        prop_assert!(most_in(&passed, length) <= bound, "{} {bound}", most_in(&passed, length));
    }
}

#[test]
fn what_is_asked_again_and_again_costs_few_calls() {
    let mut fleet = Fleet::new(0.01, Duration::from_secs(1), Counting::CountAll);
    let limits = [limit(Algorithm::SlidingWindow, 10_000), limit(Algorithm::TokenBucket, 50_000)]
        .map(|limit| Limit { unit: Unit::HOUR, ..limit });
    // A second with a request each millisecond.
    for step in 0..1000 {
        let batch = fleet.batch(&limits, NOW + step, 1);
        let readings = fleet.ask(0, &batch);
        assert!(readings.len() == 2 && readings.iter().all(|reading| !reading.over));
    }
    assert!((10..40).contains(&fleet.calls), "{}", fleet.calls);
    // All that was admitted is counted, and of each limit no more than one lease beside.
    let looks = fleet.batch(&limits, NOW + 1000, 0);
    let used: Vec<u64> = fleet.store.charge(&looks).iter().map(|reading| reading.used).collect();
    assert!((1000..=1100).contains(&used[0]) && (900..=1500).contains(&used[1]), "{used:?}");
}

#[test]
fn what_is_seldom_asked_and_what_is_small_is_not_leased() {
    for (requests, pause) in [(10_000, 1001), (100, 1)] {
        let mut fleet = Fleet::new(0.01, Duration::from_secs(1), Counting::CountAll);
        let limits = [Limit { unit: Unit::HOUR, ..limit(Algorithm::FixedWindow, requests) }];
        for step in 0..50 {
            let batch = fleet.batch(&limits, NOW + step * pause, 1);
            assert_eq!(fleet.ask(0, &batch)[0].after, step + 1);
        }
        assert_eq!(fleet.calls, 50);
    }
}

#[test]
fn a_lease_ends_with_its_time_and_with_its_window() {
    for (algorithm, left) in [(Algorithm::FixedWindow, 400), (Algorithm::SlidingWindow, 1000)] {
        let mut fleet = Fleet::new(0.1, Duration::from_secs(1), Counting::CountAll);
        let limits = [Limit { unit: Unit::MINUTE, ..limit(algorithm, 1000) }];
        // The next minute begins at NOW + 40 s.
        let begun = NOW + 40_000 - 400;
        for _ in 0..8 {
            let batch = fleet.batch(&limits, begun, 1);
            fleet.ask(0, &batch);
        }
        let calls = fleet.calls;
        let mut asked = |now| {
            let batch = fleet.batch(&limits, now, 1);
            fleet.ask(0, &batch);
            fleet.calls - calls
        };
        assert_eq!((asked(begun + left - 1), asked(begun + left)), (0, 1), "{algorithm:?}");
    }
}

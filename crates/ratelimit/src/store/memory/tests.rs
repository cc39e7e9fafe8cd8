use super::*;
use crate::algorithm::is_over;
use crate::limit::{Limit, Millis, Unit};
use crate::store::Weight;

const NOW: Millis = 1_700_000_000_000;

fn batch(now: Millis, counting: Counting, charges: &[(&str, u32, i64)]) -> Batch {
    let mut batch = Batch::new(now, counting);
    for (key, requests, hits) in charges {
        let limit = Limit::fixed(*requests, Unit::MINUTE);
        batch.push(limit, *hits, Weight::Refuses, |buffer| buffer.extend_from_slice(key.as_bytes()), |_| {});
    }
    batch
}

fn used(store: &Memory, key: &str) -> u64 {
    store.charge(&batch(NOW, Counting::CountAll, &[(key, 100, 0)]))[0].used
}

#[test]
fn charges_of_one_counter_follow_each_other() {
    let store = Memory::new(2000);
    let readings =
        store.charge(&batch(NOW, Counting::CountAll, &[("a", 10, 3), ("b", 10, 1), ("a", 10, 4), ("a", 10, -2)]));
    let used: Vec<_> = readings.iter().map(|reading| (reading.used, reading.after)).collect();
    assert_eq!(used, [(0, 3), (0, 1), (3, 7), (7, 5)]);
}

#[test]
fn a_refused_request_spends_everything_or_nothing() {
    for (counting, spent) in [(Counting::CountAll, 3), (Counting::AllOrNothing, 2)] {
        let store = Memory::new(2000);
        store.charge(&batch(NOW, counting, &[("wide", 10, 2), ("narrow", 2, 2)]));
        let readings = store.charge(&batch(NOW, counting, &[("wide", 10, 1), ("narrow", 2, 1)]));
        assert!(is_over(&Limit::fixed(2, Unit::MINUTE), readings[1].used, 1));
        assert_eq!((readings[0].after, used(&store, "wide")), (spent, spent), "{counting:?}");
    }
}

#[test]
fn what_does_not_refuse_the_request_is_counted_with_it() {
    let store = Memory::new(2000);
    let mut shadow = Batch::new(NOW, Counting::AllOrNothing);
    for (key, requests, weight) in [("open", 5, Weight::Refuses), ("shadow", 0, Weight::Counts)] {
        shadow.push(
            Limit::fixed(requests, Unit::MINUTE),
            1,
            weight,
            |buffer| buffer.extend_from_slice(key.as_bytes()),
            |_| {},
        );
    }
    store.charge(&shadow);
    assert_eq!(used(&store, "open"), 1);
}

#[test]
fn memory_is_bounded_and_expired_counters_go_first() {
    let store = Memory::new(1024);
    for number in 0..5000 {
        store.charge(&batch(NOW, Counting::CountAll, &[(&format!("key {number}"), 10, 1)]));
    }
    assert_eq!(store.len(), 1024);
    assert_eq!(store.evictions(), 5000 - 1024);
    for number in 0..1024 {
        store.charge(&batch(NOW + 61_000, Counting::CountAll, &[(&format!("late {number}"), 10, 1)]));
    }
    assert_eq!((store.len(), store.evictions()), (1024, 5000 - 1024));
}

#[test]
fn counters_of_one_request_do_not_push_each_other_out() {
    let store = Memory::new(1024);
    for number in 0..1024 {
        store.charge(&batch(NOW, Counting::CountAll, &[(&format!("key {number}"), 10, 1)]));
    }
    let keys: Vec<String> = (0..64).map(|number| format!("other {number}")).collect();
    let charges: Vec<(&str, u32, i64)> = keys.iter().map(|key| (key.as_str(), 10, 1)).collect();
    store.charge(&batch(NOW, Counting::CountAll, &charges));
    let readings = store.charge(&batch(NOW, Counting::CountAll, &charges));
    assert!(readings.iter().all(|reading| reading.used == 1), "{readings:?}");
}

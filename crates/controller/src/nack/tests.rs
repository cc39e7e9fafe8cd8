//! The hunt for culprits, with Envoy's part played.

mod blame;
mod play;

use super::*;

fn route(name: &str) -> ObjectRef {
    ObjectRef::new("g", "HTTPRoute", "default", name)
}

fn bad() -> Verdict {
    Verdict::Bad { resource: ("t".into(), "n".into()), version: Version::of(b""), words: "no".into() }
}

/// Hunts among `count` suspects, of which these are bad; the rounds and what was found.
fn hunt(count: usize, culprits: &[usize]) -> (usize, Option<ObjectRef>) {
    let suspects: Vec<_> = (0..count).map(|n| route(&n.to_string())).collect();
    let mut hunt = Hunt::new(suspects.clone(), "no");
    for round in 1.. {
        let is_out = |culprit: &usize| hunt.left_out().contains(&suspects[*culprit]);
        let verdict = if culprits.iter().all(is_out) { Verdict::Good } else { bad() };
        match hunt.judge(&verdict) {
            hunt::Step::Found(culprit) => return (round, Some(culprit)),
            hunt::Step::Lost => return (round, None),
            hunt::Step::Try | hunt::Step::Wait => {}
        }
    }
    unreachable!("every hunt ends")
}

#[test]
fn every_culprit_is_found_in_few_rounds() {
    for count in 2..40 {
        for culprit in 0..count {
            let (rounds, found) = hunt(count, &[culprit]);
            assert_eq!(found, Some(route(&culprit.to_string())));
            assert!(rounds <= 2 + count.ilog2() as usize + 1, "{rounds} rounds for {count}");
        }
    }
}

#[test]
fn of_several_culprits_one_is_found_at_a_time() {
    assert_eq!(hunt(10, &[3, 7]).1, Some(route("3")));
}

#[test]
fn nobody_is_blamed_for_what_none_of_them_did() {
    let mut hunt = Hunt::new(vec![route("a"), route("b")], "no");
    assert_eq!(hunt.judge(&Verdict::Open), hunt::Step::Wait);
    assert_eq!(hunt.judge(&bad()), hunt::Step::Lost);
}

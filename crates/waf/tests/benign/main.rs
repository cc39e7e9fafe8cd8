//! Requests of honest people and programs, made of real texts, and how many of them are refused: `cargo xtask waf benign`.
//!
//! The texts are the read-mes of the packages that this workspace is built from: prose, by many people, of pinned versions.
//! Arguments: how many requests, and the seed. The last line is `N refused at level 1, N at level 2, of N`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../shared/chance.rs"]
#[allow(dead_code, reason = "shared")]
mod chance;
#[path = "../shared/judge.rs"]
#[allow(dead_code, reason = "shared")]
mod judge;
mod requests;
mod texts;

use std::collections::BTreeMap;

use waf::verdict::{Verdict, adds_up};

use chance::Chance;
use judge::Judge;
use requests::{KINDS, Maker};

/// Rules that are named, those that match most first.
const NAMED: usize = 12;
const PROFILES: [(&str, &str); 2] = [
    ("level1.yaml", "name: level1\ncoreRules: {paranoia: 1}\n"),
    ("level2.yaml", "name: level2\ncoreRules: {paranoia: 2}\n"),
];

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<usize>().expect("a number"));
    let (count, seed) = (args.next().unwrap_or(10_000), args.next().unwrap_or(1));
    let texts = texts::all();
    let mut maker = Maker { texts: &texts, chance: Chance::new(seed as u64) };
    let requests: Vec<_> = (0..count).map(|number| (KINDS[number % KINDS.len()], maker.make(number))).collect();
    println!("{} texts, {count} requests with seed {seed}", texts.len());
    let judge = Judge::new(&PROFILES);
    let mut all = [0, 0];
    for (level, refused) in ["level1", "level2"].into_iter().zip(&mut all) {
        let profile = judge.profile(level);
        let (mut by_kind, mut by_rule) = (BTreeMap::<&str, usize>::new(), BTreeMap::<u32, usize>::new());
        for (kind, request) in &requests {
            let (verdict, mut rules, _) = judge.judge(&profile, request);
            if verdict == Verdict::Pass {
                continue;
            }
            *refused += 1;
            *by_kind.entry(kind).or_default() += 1;
            rules.sort_unstable();
            rules.dedup();
            rules.into_iter().filter(|rule| !adds_up(*rule)).for_each(|rule| *by_rule.entry(rule).or_default() += 1);
        }
        let mut rules: Vec<_> = by_rule.into_iter().collect();
        rules.sort_by_key(|(_, matches)| std::cmp::Reverse(*matches));
        rules.truncate(NAMED);
        println!("{level}: {refused} refused, by kind {by_kind:?}, by rule {rules:?}");
    }
    println!("{} refused at level 1, {} at level 2, of {count}", all[0], all[1]);
}

//! The firewall beside plain Coraza with the same rules: `cargo xtask waf differential`.
//!
//! ```text
//! cases of the Core Rule Set ─▶ transactions ─┬─▶ ext_proc ─▶ portcullis-waf ─▶ audit log ─┐
//!         and changes of them                 └─▶ plain Coraza (Go) ─▶ verdicts ───────────┴─▶ the same rules and scores?
//! ```
//!
//! Arguments: how many changed transactions, and the seed. The last line is `N equal, N different`. At the end a rule is taken away
//! from plain Coraza, which has to be found: a comparison that finds nothing must be able to.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ask;
#[path = "../crs/backend.rs"]
#[allow(dead_code, reason = "shared with the regression tests")]
mod backend;
#[path = "../crs/cases.rs"]
#[allow(dead_code, reason = "shared with the regression tests")]
mod cases;
#[path = "../shared/chance.rs"]
#[allow(dead_code, reason = "shared")]
mod chance;
#[path = "../service/house.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod house;
mod mutate;
mod plain;
#[path = "../crs/send.rs"]
#[allow(dead_code, reason = "shared with the regression tests")]
mod send;
mod transaction;
mod verdict;

use std::collections::BTreeMap;
use std::process::ExitCode;

use chance::Chance;
use house::Service;
use plain::Plain;
use transaction::Transaction;
use verdict::Verdict;

/// How many are under way at a time.
const AT_A_TIME: usize = 8;
/// How many are shown at a time: the audit log's queue holds all of them.
const BATCH: usize = 4_000;
/// In how many transactions a difference is planted.
const PLANTED: usize = 20;
/// How often both judge again what they differ in.
const AGAIN: usize = 25;

/// As the baseline, and everything is looked at.
const STRICT: &str = "
name: edge
mode: block
coreRules: {paranoia: 2}
requestBody: {limit: 13107200, contentTypes: ['*/*']}
response: {inspect: true, body: {inspect: true, limit: 1048576}}
";
const PROFILES: [&str; 2] = ["crs", "edge"];
const FILES: [(&str, &str); 2] = [("crs.yaml", cases::PROFILE), ("edge.yaml", STRICT)];

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u32>().expect("a number"));
    let (changed, seed) = (args.next().unwrap_or(10_000), args.next().unwrap_or(1));
    let plain = Plain::new(&FILES);
    let transactions = transactions(changed, seed);
    let (ours, theirs) = judged(&plain, &transactions).await;
    let differing: Vec<&Transaction> =
        transactions.iter().filter(|transaction| ours[&transaction.id] != theirs[&transaction.id]).collect();
    let stay = stay_different(&plain, &differing).await;
    for (transaction, why) in &stay {
        println!("DIFFERENT {}: {why}\n  {}", transaction.id, transaction.line());
    }
    let refused = theirs.values().filter(|verdict| verdict.refused).count();
    println!("{} transactions with seed {seed}, {refused} of them refused", transactions.len());
    println!("{} by chance: both say now this, now that", differing.len() - stay.len());
    let (found, planted) = planted(&transactions, &ours).await;
    println!("{found} found of {planted} for which plain Coraza lacked a rule");
    println!("{} equal, {} different", transactions.len() - stay.len(), stay.len());
    if stay.is_empty() && found == planted && planted > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Takes a rule away from plain Coraza: how many of the transactions in which it matched are found to differ, and how many those
/// are.
async fn planted(transactions: &[Transaction], ours: &Verdicts) -> (usize, usize) {
    let of_first = transactions.iter().filter(|transaction| transaction.profile == PROFILES[0]);
    let Some(rule) = of_first.clone().find_map(|transaction| ours[&transaction.id].rules.first()) else {
        return (0, 0);
    };
    let touched: Vec<Transaction> =
        of_first.filter(|transaction| ours[&transaction.id].rules.contains(rule)).take(PLANTED).cloned().collect();
    let lacking = format!("{}\nexclusions: [{{rules: [{rule}]}}]\n", cases::PROFILE);
    let lacking = Plain::new(&[("crs.yaml", &lacking), FILES[1]]);
    let theirs = lacking.judge(&touched).await;
    let differing: Vec<&Transaction> =
        touched.iter().filter(|transaction| ours[&transaction.id] != theirs[&transaction.id]).collect();
    (stay_different(&lacking, &differing).await.len(), touched.len())
}

/// All cases for both profiles, and changes of them.
fn transactions(changed: u32, seed: u32) -> Vec<Transaction> {
    let raw = cases::all().into_iter().flat_map(|case| {
        let stages = case.stages.into_iter().enumerate();
        stages.map(move |(index, stage)| (format!("{}-{index}", case.name), send::bytes(&stage.input)))
    });
    let cases: Vec<(String, Transaction)> =
        raw.filter_map(|(name, raw)| Some((name, Transaction::read(&raw)?))).collect();
    let mut transactions = Vec::new();
    for (name, case) in &cases {
        transactions.extend(PROFILES.map(|profile| case.clone().named(format!("{name}-{profile}"), profile)));
    }
    let mut chance = Chance::new(seed.into());
    for number in 0..changed {
        let (name, case) = &cases[chance.below(cases.len())];
        let other = &cases[chance.below(cases.len())].1;
        let profile = chance.of(&PROFILES);
        transactions
            .push(mutate::mutated(case, other, &mut chance).named(format!("{name}-{profile}-{number}"), profile));
    }
    transactions
}

type Verdicts = BTreeMap<String, Verdict>;

/// What both say, by the transactions' ids.
async fn judged(plain: &Plain, transactions: &[Transaction]) -> (Verdicts, Verdicts) {
    let mut ours = Verdicts::new();
    for batch in transactions.chunks(BATCH) {
        // One for each batch: the audit log does not rotate, and is read once.
        let service = Service::start_with_audit(&FILES, "", "when: always, parts: [], queue: 8192").await;
        let address = service.grpc.parse().unwrap();
        let askers = (0..AT_A_TIME).map(|asker| ask::ask_all(&address, batch.iter().skip(asker).step_by(AT_A_TIME)));
        futures::future::join_all(askers).await;
        let all = f64::from(u32::try_from(batch.len()).unwrap());
        service.reaches(r#"waf_audit_entries_total{outcome="written"}"#, all).await;
        ours.extend(service.entries().iter().map(Verdict::of_entry));
    }
    (ours, plain.judge(transactions).await)
}

/// Which transactions both differ in for good, and how. Some rules look at parameters in an order that Go decides anew each time:
/// where one is seen to say what the other said, they do not differ.
async fn stay_different<'a>(plain: &Plain, differing: &[&'a Transaction]) -> Vec<(&'a Transaction, String)> {
    let again = |index: usize, one: &Transaction| {
        (0..AGAIN)
            .map(move |number| format!("again-{index}-{number}"))
            .map(|id| one.clone().named(id, one.profile))
            .collect()
    };
    let repeated: Vec<Vec<Transaction>> =
        differing.iter().enumerate().map(|(index, transaction)| again(index, transaction)).collect();
    let (ours, theirs) = judged(plain, &repeated.concat()).await;
    let mut stay = Vec::new();
    for (transaction, same) in differing.iter().zip(&repeated) {
        let of = |verdicts: &Verdicts| same.iter().map(|one| verdicts[&one.id].clone()).collect::<Vec<_>>();
        let (ours, theirs) = (of(&ours), of(&theirs));
        if !ours.iter().any(|verdict| theirs.contains(verdict)) {
            stay.push((*transaction, format!("{:?}, and plain Coraza {:?}", ours[0], theirs[0])));
        }
    }
    stay
}

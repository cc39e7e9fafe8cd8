//! What a route feels of what happens to others, and what a route feels that is changed itself.

use std::time::Duration;

use anyhow::Result;
use testbed::times::Times;
use tokio::time::interval;

use super::figures::Figures;
use super::house::{BYSTANDER, House};
use super::load::{Load, Seen};
use super::manifests;

/// Requests a second to the route that nobody changes.
const RATE: u32 = 200;
/// Requests a second to a route that is changed.
const SUBJECT_RATE: u32 = 100;
/// How many changes there are of each sort, and the time between two.
const CHANGES: usize = 100;
const EVERY: Duration = Duration::from_millis(50);
/// How often each of them is done: the p99 of one time is that of a thousand requests, which is mostly chance.
const ROUNDS: usize = 3;
/// How long nothing happens, to compare with.
const QUIET: Duration = Duration::from_secs(5);
/// The most that the bystander's p99 may be, in ms.
const LIMIT: f64 = 15.0;
/// The route that is changed under requests, and a path that it always serves.
const SUBJECT: &str = "subject";
const PATH: &str = "/r7/";

/// What is done, in this order, and how it is called.
const ACTS: [(Act, &str); 5] = [
    (Act::Add, "100 routes added"),
    (Act::Change, "100 changed"),
    (Act::Reorder, "rules reordered 100 times"),
    (Act::Swap, "backends of 100 swapped"),
    (Act::Delete, "100 deleted"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Add,
    Change,
    Reorder,
    Swap,
    Delete,
}

impl Act {
    /// Whether it is done to the route under requests, too.
    fn is_of_subject(self) -> bool {
        matches!(self, Self::Reorder | Self::Swap)
    }
}

/// What became of requests while one of them was done.
#[derive(Default)]
struct Felt {
    bystander: Seen,
    subject: Seen,
}

/// All of it, among so many routes.
pub(super) async fn run(house: &mut House, routes: usize, figures: &mut Figures) -> Result<()> {
    house.create(SUBJECT, &manifests::many_rules(0, 0)).await?;
    house.served(SUBJECT, PATH).await?;
    house.settle().await?;
    let load = Load::start(house.gateway, BYSTANDER, "/", RATE);
    tokio::time::sleep(QUIET).await;
    let alone = load.stop().await?;
    figures.add(format!("bystander p99, {routes} routes, nothing happens"), Times::new(alone.times).millis(0.99), "ms");
    let mut all: Vec<Felt> = ACTS.iter().map(|_| Felt::default()).collect();
    for _ in 0..ROUNDS {
        for ((act, _), felt) in ACTS.into_iter().zip(&mut all) {
            watch(house, act, felt).await?;
        }
    }
    for ((act, words), felt) in ACTS.into_iter().zip(all) {
        tell(act, &format!("{routes} routes, {words}"), felt, figures);
    }
    house.delete(SUBJECT).await?;
    house.settle().await
}

/// Does one of them, with requests meanwhile.
async fn watch(house: &mut House, act: Act, felt: &mut Felt) -> Result<()> {
    let bystander = Load::start(house.gateway, BYSTANDER, "/", RATE);
    let subject = act.is_of_subject().then(|| Load::start(house.gateway, SUBJECT, PATH, SUBJECT_RATE));
    perform(house, act).await?;
    felt.bystander.add(bystander.stop().await?);
    if let Some(subject) = subject {
        felt.subject.add(subject.stop().await?);
    }
    Ok(())
}

fn tell(act: Act, title: &str, Felt { bystander, subject }: Felt, figures: &mut Figures) {
    let p99 = Times::new(bystander.times).millis(0.99);
    figures.add_with(format!("bystander p99, {title}"), p99, "ms", Some(LIMIT));
    figures.add_with(format!("bystander's failed requests, {title}"), f64::from(bystander.failed), "", Some(0.0));
    if act.is_of_subject() {
        let failed = f64::from(subject.failed);
        figures.add_with(format!("the changed route's failed requests, {title}"), failed, "", Some(0.0));
    }
}

/// Does it a hundred times, and waits until all is in force.
async fn perform(house: &mut House, act: Act) -> Result<()> {
    let mut due = interval(EVERY);
    for number in 0..CHANGES {
        due.tick().await;
        let name = format!("x{number:03}");
        match act {
            Act::Add => house.create(&name, &manifests::rules("/v0", number)).await?,
            Act::Change => house.change(&name, &manifests::rules("/v1", number)).await?,
            Act::Reorder => house.change(SUBJECT, &manifests::many_rules(number, 0)).await?,
            Act::Swap if number % 10 == 0 => house.change(SUBJECT, &manifests::many_rules(0, number / 10)).await?,
            Act::Swap => house.change(&name, &manifests::rules("/v1", number + 1)).await?,
            Act::Delete => house.delete(&name).await?,
        }
    }
    // One more change that shows: what came before it is in force, too.
    house.probe().await.map(drop)
}

//! Counters in Redis. The only room that names the crate `redis`.
//!
//! ```text
//! batch ─▶ groups: by server, and in a cluster by slot ─▶ one write each, at once ─▶ readings
//!                        │                                 └── link: the connection, kept up by a task
//!                        └── plain counts, or hits of sliding windows, where that is all there is to do,
//!                            else one call of the script
//! ```
//!
//! Calls of many requests share a connection: they go out together and are answered in order. A request waits for its
//! deadline at most; which server was late is known, and held against no other. After some failures in a row the link leaves
//! Redis alone (the breaker is open): requests are told at once that it is down, and one task, not they, tries until it
//! answers again.

mod counts;
mod groups;
mod script;
mod slides;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use kit::Kit;
use kit::deadline::timeout_at;
use kit::lanes::Lanes;
use kit::redis::{Connection, Failure, Link, Terms};
use redis::{Cmd, ErrorKind, Pipeline, ServerErrorKind, Value};
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Batch, PerCharge, Readings};
use crate::algorithm::{Counting, Reading};
use crate::limit::Unit;
use crate::metrics::Metrics;
use crate::settings::redis::{RedisSettings, Server};
use counts::{Counts, Ends};
use groups::Group;
use script::{Call, Raw, Scripted};
use slides::Slides;

/// Counters in one Redis, or two.
#[derive(Debug)]
pub struct Redis {
    /// Of all limits; and of those per second, when they have one of their own.
    links: SmallVec<[Arc<Link>; 2]>,
    deadline: Duration,
    ends: Ends,
    metrics: Arc<Metrics>,
}

/// What was not answered of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// All of it.
    All(Failure),
    /// Some charges: those of one server, or of one slot.
    Some(Box<Partial>),
}

/// Answers for some charges of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partial {
    /// The readings, which say nothing where there was no answer.
    pub readings: Readings,
    /// The charges that were not answered.
    pub missing: SmallVec<[usize; 4]>,
    /// Why they were not.
    pub failure: Failure,
    /// Whether one of the others refuses the request.
    pub refused: bool,
}

impl Redis {
    /// Starts to connect, and returns at once.
    ///
    /// With `lanes` each of them has connections of its own.
    pub fn start(kit: &Kit, settings: &RedisSettings, metrics: &Arc<Metrics>, lanes: Option<&Lanes>) -> Self {
        let links = [("redis", Some(&settings.server)), ("redis per second", settings.per_second.as_ref())];
        let start = |(name, server): (_, Option<&Server>)| {
            let terms = Terms {
                greeting: script::loads().into(),
                lanes: lanes.cloned(),
                most_failures: settings.breaker_failures,
                open: metrics.breaker_open.with_label_values(&[name]),
                closes_gate: settings.ready_only_with_redis,
            };
            Some(Link::start(kit, name, server?.clone(), terms))
        };
        let links = links.into_iter().filter_map(start).collect();
        Self { links, deadline: settings.deadline, ends: Ends::default(), metrics: Arc::clone(metrics) }
    }

    /// Charges a batch within the deadline.
    pub async fn charge(&self, batch: &Batch) -> Result<Readings, Unanswered> {
        let timer = self.metrics.store_seconds.start_timer();
        let charged = self.charge_groups(batch, Instant::now() + self.deadline).await;
        // Where nothing was asked nothing took time.
        if charged == Err(Unanswered::All(Failure::Down)) {
            let _ = timer.stop_and_discard();
        } else {
            timer.observe_duration();
        }
        charged
    }

    async fn charge_groups(&self, batch: &Batch, until: Instant) -> Result<Readings, Unanswered> {
        let groups = self.groups(batch);
        let mut raws: PerCharge<Raw> = SmallVec::from_elem(Raw::default(), batch.charges().len());
        let failed = if let [group] = groups.as_slice() {
            self.charge_group(batch, group, until, &mut raws).await.map_err(Unanswered::All)?;
            None
        } else {
            // What is seldom done takes no room in what each call is.
            Box::pin(self.charge_apart(batch, &groups, until, &mut raws)).await?
        };
        let missing = failed.as_ref().map_or(&[][..], |(_, missing)| missing);
        let (deltas, refused) = deltas(batch, &raws, missing);
        let reading = |((charge, raw), delta): ((&super::Charge, &Raw), &i64)| {
            let (reset, retry) = raw.times.unwrap_or_else(|| crate::algorithm::fixed_times(&charge.limit, batch.now));
            Reading::new(&charge.limit, charge.hits, raw.used, *delta, reset, retry)
        };
        let readings = batch.charges().iter().zip(&raws).zip(&deltas).map(reading).collect();
        match failed {
            None => Ok(readings),
            Some((failure, missing)) => {
                Err(Unanswered::Some(Box::new(Partial { readings, missing, failure, refused })))
            }
        }
    }

    /// Groups are charged at the same time, and what one says does not depend on the others. When one refuses a request that
    /// is all-or-nothing, what the others have counted is given back. Gives the charges that were not answered, if any.
    async fn charge_apart(
        &self,
        batch: &Batch,
        groups: &[Group],
        until: Instant,
        raws: &mut PerCharge<Raw>,
    ) -> Result<Option<(Failure, PerCharge<usize>)>, Unanswered> {
        let calls = groups.iter().map(|group| async {
            let mut own = raws.clone();
            self.charge_group(batch, group, until, &mut own).await.map(|()| own)
        });
        let answers = join_all(calls).await;
        let (mut counted, mut failed) = (Vec::new(), None);
        for (group, answer) in groups.iter().zip(answers) {
            match answer {
                Ok(own) => {
                    group.charges.iter().for_each(|index| raws[*index] = own[*index]);
                    counted.push(group);
                }
                Err(failure) => {
                    let (_, missing) = failed.get_or_insert((failure, PerCharge::new()));
                    missing.extend_from_slice(&group.charges);
                }
            }
        }
        if let Some((failure, _)) = failed.as_ref().filter(|_| counted.is_empty()) {
            return Err(Unanswered::All(*failure));
        }
        let missing = failed.as_ref().map_or(&[][..], |(_, missing)| missing);
        let (_, refused) = deltas(batch, raws, missing);
        if refused && batch.counting == Counting::AllOrNothing {
            counted.retain(|group| !group.refused(batch, raws));
            self.give_back(batch, &counted, raws, until).await;
        }
        Ok(failed)
    }

    /// Gives back what these groups have counted. The request is refused whatever becomes of that, and is answered in time: so
    /// this has a time of its own, and goes on without the request.
    async fn give_back(&self, batch: &Batch, groups: &[&Group], raws: &PerCharge<Raw>, until: Instant) {
        let (batch, raws, links) = (batch.clone(), raws.clone(), self.links.clone());
        let groups: Vec<Group> = groups.iter().map(|group| (*group).clone()).collect();
        let own = Instant::now() + self.deadline;
        let given = tokio::spawn(async move {
            let backs = groups.iter().map(|group| async {
                let call = Call::new(&batch, group).giving_back(&raws);
                if let Err(failure) = evaluated(&links[group.link], &call, own).await {
                    tracing::debug!(%failure, "hits of a refused request stay counted");
                }
            });
            join_all(backs).await;
        });
        let _ = timeout_at(until, given).await;
    }

    /// In a cluster scripts go where the slot is; plain commands are for all others.
    async fn charge_group(
        &self,
        batch: &Batch,
        group: &Group,
        until: Instant,
        raws: &mut PerCharge<Raw>,
    ) -> Result<(), Failure> {
        let link = &self.links[group.link];
        if let Some(slides) = Slides::of(batch, group) {
            let answer = evaluated(link, &slides, until).await?;
            let odd = slides.read(&answer, raws).ok_or(Failure::Refused)?;
            return self.call_odd(batch, group, odd, until, raws).await;
        }
        let counts = if link.is_cluster() { None } else { Counts::of(batch, group, &self.ends) };
        let Some(counts) = counts else { return self.call(&Call::new(batch, group), group, until, raws).await };
        let answers = link.send_all(&counts.commands(), until).await?;
        let left = counts.read(&answers, raws).ok_or(Failure::Refused)?;
        if !left.ends.is_empty() {
            Box::pin(self.tell_ends(link, left.ends, until)).await;
        }
        self.call_odd(batch, group, left.odd, until, raws).await
    }

    /// Tells counters their ends. What they count is known, whatever becomes of that; the next hit tells what was not heard.
    async fn tell_ends(&self, link: &Link, ends: Vec<(u64, Cmd)>, until: Instant) {
        let (hashes, mut commands) = (ends.iter().map(|(hash, _)| *hash).collect::<PerCharge<u64>>(), Pipeline::new());
        for (_, end) in ends {
            commands.add_command(end);
        }
        let answers = link.send_all(&commands, until).await.unwrap_or_default();
        for (hash, answer) in hashes.iter().zip(answers) {
            if answer == Value::Int(1) {
                self.ends.learn(*hash);
            }
        }
    }

    /// Charges whose counters were found to be none: the script repairs them.
    async fn call_odd(
        &self,
        batch: &Batch,
        group: &Group,
        odd: SmallVec<[usize; 4]>,
        until: Instant,
        raws: &mut PerCharge<Raw>,
    ) -> Result<(), Failure> {
        if odd.is_empty() {
            return Ok(());
        }
        let odd = group.only(odd);
        self.call(&Call::new(batch, &odd), &odd, until, raws).await
    }

    async fn call(
        &self,
        call: &Call<'_>,
        group: &Group,
        until: Instant,
        raws: &mut PerCharge<Raw>,
    ) -> Result<(), Failure> {
        let answer = evaluated(&self.links[group.link], call, until).await?;
        let repaired = call.read(&answer, raws).ok_or(Failure::Refused)?;
        self.metrics.repaired.inc_by(repaired);
        Ok(())
    }

    fn groups(&self, batch: &Batch) -> SmallVec<[Group; 1]> {
        let link = |index: usize| {
            let per_second = batch.charges()[index].limit.unit == Unit::SECOND;
            usize::from(per_second && self.links.len() > 1)
        };
        groups::of(batch, link, |link| self.links[link].is_cluster())
    }
}

/// The answer of a script, which is put into the server's cache when it is not there: after a restart or SCRIPT FLUSH, and on
/// each node of a cluster.
async fn evaluated(link: &Link, call: &impl Scripted, until: Instant) -> Result<Value, Failure> {
    let ask = |mut connection: Connection| async move {
        match connection.send(&call.by_hash()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.send(&call.by_code()).await
            }
            answer => answer,
        }
    };
    link.ask(until, ask).await
}

/// What the script has added for each charge, and whether it refused: it and this do the same arithmetic. Nothing is known of
/// charges that were not answered.
fn deltas(batch: &Batch, raws: &[Raw], missing: &[usize]) -> (PerCharge<i64>, bool) {
    let mut refused = false;
    let mut deltas: PerCharge<i64> = SmallVec::new();
    for (index, (charge, raw)) in batch.charges().iter().zip(raws).enumerate() {
        let answered = !missing.contains(&index);
        refused |= answered && charge.refuses(raw.used);
        deltas.push(if answered { charge.added(raw.used, batch.counting) } else { 0 });
    }
    if refused && batch.counting == Counting::AllOrNothing {
        deltas.iter_mut().for_each(|delta| *delta = 0);
    }
    (deltas, refused)
}

#[cfg(test)]
mod tests;

//! Hits of fixed windows, each counted for itself: commands of Redis' own do that, at a fraction of what the script costs.
//!
//! ```text
//! INCRBY key hits [PEXPIRE key ms] … in one write ─▶ counts ─▶ what is no count, to the script, which repairs it
//! ```
//!
//! A counter's end is told once, with the first hit that this service counts in it. A counter that is new all the same was
//! lost by Redis, and is told its end again, with each hit until Redis has heard it.

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::DefaultHashBuilder;
use redis::{Cmd, Pipeline, Value};
use smallvec::SmallVec;

use super::groups::Group;
use super::script::Raw;
use crate::algorithm::Counting;
use crate::limit::{Algorithm, Millis};
use crate::store::{Batch, Charge, PerCharge};

/// How many counters are known to end. Where another takes the place of one, that one is told its end once more.
const KNOWN: usize = 1 << 14;
/// From here on not every whole number is one of the script's: a count that large is none.
const EXACT: i64 = 1 << 53;

/// Counters whose end Redis knows, by the hash of their key.
#[derive(Debug)]
pub(super) struct Ends {
    hasher: DefaultHashBuilder,
    known: Box<[AtomicU64]>,
}

/// The charges of a group as commands.
pub(super) struct Counts<'a> {
    batch: &'a Batch,
    group: &'a Group,
    ends: &'a Ends,
    /// For each charge the hash of its key, and whether its end is told.
    charges: SmallVec<[(u64, bool); 4]>,
}

/// What the answers leave to be done.
#[derive(Default)]
pub(super) struct Left {
    /// Charges whose counters are none.
    pub(super) odd: SmallVec<[usize; 4]>,
    /// Commands that tell counters their ends, which had been told before, by the hashes of their keys. It is not known any
    /// more that they end.
    pub(super) ends: Vec<(u64, Cmd)>,
}

impl Default for Ends {
    fn default() -> Self {
        let known = (0..KNOWN).map(|_| AtomicU64::new(0)).collect();
        Self { hasher: DefaultHashBuilder::default(), known }
    }
}

impl Ends {
    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.known[usize::try_from(hash % self.known.len() as u64).unwrap_or_default()]
    }

    fn knows(&self, hash: u64) -> bool {
        self.place(hash).load(Ordering::Relaxed) == hash
    }

    pub(super) fn learn(&self, hash: u64) {
        self.place(hash).store(hash, Ordering::Relaxed);
    }

    fn forget(&self, hash: u64) {
        self.place(hash).store(0, Ordering::Relaxed);
    }
}

impl<'a> Counts<'a> {
    /// The group as commands; none where it needs the script.
    pub(super) fn of(batch: &'a Batch, group: &'a Group, ends: &'a Ends) -> Option<Self> {
        let adds = |index: &usize| {
            let charge = &batch.charges()[*index];
            charge.limit.algorithm == Algorithm::FixedWindow && charge.adds()
        };
        if batch.counting != Counting::CountAll || !group.charges.iter().all(adds) {
            return None;
        }
        let charge = |index: &usize| {
            let hash = ends.hasher.hash_one(batch.windowed_key(&batch.charges()[*index]));
            (hash, !ends.knows(hash))
        };
        Some(Self { batch, group, ends, charges: group.charges.iter().map(charge).collect() })
    }

    pub(super) fn commands(&self) -> Pipeline {
        let mut commands = Pipeline::with_capacity(self.charges.len() * 2);
        for (index, (_, told)) in self.group.charges.iter().zip(&self.charges) {
            let charge = &self.batch.charges()[*index];
            let key = self.batch.windowed_key(charge);
            let mut count = Cmd::with_capacity(3, key.len() + 32);
            count.arg(b"INCRBY").arg(key).arg(charge.hits);
            commands.add_command(count);
            if *told {
                commands.add_command(self.end(charge));
            }
        }
        commands
    }

    /// A counter stays as long as one that the script makes.
    fn end(&self, charge: &Charge) -> Cmd {
        let (key, now, unit) = (self.batch.windowed_key(charge), self.batch.now, charge.limit.unit);
        let left: Millis = unit.window_start(now) + unit.as_millis() - now + 5000 + now % 5000;
        let mut end = Cmd::with_capacity(3, key.len() + 32);
        end.arg(b"PEXPIRE").arg(key).arg(left);
        end
    }

    /// Puts the counts to their charges; nothing when there are too few.
    pub(super) fn read(&self, answers: &[Value], raws: &mut PerCharge<Raw>) -> Option<Left> {
        let (mut answers, mut left) = (answers.iter(), Left::default());
        for (index, (hash, told)) in self.group.charges.iter().zip(&self.charges) {
            let charge = &self.batch.charges()[*index];
            let count = answers.next()?;
            if *told && matches!(answers.next()?, Value::Int(1)) {
                self.ends.learn(*hash);
            }
            let used = match count {
                Value::Int(count) => count.checked_sub(charge.hits).filter(|used| (0..EXACT).contains(used)),
                _ => None,
            };
            match used {
                Some(0) if !told => {
                    self.ends.forget(*hash);
                    left.ends.push((*hash, self.end(charge)));
                }
                Some(_) => {}
                None => left.odd.push(*index),
            }
            raws[*index] = Raw { used: used.unwrap_or_default().unsigned_abs(), times: None };
        }
        Some(left)
    }
}

//! The script as a command, and its answer; and what calls of scripts have in common.

use std::sync::LazyLock;

use redis::{Cmd, Script, Value};

use super::groups::Group;
use super::slides;
use crate::algorithm::Counting;
use crate::limit::{Algorithm, Millis};
use crate::store::{Batch, PerCharge, Weight};

const CODE: &str = include_str!("charge.lua");

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(CODE));

/// What the script says of one charge.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Raw {
    pub(super) used: u64,
    /// Until reset and until the same would be admitted; not for fixed windows, whose times are known here.
    pub(super) times: Option<(Millis, Millis)>,
}

/// One call of the script.
pub(super) struct Call<'a> {
    batch: &'a Batch,
    group: &'a Group,
    /// What is to be given back, when that is what the call is for.
    back: Option<&'a [Raw]>,
}

/// A call of a script.
pub(super) trait Scripted {
    /// The script.
    fn code(&self) -> &'static str;

    /// What the server's cache knows the script by.
    fn hash(&self) -> &'static str;

    /// The command of this name for the script, or for its hash.
    fn command(&self, name: &str, script: &str) -> Cmd;

    /// The command by the script's hash.
    fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", self.hash())
    }

    /// The command with the script itself, which also puts it into the server's cache.
    fn by_code(&self) -> Cmd {
        self.command("EVAL", self.code())
    }
}

/// Put the scripts into the server's cache.
pub(super) fn loads() -> [Cmd; 2] {
    [CODE, slides::CODE].map(|code| {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(code);
        command
    })
}

impl Scripted for Call<'_> {
    fn code(&self) -> &'static str {
        CODE
    }

    fn hash(&self) -> &'static str {
        SCRIPT.get_hash()
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let charges = &self.group.charges;
        let bytes: usize = charges.iter().map(|index| self.key(*index).len() + 64).sum();
        let mut command = Cmd::with_capacity(5 + charges.len() * 7, bytes + script.len() + 64);
        command.arg(name).arg(script).arg(charges.len());
        for index in charges {
            command.arg(self.key(*index));
        }
        let strict = self.batch.counting == Counting::AllOrNothing;
        command.arg(self.batch.now).arg(if strict { b"1" } else { b"0" });
        for index in charges {
            let charge = &self.batch.charges()[*index];
            let limit = &charge.limit;
            command
                .arg(match limit.algorithm {
                    Algorithm::FixedWindow => b"f",
                    Algorithm::SlidingWindow => b"s",
                    Algorithm::TokenBucket => b"t",
                })
                .arg(limit.capacity())
                .arg(limit.requests)
                .arg(limit.unit.as_millis())
                .arg(self.hits(*index))
                .arg(match charge.weight {
                    Weight::Refuses => b"1",
                    Weight::Spare => b"2",
                    Weight::Looks => b"3",
                    Weight::Counts => b"0",
                });
        }
        command
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(batch: &'a Batch, group: &'a Group) -> Self {
        Self { batch, group, back: None }
    }

    /// Gives back what was added for charges that were answered so.
    pub(super) fn giving_back(self, raws: &'a [Raw]) -> Self {
        Self { back: Some(raws), ..self }
    }

    fn key(&self, index: usize) -> &[u8] {
        self.batch.windowed_key(&self.batch.charges()[index])
    }

    fn hits(&self, index: usize) -> i64 {
        let charge = &self.batch.charges()[index];
        self.back.map_or(charge.hits, |raws| -charge.added(raws[index].used, self.batch.counting))
    }

    /// Puts the answer's numbers to their charges and gives the number of repaired values; nothing when the answer is no
    /// answer of the script.
    pub(super) fn read(&self, answer: &Value, raws: &mut PerCharge<Raw>) -> Option<u64> {
        let Value::Array(numbers) = answer else { return None };
        let mut numbers = numbers.iter().map(|value| match value {
            Value::Int(number) => Some(u64::try_from(*number).unwrap_or_default()),
            _ => None,
        });
        let mut next = || numbers.next().flatten();
        let repaired = next()?;
        for index in &self.group.charges {
            let used = next()?;
            let times = match self.batch.charges()[*index].limit.algorithm {
                Algorithm::FixedWindow => None,
                Algorithm::SlidingWindow | Algorithm::TokenBucket => Some((next()?, next()?)),
            };
            raws[*index] = Raw { used, times };
        }
        Some(repaired)
    }
}

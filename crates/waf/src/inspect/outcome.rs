//! What is told of a request once it is over.

use std::time::{Duration, SystemTime};

use coraza::Match;

use super::{Exchange, Inspection};
use crate::head::Head;
use crate::profile::Plan;
use crate::verdict::{Reason, Refusal};

/// What is told of a request once it is over.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The request.
    pub exchange: &'a Exchange,
    /// The head of its response, if it was seen.
    pub response: Option<&'a Head>,
    /// The profile.
    pub plan: &'a Plan,
    /// The rules that matched.
    pub matches: Vec<Match>,
    /// Scores of request and response.
    pub scores: (i32, i32),
    /// Why it was refused, or would have been where the profile only detects.
    pub refused: Option<&'a Refusal>,
    /// Why it could not be judged.
    pub failed: Option<Reason>,
    /// Bytes of its body and of the response's.
    pub bodies: (u64, u64),
    /// From its beginning to its end.
    pub took: Duration,
    /// When that was.
    pub over: SystemTime,
    /// What looked on.
    pub shadow: Option<Shadow<'a>>,
}

/// What a profile that looks on would have done.
#[derive(Debug)]
pub struct Shadow<'a> {
    /// The profile.
    pub plan: &'a Plan,
    /// The rules that matched.
    pub matches: &'a [Match],
    /// Whether it would have refused; nothing where that is unknown.
    pub refuses: Option<bool>,
}

impl Shadow<'_> {
    /// What it would have done, in a word.
    pub fn verdict(&self) -> &'static str {
        match self.refuses {
            Some(true) => "block",
            Some(false) => "pass",
            None => "unknown",
        }
    }
}

impl<'a> Outcome<'a> {
    pub(super) fn of(inspection: &'a Inspection) -> Self {
        let (took, over) = inspection.over.unwrap_or_else(|| (inspection.begun.elapsed(), SystemTime::now()));
        let step = inspection.step();
        let found = step.is_none_or(|step| step.matches > 0);
        Self {
            exchange: &inspection.exchange,
            response: inspection.response.as_ref(),
            plan: &inspection.profile.plan,
            matches: if found { inspection.transaction.matches() } else { Vec::new() },
            scores: step.map_or((0, 0), |step| (step.inbound, step.outbound)),
            refused: inspection.refused.as_ref(),
            failed: inspection.failed,
            bodies: (inspection.request_body.received(), inspection.response_body.received()),
            took,
            over,
            shadow: inspection.shadow.as_ref().map(|shadow| Shadow {
                plan: &shadow.profile.plan,
                matches: &shadow.found.matches,
                refuses: shadow.found.refuses,
            }),
        }
    }

    /// What became of it, in a word.
    pub fn verdict(&self) -> &'static str {
        match (self.refused, self.failed) {
            (Some(_), _) if self.plan.blocks() => "block",
            (Some(_), _) => "detect",
            (None, Some(_)) => "failure",
            (None, None) => "pass",
        }
    }

    /// Whether it is worth an entry in the audit log.
    pub fn is_relevant(&self) -> bool {
        self.refused.is_some() || self.failed.is_some() || !self.matches.is_empty()
    }
}

//! A profile that looks on. It is shown what the profile in force has seen, once the request is over: nobody waits for it, and it
//! decides nothing.

use std::sync::Arc;

use bytes::Bytes;
use coraza::{Match, Transaction};

use super::Exchange;
use super::body::{Body, Kept, Next, Wanted, reads_response_body, withholds};
use crate::head::Head;
use crate::profile::Profile;

/// A profile that looks on.
#[derive(Debug)]
pub struct Beside {
    pub(super) profile: Arc<Profile>,
    /// What it needs of the request's body.
    wanted: Wanted,
    pub(super) found: Found,
}

/// What it found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whether it would have refused; nothing where it was not shown all that it reads, or was not done in time.
    pub(super) refuses: Option<bool>,
    pub(super) matches: Vec<Match>,
}

/// What the profile in force has seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) exchange: &'a Exchange,
    pub(super) body: Option<&'a Kept>,
    pub(super) trailers: Option<&'a Head>,
    /// The head of the response, and whether that was all of it.
    pub(super) response: Option<(&'a Head, bool)>,
    pub(super) response_body: Option<&'a Kept>,
}

impl Beside {
    /// Looks on at a request, which has no body if it `ended` with its head.
    pub(crate) fn new(profile: Arc<Profile>, head: &Head, ended: bool) -> Self {
        let wanted = Wanted::of(&profile, head, ended);
        Self { profile, wanted, found: Found::default() }
    }

    /// Runs the rules.
    pub(super) fn look(&mut self, seen: Seen<'_>) {
        let none = Head::default();
        let done = self.wanted == Wanted::Nothing;
        let mut transaction = self.profile.rules.begin(seen.exchange.request(&none), done);
        let refuses = self.refuses_request(&mut transaction, seen);
        let refuses = match refuses {
            Some(false) if self.profile.plan.responses => self.refuses_response(&mut transaction, seen),
            _ => refuses,
        };
        // What went wrong is with the transaction.
        let _ = transaction.finish();
        self.found = Found { refuses, matches: transaction.matches() };
    }

    fn refuses_request(&self, transaction: &mut Transaction, seen: Seen<'_>) -> Option<bool> {
        if refuses(transaction)? {
            return Some(true);
        }
        let (plan, head) = (&self.profile.plan.request_body, &seen.exchange.head);
        let next = match self.wanted {
            Wanted::Nothing => None,
            Wanted::Never => return Some(true),
            Wanted::TooLong => Some(Body::default().take(Bytes::new(), false, true, plan, head)),
            Wanted::Body => Some(seen.body?.judged_by(plan, head)),
        };
        let body = match next {
            None => Bytes::new(),
            Some(Next::Judge { body, .. }) => {
                let _ = transaction.request_body(&body, true);
                body
            }
            Some(Next::Refuse { .. }) => return Some(true),
            Some(Next::Wait | Next::Nothing | Next::TooLate) => return None,
        };
        if let (false, Some(trailers)) = (refuses(transaction)?, seen.trailers) {
            *transaction = self.profile.rules.begin(seen.exchange.request(trailers), false);
            let _ = transaction.request_body(&body, true);
        }
        refuses(transaction)
    }

    fn refuses_response(&self, transaction: &mut Transaction, seen: Seen<'_>) -> Option<bool> {
        let (head, ended) = seen.response?;
        let plan = &self.profile.plan;
        let reads = !ended && reads_response_body(plan, &seen.exchange.head, head);
        let _ = transaction.response(seen.exchange.response(head), !reads);
        if refuses(transaction)? || !reads {
            return refuses(transaction);
        }
        let mut body = Bytes::new();
        // A rule may have put the engine off.
        if transaction.last().is_ok_and(|step| step.reads.this_response) {
            body = match seen.response_body?.judged_by(&plan.response_body, head) {
                Next::Refuse { reason, .. } if withholds(plan, reason) => return Some(true),
                Next::Judge { body, .. } | Next::Refuse { body, .. } => body,
                Next::Wait | Next::Nothing | Next::TooLate => return None,
            };
        }
        let _ = transaction.response_body(&body, true);
        refuses(transaction)
    }
}

/// Whether a step refused, or would have where rules only detect; nothing where it failed.
fn refuses(transaction: &Transaction) -> Option<bool> {
    transaction.last().ok().map(|step| step.interruption.is_some() || step.detection.is_some())
}

//! A request and its response on their way through the rules of a profile. Everything here computes, and runs where that is
//! allowed.
//!
//! ```text
//! begin ─▶ request_body … ─▶ request_trailers ─▶ response ─▶ response_body … ─▶ (dropped: logging)
//!    each: engine ─▶ Verdict; who looks on beside it does so once all is over
//! ```

mod beside;
mod body;
mod decode;
mod exchange;
mod outcome;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use coraza::{Broken, Match, Step, Transaction};

use crate::head::Head;
use crate::metrics::Phase;
use crate::observe::Observer;
use crate::profile::{BodyPlan, OnFailure, OverLimit, Profile};
use crate::verdict::{Reason, Refusal, Verdict};
use beside::Seen;
use body::{Body, Next, reads_response_body, withholds};

pub use beside::Beside;
pub(crate) use body::Wanted;
pub use exchange::Exchange;
pub use outcome::{Outcome, Shadow};

/// A request and its response on their way through the rules.
#[derive(Debug)]
pub struct Inspection {
    /// What is known of the request.
    pub exchange: Exchange,
    profile: Arc<Profile>,
    transaction: Transaction,
    shadow: Option<Beside>,
    request_body: Body,
    response_body: Body,
    response: Option<Head>,
    /// Whether the head of the response was all of it.
    response_ended: bool,
    /// Kept for who looks on.
    trailers: Option<Head>,
    /// How long it took, and when it was over, if that is not now.
    over: Option<(Duration, SystemTime)>,
    /// The request's body as it was judged, as long as trailers may follow.
    judged_body: Bytes,
    /// Why it was refused, or would have been.
    refused: Option<Refusal>,
    failed: Option<Reason>,
    /// Set by who waits no longer: then it counts as not judged.
    pub given_up: Arc<AtomicBool>,
    observer: Arc<Observer>,
    begun: Instant,
}

/// How much of a body there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There is more to come.
    More,
    /// That was all.
    Last,
    /// There is more, but it is not sent here.
    Cut,
}

impl Inspection {
    /// Begins with the rules of request headers; with `done` there is no body to look at, and its rules run too.
    pub fn begin(
        exchange: Exchange,
        profile: Arc<Profile>,
        shadow: Option<Beside>,
        done: bool,
        observer: Arc<Observer>,
    ) -> (Self, Verdict) {
        let begun = Instant::now();
        let none = Head::default();
        let transaction = profile.rules.begin(exchange.request(&none), done);
        observer.metrics.phase(Phase::RequestHeaders, begun.elapsed());
        let keeps = shadow.is_some();
        let mut inspection = Self {
            exchange,
            profile,
            transaction,
            shadow,
            request_body: Body::keeping(keeps),
            response_body: Body::keeping(keeps),
            response: None,
            response_ended: false,
            trailers: None,
            over: None,
            judged_body: Bytes::new(),
            refused: None,
            failed: None,
            given_up: Arc::default(),
            observer,
            begun,
        };
        if done {
            inspection.request_body.done();
        }
        let verdict = inspection.judge();
        (inspection, verdict)
    }

    /// The profile that judges.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The rules that have matched so far.
    pub fn matches(&self) -> Vec<Match> {
        self.transaction.matches()
    }

    /// Why it was refused, or would have been.
    pub fn refused(&self) -> Option<&Refusal> {
        self.refused.as_ref()
    }

    /// The profile, to be kept.
    pub fn shared_profile(&self) -> Arc<Profile> {
        Arc::clone(&self.profile)
    }

    /// Whether all rules of the request have run, or all those of the response.
    pub fn is_judged(&self, request: bool) -> bool {
        if request { self.request_body.is_done() } else { self.response_body.is_done() }
    }

    /// How many bytes have come of the request's body, or of the response's.
    pub fn received(&self, request: bool) -> u64 {
        if request { self.request_body.received() } else { self.response_body.received() }
    }

    /// Whether what is longer than may be looked at is refused, at least where a part tells nothing. Then a body that may be
    /// a part is taken for one.
    pub(crate) fn refuses_longer(&self, request: bool) -> bool {
        let plan = &self.profile.plan;
        let body = if request { &plan.request_body } else { &plan.response_body };
        body.over_limit != OverLimit::Pass
    }

    /// Where the engine is.
    pub fn step(&self) -> Option<&Step> {
        self.transaction.last().ok()
    }

    /// Adds to the request's body, and runs its rules once all of it is here.
    pub fn request_body(&mut self, chunk: Bytes, end: End) -> Verdict {
        let plan = &self.profile.plan.request_body;
        let next = self.request_body.take(chunk, end == End::Last, end == End::Cut, plan, &self.exchange.head);
        let body = match next {
            Next::Wait | Next::Nothing => return Verdict::Pass,
            Next::TooLate => return self.refuse(Refusal::plain(Reason::BodyAfterResponse)),
            Next::Refuse { reason, body } => {
                let refused = self.refuse(Refusal::plain(reason));
                if refused != Verdict::Pass {
                    return refused;
                }
                body
            }
            Next::Judge { body, cut } => {
                if cut {
                    self.observer.metrics.cut("request", plan.over_limit == OverLimit::Partial);
                }
                body
            }
        };
        self.judged_body = body.clone();
        self.run(Phase::RequestBody, |transaction| transaction.request_body(&body, true).is_ok())
    }

    /// The request ended with its body, which need not be kept for trailers.
    pub(crate) fn ends_without_trailers(&mut self) {
        self.judged_body = Bytes::new();
    }

    /// Judges the request once more, with its trailers among its headers: what they score counts together with the rest. A body
    /// that had not ended ends with them, and is judged without them first, since they may say something else of what it is.
    pub fn request_trailers(&mut self, trailers: &Head) -> Verdict {
        if !self.request_body.is_done() {
            let verdict = self.request_body(Bytes::new(), End::Last);
            if verdict != Verdict::Pass {
                return verdict;
            }
        }
        let body = std::mem::take(&mut self.judged_body);
        let (exchange, begun) = (std::mem::take(&mut self.exchange), Instant::now());
        self.transaction = self.profile.rules.begin(exchange.request(trailers), false);
        // What went wrong is with the transaction.
        let _ = self.transaction.request_body(&body, true);
        self.observer.metrics.phase(Phase::RequestBody, begun.elapsed());
        self.exchange = exchange;
        self.trailers = self.shadow.as_ref().map(|_| trailers.clone());
        self.judge()
    }

    /// The head of the response, which has no body if it `ended` with it; where there is none to look at, its rules run too. Rules
    /// of request bodies that have not run, since the end of one did not come, run first, and nothing of one may follow that is
    /// not looked at any more.
    pub fn response(&mut self, head: Head, ended: bool) -> Verdict {
        self.ends_without_trailers();
        if !self.request_body.is_done() {
            let verdict = self.request_body(Bytes::new(), End::Last);
            // Where a profile that only detects does not stream, the one that blocks would have had all of it before.
            if self.refuses_longer(true) && (self.profile.plan.blocks() || self.profile.plan.request_body.stream) {
                self.request_body.cut_short();
            }
            if verdict != Verdict::Pass {
                return verdict;
            }
        }
        let done = ended || !reads_response_body(&self.profile.plan, &self.exchange.head, &head);
        if done {
            self.response_body.done();
        }
        let exchange = std::mem::take(&mut self.exchange);
        let verdict = self
            .run(Phase::ResponseHeaders, |transaction| transaction.response(exchange.response(&head), done).is_ok());
        self.exchange = exchange;
        (self.response, self.response_ended) = (Some(head), ended);
        // A rule may have put the engine off.
        let over = verdict == Verdict::Pass && !done && !self.wants_response_body();
        if over { self.response_body(Bytes::new(), End::Last) } else { verdict }
    }

    /// Whether the body of the response is to be looked at.
    pub fn wants_response_body(&self) -> bool {
        !self.response_body.is_done()
            && self.step().is_some_and(|step| step.reads.this_response && step.interruption.is_none())
    }

    /// Whether nothing was found as yet, and nothing has come of the request's body that is to be looked at.
    pub(crate) fn lacks_body(&self) -> bool {
        let over = self.failed.is_some() || self.refused.is_some();
        !over && !self.request_body.is_done() && self.request_body.received() == 0
    }

    /// Whether there is a profile that looks on.
    pub(crate) fn has_shadow(&self) -> bool {
        self.shadow.is_some()
    }

    /// The request is over: what still comes does not count as its time.
    pub(crate) fn ends(&mut self) {
        self.over = Some((self.begun.elapsed(), SystemTime::now()));
    }

    /// Lets a profile look on at what has been, once all is over.
    pub(crate) fn look_on(&mut self) {
        if let Some(shadow) = &mut self.shadow {
            shadow.look(Seen {
                exchange: &self.exchange,
                body: self.request_body.kept(),
                trailers: self.trailers.as_ref(),
                response: self.response.as_ref().map(|head| (head, self.response_ended)),
                response_body: self.response_body.kept(),
            });
        }
    }

    /// Adds to the response's body, and runs its rules once all of it is here.
    pub fn response_body(&mut self, chunk: Bytes, end: End) -> Verdict {
        let plan: &BodyPlan = &self.profile.plan.response_body;
        let head = self.response.take().unwrap_or_default();
        let next = self.response_body.take(chunk, end == End::Last, end == End::Cut, plan, &head);
        self.response = Some(head);
        match next {
            Next::Wait | Next::Nothing | Next::TooLate => Verdict::Pass,
            Next::Refuse { reason, .. } if withholds(&self.profile.plan, reason) => {
                self.refuse(Refusal { status: 500, ..Refusal::plain(reason) })
            }
            Next::Refuse { body, .. } => self.run_response_body(&body),
            Next::Judge { body, cut } => {
                if cut {
                    self.observer.metrics.cut("response", plan.over_limit == OverLimit::Partial);
                }
                self.run_response_body(&body)
            }
        }
    }

    fn run_response_body(&mut self, body: &[u8]) -> Verdict {
        self.run(Phase::ResponseBody, |transaction| transaction.response_body(body, true).is_ok())
    }

    fn run(&mut self, phase: Phase, step: impl Fn(&mut Transaction) -> bool) -> Verdict {
        let begun = Instant::now();
        // What went wrong is with the transaction.
        let _ = step(&mut self.transaction);
        self.observer.metrics.phase(phase, begun.elapsed());
        self.judge()
    }

    /// What the engine's last step means.
    fn judge(&mut self) -> Verdict {
        match self.transaction.last() {
            Ok(step) => {
                let Some(decided) = step.interruption.as_ref().or(step.detection.as_ref()) else {
                    return Verdict::Pass;
                };
                let refusal = Refusal::by_rule(decided, &self.transaction.matches());
                self.refuse(refusal)
            }
            Err(broken) => self.fail(&broken.clone()),
        }
    }

    /// Refuses, where the profile blocks; remembers that it would have otherwise.
    pub fn refuse(&mut self, refusal: Refusal) -> Verdict {
        let refusal = self.refused.get_or_insert(refusal).clone();
        if self.profile.plan.blocks() { Verdict::Refuse(refusal) } else { Verdict::Pass }
    }

    fn fail(&mut self, broken: &Broken) -> Verdict {
        // Who waits no longer has counted it.
        if self.failed.is_none() && !self.given_up.load(Ordering::Relaxed) {
            tracing::error!(id = self.exchange.id, profile = self.profile.plan.name, "{broken}");
            let reason = if *broken == Broken::Late { "deadline" } else { "engine" };
            self.observer.metrics.failure(&self.profile.plan, reason);
        }
        self.failed = Some(Reason::Failure);
        match self.profile.plan.on_failure {
            OnFailure::Open => Verdict::Pass,
            OnFailure::Closed => Verdict::Refuse(Refusal::plain(Reason::Failure)),
        }
    }
}

impl Drop for Inspection {
    /// However it ended, it is counted and logged.
    fn drop(&mut self) {
        if self.given_up.load(Ordering::Relaxed) {
            self.failed = Some(Reason::Failure);
        }
        let _ = self.transaction.finish();
        let outcome = Outcome::of(self);
        self.observer.ended(&outcome);
    }
}

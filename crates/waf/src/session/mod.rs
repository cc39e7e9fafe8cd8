//! One stream of Envoy's external processing: one request and its response.
//!
//! ```text
//! request headers ─▶ facts ─▶ select ─▶ Inspection ─┬─▶ what Envoy shall send next (mode)
//! body, trailers, response … ─────────▶ Inspection ─┴─▶ go on, or an answer in place of the upstream's
//! ```
//!
//! Bodies come in one of three ways. *Buffered*: Envoy holds all of it, and one message has it. *Streamed*: each piece is
//! answered and goes on, so that only the last one can be held back. *Duplex*: Envoy hands pieces over and gets them back
//! when we like; they are kept here until they are judged.

mod mode;
mod reply;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use envoy::service::ext_proc::processing_request::Request as Message;
use envoy::service::ext_proc::{HttpBody, HttpHeaders, ProcessingRequest, ProcessingResponse};
use tokio::time::Instant;

use crate::facts::{Called, Facts};
use crate::firewall::Firewall;
use crate::head::Head;
use crate::inspect::{Beside, End, Exchange, Inspection, Wanted};
use crate::page::Reader;
use crate::pool::NoResult;
use crate::profile::{Mode, OnFailure, Profile};
use crate::select::select;
use crate::verdict::{Reason, Refusal, Verdict};
use mode::{BodyMode, Modes};
use reply::{Direction, Reply};

/// Why a stream ends: it does not keep to the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// The first message is not the head of a request.
    #[error("a stream has to begin with request headers")]
    NoHeaders,
    /// A second head of the request.
    #[error("request headers came twice")]
    HeadersTwice,
    /// Nothing in it.
    #[error("a message is empty")]
    Empty,
    /// A body went on after its end.
    #[error("a body went on after it was judged: is it sent in another mode than asked for?")]
    AfterTheEnd,
}

impl Malformed {
    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NoHeaders => "no_headers",
            Self::HeadersTwice => "headers_twice",
            Self::Empty => "empty",
            Self::AfterTheEnd => "after_the_end",
        }
    }
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Session {
    firewall: Arc<Firewall>,
    /// What the call itself says.
    called: Called,
    state: State,
    /// Who is told of a refusal.
    reader: Reader,
    modes: Modes,
    /// Pieces of a duplex body that wait until they are judged.
    held: Vec<Bytes>,
}

#[derive(Debug)]
enum State {
    New,
    Judging(Box<Inspection>),
    /// Nothing more is looked at.
    Passing,
}

impl Session {
    /// The stream of a call that has just begun.
    pub(crate) fn new(firewall: Arc<Firewall>, called: Called) -> Self {
        firewall.observer.metrics.streams.inc();
        let (state, reader) = (State::New, Reader::default());
        Self { firewall, called, state, reader, modes: Modes::default(), held: Vec::new() }
    }

    /// Takes a message and gives the answers to it, none where it has to wait for more.
    pub(crate) async fn message(&mut self, request: ProcessingRequest) -> Result<Vec<ProcessingResponse>, Malformed> {
        let silent = request.observability_mode;
        let facts = matches!(self.state, State::New).then(|| Facts::of(std::mem::take(&mut self.called), &request));
        if facts.is_some() {
            self.modes.learn(request.protocol_config.as_ref());
        }
        let answers = match (request.request.ok_or(Malformed::Empty)?, facts) {
            (Message::RequestHeaders(head), Some(facts)) => self.begin(facts, head).await,
            (Message::RequestHeaders(_), None) => return Err(Malformed::HeadersTwice),
            // An answer of Envoy's own to a request that it did not let in.
            (Message::ResponseHeaders(_), Some(_)) => {
                self.state = State::Passing;
                vec![Reply::Headers(Direction::Response, None).go_on()]
            }
            (_, Some(_)) => return Err(Malformed::NoHeaders),
            (Message::RequestBody(body), None) => self.body(Direction::Request, body).await?,
            (Message::RequestTrailers(trailers), None) => {
                let trailers = Head::from(trailers.trailers.unwrap_or_default());
                let bytes = trailers.size() + self.received(Direction::Request);
                let verdict = self.run(bytes, move |inspection| inspection.request_trailers(&trailers)).await;
                self.answer(&Reply::Trailers(Direction::Request), verdict)
            }
            (Message::ResponseHeaders(head), None) => self.response(head).await,
            (Message::ResponseBody(body), None) => self.body(Direction::Response, body).await?,
            (Message::ResponseTrailers(_), None) => {
                let bytes = self.received(Direction::Response);
                let verdict = self.run(bytes, |inspection| inspection.response_body(Bytes::new(), End::Last)).await;
                self.answer(&Reply::Trailers(Direction::Response), verdict)
            }
        };
        Ok(if silent { Vec::new() } else { answers })
    }

    async fn begin(&mut self, facts: Facts, message: HttpHeaders) -> Vec<ProcessingResponse> {
        let head = Head::from(message.headers.unwrap_or_default());
        let head = head.with_framing(&facts.protocol, !message.end_of_stream);
        tracing::debug!(?facts, "a request");
        self.reader = Reader::of(&request_id(&head), &head);
        let profiles = self.firewall.profiles.get();
        let name = select(&self.firewall.choices, &self.firewall.usual, &facts, &head);
        tracing::Span::current().record("profile", name);
        let Some(profile) = profiles.get(name).cloned() else {
            tracing::error!(
                profile = name,
                route = facts.route_name,
                "there is no such profile, the request is refused"
            );
            self.firewall.observer.metrics.unknown_profile.inc();
            self.state = State::Passing;
            return vec![reply::refusal(&Refusal::plain(Reason::NoProfile), &self.reader, false, None)];
        };
        if profile.plan.mode == Mode::Off {
            self.state = State::Passing;
            return vec![Reply::Headers(Direction::Request, Some(self.modes.nothing())).go_on()];
        }
        let shadow = profile.plan.shadow.as_ref().and_then(|name| profiles.get(name));
        let shadow = shadow.map(|shadow| Beside::new(Arc::clone(shadow), &head, message.end_of_stream));
        let body = Wanted::of(&profile, &head, message.end_of_stream);
        self.modes.plan_request(&profile.plan, body == Wanted::Body, message.end_of_stream);
        let exchange = Exchange {
            id: self.reader.id.clone(),
            client: facts.client,
            server: facts.server,
            protocol: facts.protocol,
            route: facts.route_name,
            head,
        };
        let verdict = self.judge_head(exchange, profile, shadow, body).await;
        let asked = self.modes.asked();
        self.answer(&Reply::Headers(Direction::Request, asked), verdict)
    }

    async fn judge_head(
        &mut self,
        exchange: Exchange,
        profile: Arc<Profile>,
        shadow: Option<Beside>,
        body: Wanted,
    ) -> Verdict {
        let observer = Arc::clone(&self.firewall.observer);
        let deadline = Instant::now() + self.firewall.deadline;
        let bytes = exchange.head.size();
        let (judge, given_up) = (Arc::clone(&profile), Arc::<AtomicBool>::default());
        let waits = Arc::clone(&given_up);
        let job = move || {
            let done = body == Wanted::Nothing;
            let (mut inspection, verdict) = Inspection::begin(exchange, profile, shadow, done, observer);
            inspection.given_up = waits;
            // What is known from the head need not be sent.
            let verdict = match (&verdict, body) {
                (Verdict::Pass, Wanted::TooLong) => inspection.request_body(Bytes::new(), End::Cut),
                (Verdict::Pass, Wanted::Never) => inspection.refuse(Refusal::plain(Reason::UpgradeWithBody)),
                _ => verdict,
            };
            (inspection, verdict)
        };
        match self.firewall.pool.run(deadline, bytes, job).await {
            Ok((inspection, verdict)) => {
                self.state = State::Judging(Box::new(inspection));
                verdict
            }
            Err(why) => {
                given_up.store(true, Ordering::Relaxed);
                self.not_judged(&judge, why)
            }
        }
    }

    async fn response(&mut self, message: HttpHeaders) -> Vec<ProcessingResponse> {
        let head = Head::from(message.headers.unwrap_or_default());
        self.note_missed_body();
        let ended = message.end_of_stream;
        let verdict = self.run(head.size(), move |inspection| inspection.response(head, ended)).await;
        let wants = matches!(&self.state, State::Judging(inspection) if inspection.wants_response_body());
        if let State::Judging(inspection) = &self.state {
            self.modes.plan_response(&inspection.profile().plan, wants);
        }
        let asked = self.modes.asked();
        self.answer(&Reply::Headers(Direction::Response, asked), verdict)
    }

    /// Counts a body that has not come although Envoy was asked for it.
    fn note_missed_body(&self) {
        if let State::Judging(inspection) = &self.state
            && inspection.lacks_body()
            && !self.modes.sends_bodies()
        {
            self.firewall.observer.missed_body(&inspection.exchange);
        }
    }

    fn note_body(&self, direction: Direction) {
        if let State::Judging(inspection) = &self.state
            && direction == Direction::Request
            && !self.modes.sends_bodies()
            && inspection.received(true) == 0
        {
            self.firewall.observer.body_came(&inspection.exchange);
        }
    }

    async fn body(&mut self, direction: Direction, message: HttpBody) -> Result<Vec<ProcessingResponse>, Malformed> {
        let mode = self.modes.body(direction);
        self.note_body(direction);
        let chunk = Bytes::from(message.body);
        let last = message.end_of_stream || message.end_of_stream_without_message;
        let end = match (&self.state, mode) {
            _ if last => End::Last,
            (State::Judging(inspection), BodyMode::Part)
                if inspection.refuses_longer(direction == Direction::Request) =>
            {
                End::Cut
            }
            (_, BodyMode::Buffered | BodyMode::Part) => End::Last,
            _ => End::More,
        };
        let judged = match &self.state {
            State::Judging(inspection) => inspection.is_judged(direction == Direction::Request),
            _ => false,
        };
        // More of what was to come as a whole: it was judged by a part of it.
        if judged && matches!(mode, BodyMode::Buffered | BodyMode::Part) && !chunk.is_empty() {
            return Err(Malformed::AfterTheEnd);
        }
        let (piece, bytes) = (chunk.clone(), self.received(direction) + chunk.len() as u64);
        let verdict = self
            .run(bytes, move |inspection| match direction {
                Direction::Request => {
                    let verdict = inspection.request_body(chunk, end);
                    if last {
                        inspection.ends_without_trailers();
                    }
                    verdict
                }
                Direction::Response => inspection.response_body(chunk, end),
            })
            .await;
        if mode != BodyMode::Duplex {
            return Ok(self.answer(&Reply::Body(direction), verdict));
        }
        self.held.push(piece);
        let waits = match &self.state {
            State::Judging(inspection) => {
                verdict == Verdict::Pass && !inspection.is_judged(direction == Direction::Request)
            }
            _ => false,
        };
        if waits && !last {
            return Ok(Vec::new());
        }
        if verdict != Verdict::Pass {
            return Ok(self.answer(&Reply::Body(direction), verdict));
        }
        Ok(reply::pieces(direction, std::mem::take(&mut self.held), last))
    }

    /// How much of a body has come.
    fn received(&self, direction: Direction) -> u64 {
        match &self.state {
            State::Judging(inspection) => inspection.received(direction == Direction::Request),
            _ => 0,
        }
    }

    /// Runs a step on so many bytes where it may compute. What cannot be judged has its profile's answer.
    async fn run(&mut self, bytes: u64, step: impl FnOnce(&mut Inspection) -> Verdict + Send + 'static) -> Verdict {
        let State::Judging(mut inspection) = std::mem::replace(&mut self.state, State::Passing) else {
            return Verdict::Pass;
        };
        let (given_up, deadline) = (Arc::clone(&inspection.given_up), Instant::now() + self.firewall.deadline);
        let profile = inspection.shared_profile();
        let job = move || {
            let verdict = step(&mut inspection);
            (inspection, verdict)
        };
        match self.firewall.pool.run(deadline, bytes, job).await {
            Ok((inspection, verdict)) => {
                self.state = State::Judging(inspection);
                verdict
            }
            Err(why) => {
                given_up.store(true, Ordering::Relaxed);
                self.not_judged(&profile, why)
            }
        }
    }

    fn not_judged(&mut self, profile: &Profile, why: NoResult) -> Verdict {
        let metrics = &self.firewall.observer.metrics;
        let reason = match why {
            NoResult::Busy => {
                metrics.overload.inc();
                Reason::Overload
            }
            NoResult::Late | NoResult::Panicked => Reason::Failure,
        };
        metrics.failure(&profile.plan, why.name());
        tracing::warn!(profile = profile.plan.name, "a request is not judged: {why}");
        self.state = State::Passing;
        match profile.plan.on_failure {
            OnFailure::Open => Verdict::Pass,
            OnFailure::Closed => Verdict::Refuse(Refusal::plain(reason)),
        }
    }

    fn answer(&mut self, reply: &Reply, verdict: Verdict) -> Vec<ProcessingResponse> {
        let inspection = match &self.state {
            State::Judging(inspection) => Some(&**inspection),
            _ => None,
        };
        let metadata = inspection.filter(|_| verdict != Verdict::Pass || reply.ends_request()).map(reply::metadata);
        match verdict {
            Verdict::Pass => {
                let mut answer = reply.go_on();
                answer.dynamic_metadata = metadata;
                let mut answers = reply::pieces_before(reply, std::mem::take(&mut self.held));
                answers.push(answer);
                answers
            }
            Verdict::Refuse(refusal) => {
                tracing::Span::current().record("refused", refusal.reason.name());
                vec![reply::refusal(&refusal, &self.reader, self.firewall.name_rules, metadata)]
            }
        }
    }
}

impl Drop for Session {
    /// The request is over, however it ended; the last rules run where they may.
    fn drop(&mut self) {
        self.firewall.observer.metrics.streams.dec();
        self.note_missed_body();
        let State::Judging(mut inspection) = std::mem::replace(&mut self.state, State::Passing) else { return };
        if inspection.has_shadow() {
            inspection.ends();
            self.firewall.pool.beside(move |has_seat| {
                if has_seat {
                    inspection.look_on();
                }
                drop(inspection);
            });
        } else {
            self.firewall.pool.later(move || drop(inspection));
        }
    }
}

/// Envoy's id for the request if it is one to be shown, else one of our own.
fn request_id(head: &Head) -> String {
    let given = head.text("x-request-id");
    let fine =
        (1..=128).contains(&given.len()) && given.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fine { given } else { crate::firewall::new_id() }
}

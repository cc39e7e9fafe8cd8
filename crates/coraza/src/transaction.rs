//! A request and its response on their way through the rules.

use std::sync::Arc;

use crate::error::Broken;
use crate::ffi;
use crate::matches::{Match, decode};
use crate::message::Response;

/// A transaction. It is with one thread at a time, but may move between them.
#[derive(Debug)]
pub struct Transaction {
    inner: ffi::Transaction,
    last: Result<Step, Broken>,
    // The rules outlive it.
    _rules: Arc<ffi::Rules>,
}

/// Where a transaction is after a step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// What a rule decided; nothing else happens to the transaction after that, but [`Transaction::finish`].
    pub interruption: Option<Interruption>,
    /// What a rule would have decided, where rules only detect.
    pub detection: Option<Interruption>,
    /// What the rules look at.
    pub reads: Reads,
    /// The anomaly score of the request, once it was added up.
    pub inbound: i32,
    /// That of the response.
    pub outbound: i32,
    /// How many rules have matched that want to be logged.
    pub matches: u32,
}

/// What the rules of a transaction look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// Request bodies.
    pub request_bodies: bool,
    /// Response bodies, if their content type is of the list.
    pub response_bodies: bool,
    /// The body of this response; known once its headers are.
    pub this_response: bool,
    /// Nothing at all: the engine is off, or a rule has put it off.
    pub nothing: bool,
}

/// The decision of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// The rule; 0 when it is a limit of the engine.
    pub rule: i64,
    /// What shall be done.
    pub action: Action,
    /// The status that the rule asks for.
    pub status: Option<u16>,
}

/// What a rule may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To refuse the request.
    Deny,
    /// To send the client elsewhere.
    Redirect(String),
    /// To end the connection without an answer.
    Drop,
    /// Something that is not ours to do, such as to go by a proxy.
    Other,
}

impl Transaction {
    pub(crate) fn begin(rules: Arc<ffi::Rules>, request: &[u8], done: bool) -> Self {
        let (inner, last) = ffi::Transaction::begin(&rules, request, done);
        Self { inner, last, _rules: rules }
    }

    /// How the last step ended.
    pub fn last(&self) -> Result<&Step, &Broken> {
        self.last.as_ref()
    }

    /// Adds to the request's body; with `done` that was all of it, and its rules are run.
    pub fn request_body(&mut self, body: &[u8], done: bool) -> Result<&Step, &Broken> {
        self.last = self.inner.request_body(body, done);
        self.last()
    }

    /// Runs the rules of response headers; with `done` there is no body to look at, and the rules of the response body are run
    /// too.
    pub fn response<'a, H>(&mut self, response: Response<'a, H>, done: bool) -> Result<&Step, &Broken>
    where
        H: IntoIterator<Item = (&'a [u8], &'a [u8])>,
    {
        self.last = self.inner.response(response.encode().bytes(), done);
        self.last()
    }

    /// Adds to the response's body; with `done` that was all of it, and its rules are run.
    pub fn response_body(&mut self, body: &[u8], done: bool) -> Result<&Step, &Broken> {
        self.last = self.inner.response_body(body, done);
        self.last()
    }

    /// Runs the rules of logging.
    pub fn finish(&mut self) -> Result<&Step, &Broken> {
        self.last = self.inner.finish();
        self.last()
    }

    /// The rules that have matched so far and want to be logged.
    pub fn matches(&self) -> Vec<Match> {
        decode(&self.inner.matches())
    }
}

//! What Envoy is told.

use serde_json::{Map, Value};

/// The answer to a check.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The request goes on.
    Pass(Box<Pass>),
    /// The client gets this answer.
    Answer(Box<Answer>),
}

/// How a request goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pass {
    /// Headers that the server behind gets, in place of those of the client.
    pub set: Vec<(String, String)>,
    /// Headers of the client that it does not get.
    pub remove: Vec<String>,
    /// Cookies for the client.
    pub cookies: Vec<String>,
    /// What other filters and logs may know.
    pub metadata: Map<String, Value>,
}

/// An answer for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers; cookies may come several times.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
    /// What happened, for logs of Envoy and those who read them.
    pub event: Option<Event>,
}

/// Something that happened to somebody's session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `login`, `logout` or `denied`.
    pub what: &'static str,
    /// Who it was.
    pub subject: String,
    /// Who vouches for that; empty when nobody does.
    pub provider: String,
}

impl Answer {
    /// An answer that nobody keeps.
    pub fn new(status: u16) -> Self {
        Self { status, headers: vec![("cache-control", "no-store".to_owned())], body: String::new(), event: None }
    }

    /// Says what happened.
    #[must_use]
    pub fn event(mut self, what: &'static str, subject: &str, provider: &str) -> Self {
        self.event = Some(Event { what, subject: subject.to_owned(), provider: provider.to_owned() });
        self
    }

    /// Sends a browser elsewhere.
    pub fn redirect(status: u16, to: impl Into<String>) -> Self {
        Self::new(status).header("location", to)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds cookies.
    #[must_use]
    pub fn cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Self {
        self.headers.extend(cookies.into_iter().map(|cookie| ("set-cookie", cookie)));
        self
    }
}

impl From<Answer> for Verdict {
    fn from(answer: Answer) -> Self {
        Self::Answer(Box::new(answer))
    }
}

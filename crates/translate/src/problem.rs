//! What is wrong with a resource, in the words of its status.

use crate::report::Condition;

/// Why a reference or value cannot be used.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    /// One word of the specification, for the condition's reason.
    pub(crate) reason: &'static str,
    /// What is wrong and how to mend it.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// A condition that holds unless there are problems. The first problem gives the reason, all give the message.
pub(crate) fn condition<'a>(
    r#type: &'static str,
    good: &'static str,
    problems: impl IntoIterator<Item = &'a Problem>,
) -> Condition {
    let problems: Vec<_> = problems.into_iter().collect();
    match problems.first() {
        None => Condition::yes(r#type, good, ""),
        Some(first) => Condition::no(r#type, first.reason, join(&problems)),
    }
}

/// All messages, each once, in order. Bounded, as a condition's message is (32 KiB on the API server).
fn join(problems: &[&Problem]) -> String {
    const MOST: usize = 10;
    let mut messages: Vec<&str> = Vec::new();
    for problem in problems {
        if !messages.contains(&problem.message.as_str()) {
            messages.push(&problem.message);
        }
    }
    let rest = messages.len().saturating_sub(MOST);
    let text = messages.iter().take(MOST).copied().collect::<Vec<_>>().join("; ");
    if rest > 0 { format!("{text}; and {rest} more") } else { text }
}

//! Supervised tasks: one that fails or panics ends the process with an error that names it, instead of leaving a process
//! that only looks alive.

use std::any::Any;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// Any error, as tasks and services return it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The tasks of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Tasks {
    tracker: TaskTracker,
    first_failure: Arc<watch::Sender<Option<Failure>>>,
}

/// How a task failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the task `{task}` {what}")]
pub struct Failure {
    /// The task's name.
    pub task: String,
    /// `failed: …` or `panicked: …`.
    pub what: String,
}

impl Default for Tasks {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// No tasks yet.
    pub fn new() -> Self {
        Self { tracker: TaskTracker::new(), first_failure: Arc::new(watch::Sender::new(None)) }
    }

    /// Starts a task that is waited for at the end. It may end with `Ok` at any time.
    pub fn spawn<E, F>(&self, name: impl Into<String>, task: F)
    where
        E: Into<BoxError> + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        let name = name.into();
        let failures = Arc::clone(&self.first_failure);
        let running = tokio::spawn(task);
        self.tracker.spawn(async move {
            let what = match running.await {
                Ok(Err(error)) => format!("failed: {}", chain(&*error.into())),
                Err(error) if error.is_panic() => format!("panicked: {}", panic_message(&*error.into_panic())),
                // Done; or cancelled, which only the end of the runtime does.
                Ok(Ok(())) | Err(_) => return,
            };
            let failure = Failure { task: name, what };
            tracing::error!("{failure}");
            failures.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert(failure);
                is_first
            });
        });
    }

    /// Waits for the first failure; for ever when there is none.
    pub async fn failed(&self) -> Failure {
        match self.first_failure.subscribe().wait_for(Option::is_some).await.as_deref() {
            Ok(Some(failure)) => failure.clone(),
            // The sender lives in self, and the value was waited for.
            _ => std::future::pending().await,
        }
    }

    /// The first failure so far.
    pub fn failure(&self) -> Option<Failure> {
        self.first_failure.borrow().clone()
    }

    /// Waits until all tasks have ended.
    pub async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// An error with all its causes, joined by colons.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Some errors print their cause themselves.
        if !text.ends_with(&more) {
            text += ": ";
            text += &more;
        }
        cause = error.source();
    }
    text
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failing_task_is_named() {
        let tasks = Tasks::new();
        tasks.spawn("good", async { Ok::<(), BoxError>(()) });
        tasks.spawn("bad", async { Err("no luck") });
        assert_eq!(tasks.failed().await.to_string(), "the task `bad` failed: no luck");
        tasks.finished().await;
    }

    #[tokio::test]
    async fn a_panicking_task_is_named() {
        let tasks = Tasks::new();
        assert!(tasks.failure().is_none());
        tasks.spawn("bad", async {
            if tasks_are_bad() {
                panic!("number {}", 7);
            }
            Ok::<(), BoxError>(())
        });
        assert_eq!(tasks.failed().await.to_string(), "the task `bad` panicked: number 7");
    }

    fn tasks_are_bad() -> bool {
        true
    }

    #[test]
    fn causes_are_joined_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        assert_eq!(chain(&Outer(std::io::Error::other("inner"))), "outer: inner");
    }
}

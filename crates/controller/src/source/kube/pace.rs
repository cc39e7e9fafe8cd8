//! When what changed is published: at once if it was quiet, and not again for a few milliseconds, so that a burst of
//! events becomes few publications.

use std::time::Duration;

use tokio::time::Instant;

/// Between two publications.
const BETWEEN: Duration = Duration::from_millis(5);
/// How long a publication waits for the content of Secrets that are newly referred to: without it a listener would be
/// broken for a moment. One that cannot be read must not hold up the others longer.
const PATIENCE: Duration = Duration::from_millis(500);

/// When to publish.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Since when there is something to publish.
    since: Option<Instant>,
    last: Option<Instant>,
}

impl Pace {
    /// Something changed.
    pub(super) fn changed(&mut self) {
        self.since.get_or_insert_with(Instant::now);
    }

    /// It was published.
    pub(super) fn published(&mut self) {
        self.since = None;
        self.last = Some(Instant::now());
    }

    /// When it's time; `None` when there is nothing to publish. `waiting` for content that was asked for.
    pub(super) fn due(&self, waiting: bool) -> Option<Instant> {
        let since = self.since?;
        let patient = if waiting { since + PATIENCE } else { since };
        Some(self.last.map_or(patient, |last| patient.max(last + BETWEEN)))
    }

    /// Whether it's time.
    pub(super) fn is_due(&self, waiting: bool) -> bool {
        self.due(waiting).is_some_and(|due| due <= Instant::now())
    }
}

/// Waits until then; for ever when there is no then.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_goes_at_once_and_a_burst_as_one() {
        let mut pace = Pace::default();
        assert!(!pace.is_due(false));
        pace.changed();
        assert!(pace.is_due(false));
        pace.published();
        assert_eq!(pace.due(false), None);
        pace.changed();
        let wait = pace.due(false).unwrap().saturating_duration_since(Instant::now());
        assert!(wait <= BETWEEN, "{wait:?}");
        assert!(pace.due(true).unwrap() > Instant::now() + BETWEEN);
    }
}

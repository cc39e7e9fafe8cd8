//! Who is told of requests that are over: metrics and the audit log.

use crate::audit;
use crate::inspect::Outcome;
use crate::metrics::Metrics;

/// Who is told.
#[derive(Debug)]
pub struct Observer {
    /// What is counted.
    pub metrics: Metrics,
    audit: Option<audit::Log>,
}

impl Observer {
    /// Counts, and writes to the audit log if there is one.
    pub fn new(metrics: Metrics, audit: Option<audit::Log>) -> Self {
        Self { metrics, audit }
    }

    /// A request is over.
    pub fn ended(&self, outcome: &Outcome<'_>) {
        self.metrics.ended(outcome);
        if let Some(audit) = &self.audit {
            let written = audit.tell(outcome);
            if let Some(outcome) = written {
                self.metrics.audit.with_label_values(&[outcome.name()]).inc();
            }
        }
    }
}

//! Who is told of requests that are over: metrics and the audit log.

use crate::audit;
use crate::heed::Heed;
use crate::inspect::{Exchange, Outcome};
use crate::metrics::Metrics;

/// Who is told.
#[derive(Debug)]
pub struct Observer {
    /// What is counted.
    pub metrics: Metrics,
    audit: Option<audit::Log>,
    /// Whether bodies come that Envoy is asked for.
    heed: Heed,
}

impl Observer {
    /// Counts, and writes to the audit log if there is one.
    pub fn new(metrics: Metrics, audit: Option<audit::Log>) -> Self {
        Self { metrics, audit, heed: Heed::default() }
    }

    /// A body has come that Envoy was asked for.
    pub(crate) fn body_came(&self, exchange: &Exchange) {
        self.heed.came(&exchange.route);
    }

    /// One has not.
    pub(crate) fn missed_body(&self, exchange: &Exchange) {
        self.metrics.missed_body();
        if self.heed.missed(&exchange.route) {
            tracing::warn!(
                route = exchange.route,
                id = exchange.id,
                "a body was asked for, to be looked at, and did not come; if no client gave up, Envoy's request body mode is \
                 NONE without allowModeOverride: then requests with bodies pass that most rules have not seen"
            );
        }
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

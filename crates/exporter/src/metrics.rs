//! What the service says. [`Name`] is the catalogue: a metric that is not in it does not exist.
//!
//! `gateway_*` is what Envoys did, with names of Gateway API; `exporter_*` is the service itself. Labels of the former come from
//! routes that are configured and from words of this code, never from what a client sends; and each metric has a cap, beyond
//! which the labels of newcomers are `other`.

use kit::metrics::{Described, counters, gauge, gauges};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Registry};

/// Every metric of the service's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Requests.
    Requests,
    /// Requests that Envoy answered itself.
    LocalReplies,
    /// Time of a request from its first byte to the last byte of its answer.
    RequestSeconds,
    /// Time from the first byte to the back end until the last byte from it.
    UpstreamSeconds,
    /// Time until the first byte went to the back end.
    FilterSeconds,
    /// Size of a request's body.
    RequestBytes,
    /// Size of a response's body.
    ResponseBytes,
    /// Bytes from clients.
    ReceivedBytes,
    /// Bytes to clients.
    SentBytes,
    /// Connections that were passed on as bytes.
    Connections,
    /// How long those lasted.
    ConnectionSeconds,
    /// Requests that are being answered.
    ActiveRequests,
    /// Entries that came in.
    Entries,
    /// Entries that could not be counted.
    Dropped,
    /// Entries that were counted as `other`.
    Capped,
    /// Series there are.
    Series,
    /// Streams that are open.
    Streams,
    /// Entries that Envoy says it wrote.
    EnvoyWritten,
    /// Entries that Envoy says it dropped.
    EnvoyDropped,
    /// Envoys that could not be asked.
    EnvoyUnreachable,
    /// Security events.
    Events,
    /// Security events that were not written.
    EventsDropped,
    /// Values that were pushed to a collector.
    PushedPoints,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Requests,
        Self::LocalReplies,
        Self::RequestSeconds,
        Self::UpstreamSeconds,
        Self::FilterSeconds,
        Self::RequestBytes,
        Self::ResponseBytes,
        Self::ReceivedBytes,
        Self::SentBytes,
        Self::Connections,
        Self::ConnectionSeconds,
        Self::ActiveRequests,
        Self::Entries,
        Self::Dropped,
        Self::Capped,
        Self::Series,
        Self::Streams,
        Self::EnvoyWritten,
        Self::EnvoyDropped,
        Self::EnvoyUnreachable,
        Self::Events,
        Self::EventsDropped,
        Self::PushedPoints,
    ];

    /// What it is called.
    const fn text(self) -> &'static str {
        match self {
            Self::Requests => "gateway_requests_total",
            Self::LocalReplies => "gateway_local_replies_total",
            Self::RequestSeconds => "gateway_request_seconds",
            Self::UpstreamSeconds => "gateway_upstream_seconds",
            Self::FilterSeconds => "gateway_filter_seconds",
            Self::RequestBytes => "gateway_request_bytes",
            Self::ResponseBytes => "gateway_response_bytes",
            Self::ReceivedBytes => "gateway_received_bytes_total",
            Self::SentBytes => "gateway_sent_bytes_total",
            Self::Connections => "gateway_connections_total",
            Self::ConnectionSeconds => "gateway_connection_seconds",
            Self::ActiveRequests => "gateway_active_requests",
            Self::Entries => "exporter_entries_total",
            Self::Dropped => "exporter_dropped_entries_total",
            Self::Capped => "exporter_capped_total",
            Self::Series => "exporter_series",
            Self::Streams => "exporter_streams",
            Self::EnvoyWritten => "exporter_envoy_written_total",
            Self::EnvoyDropped => "exporter_envoy_dropped_total",
            Self::EnvoyUnreachable => "exporter_envoy_failures_total",
            Self::Events => "exporter_events_total",
            Self::EventsDropped => "exporter_dropped_events_total",
            Self::PushedPoints => "exporter_pushed_points_total",
        }
    }

    /// What it says.
    const fn help(self) -> &'static str {
        match self {
            Self::Requests => {
                "Requests, by route, backend, method, status (0: the client got none), response flags and protocol."
            }
            Self::LocalReplies => {
                "Requests that Envoy answered itself, by route, status and reason (rate_limited, waf, login, denied, …)."
            }
            Self::RequestSeconds => "Time from the first byte of a request to the last byte of its answer, by route.",
            Self::UpstreamSeconds => {
                "Time from the first byte that went to the back end to the last that came from it, by route."
            }
            Self::FilterSeconds => {
                "Time from the first byte of a request until the first byte went to the back end: filters and connecting."
            }
            Self::RequestBytes => "Size of a request's body, by route.",
            Self::ResponseBytes => "Size of a response's body, by route.",
            Self::ReceivedBytes => "Bytes from clients, headers too, by route.",
            Self::SentBytes => "Bytes to clients, headers too, by route.",
            Self::Connections => "Connections that were passed on as bytes, by listener, backend and response flags.",
            Self::ConnectionSeconds => "How long connections lasted that were passed on as bytes, by listener.",
            Self::ActiveRequests => "Requests that an Envoy is answering, as it says itself.",
            Self::Entries => "Entries that came in, by kind (request, connection, try, interim).",
            Self::Dropped => "Entries that could not be counted, by reason (malformed, too_large).",
            Self::Capped => "Entries whose labels are `other` because a metric has reached its cap.",
            Self::Series => "Sets of labels that a metric has now.",
            Self::Streams => "Streams of access logs that are open.",
            Self::EnvoyWritten => "Entries that an Envoy says it has sent.",
            Self::EnvoyDropped => "Entries that an Envoy says it has dropped, for no stream took them in time.",
            Self::EnvoyUnreachable => "Times that an Envoy could not be asked for its figures.",
            Self::Events => {
                "Security events, by kind (waf_block, waf_detect, rate_limited, login, logout, denied, login_required)."
            }
            Self::EventsDropped => {
                "Security events that were not written, by sink (file, otlp): it was too slow, or took no more."
            }
            Self::PushedPoints => "Values of metrics for the collector, by outcome (sent, dropped).",
        }
    }

    /// Its labels, in order.
    const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Requests => &[
                "gateway",
                "listener",
                "route_kind",
                "route_namespace",
                "route",
                "rule",
                "backend",
                "method",
                "code",
                "code_class",
                "flags",
                "protocol",
            ],
            Self::LocalReplies => {
                &["gateway", "listener", "route_kind", "route_namespace", "route", "rule", "code", "reason"]
            }
            Self::RequestSeconds
            | Self::UpstreamSeconds
            | Self::FilterSeconds
            | Self::RequestBytes
            | Self::ResponseBytes
            | Self::ReceivedBytes
            | Self::SentBytes => ROUTE,
            Self::Connections => &["gateway", "listener", "backend", "flags"],
            Self::ConnectionSeconds => &["gateway", "listener"],
            Self::ActiveRequests | Self::EnvoyWritten | Self::EnvoyDropped | Self::EnvoyUnreachable => &["envoy"],
            Self::Entries => &["kind"],
            Self::Dropped => &["reason"],
            Self::Capped | Self::Series => &["metric"],
            Self::Streams => &[],
            Self::EventsDropped => &["sink"],
            Self::Events => &["event"],
            Self::PushedPoints => &["outcome"],
        }
    }
}

/// Whose requests: the rule of a route, on a listener of a gateway.
///
/// `gateway` is `namespace/name`; `route_kind` is `HTTPRoute`, `GRPCRoute` …; `rule` is the rule's index. Requests that no route
/// took have none of the route's labels.
pub const ROUTE: &[&str] = &["gateway", "listener", "route_kind", "route_namespace", "route", "rule"];

impl Described for Name {
    fn is_histogram(self) -> bool {
        matches!(
            self,
            Self::RequestSeconds
                | Self::UpstreamSeconds
                | Self::FilterSeconds
                | Self::RequestBytes
                | Self::ResponseBytes
                | Self::ConnectionSeconds
        )
    }

    fn describe(self) -> (&'static str, &'static str, &'static [&'static str]) {
        (self.text(), self.help(), self.labels())
    }
}

/// What the service counts of itself. What Envoys did is counted elsewhere: it is far more, and has to be quick.
#[derive(Debug)]
pub struct Metrics {
    /// Entries by kind.
    pub entries: IntCounterVec,
    /// Entries that could not be counted, by reason.
    pub dropped: IntCounterVec,
    /// Entries that were counted as `other`, by metric.
    pub capped: IntCounterVec,
    /// Sets of labels, by metric.
    pub series: IntGaugeVec,
    /// Open streams.
    pub streams: IntGauge,
    /// What Envoys have sent.
    pub envoy_written: IntCounterVec,
    /// What Envoys have dropped.
    pub envoy_dropped: IntCounterVec,
    /// Envoys that could not be asked.
    pub envoy_failures: IntCounterVec,
    /// What Envoys are answering.
    pub active_requests: IntGaugeVec,
    /// Security events by kind.
    pub events: IntCounterVec,
    /// Security events that were not written, by sink.
    pub dropped_events: IntCounterVec,
    /// Values for the collector, by outcome.
    pub pushed_points: IntCounterVec,
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Panics
    /// When the registry has them already.
    pub fn register(registry: &Registry) -> Self {
        Self {
            entries: counters(registry, Name::Entries),
            dropped: counters(registry, Name::Dropped),
            capped: counters(registry, Name::Capped),
            series: gauges(registry, Name::Series),
            streams: gauge(registry, Name::Streams),
            envoy_written: counters(registry, Name::EnvoyWritten),
            envoy_dropped: counters(registry, Name::EnvoyDropped),
            envoy_failures: counters(registry, Name::EnvoyUnreachable),
            active_requests: gauges(registry, Name::ActiveRequests),
            events: counters(registry, Name::Events),
            dropped_events: counters(registry, Name::EventsDropped),
            pushed_points: counters(registry, Name::PushedPoints),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_registered() {
        let registry = Registry::new();
        Metrics::register(&registry);
        kit::testing::assert_catalogue(&Name::ALL, &registry);
    }
}

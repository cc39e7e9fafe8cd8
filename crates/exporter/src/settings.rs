//! The service's configuration, one YAML file. It is read at the start; of later changes only levels of the log are taken over.

use std::time::Duration;

use kit::Common;
use kit::config::{Document, Finding};
use kit::net::Address;
use kit::ports::Grpc;
use serde::{Deserialize, Serialize};

pub use crate::events::Field;

/// The configuration of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// The admin port, with the live page. Default 127.0.0.1:9393.
    pub admin: kit::admin::Settings,
    /// Logs and traces.
    pub telemetry: kit::telemetry::Settings,
    /// The orderly end.
    pub drain: kit::drain::Settings,
    /// Where Envoys send access logs.
    pub grpc: Grpc<9391>,
    /// An address of its own for `/metrics`, for scrapers elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Address>,
    /// How many sets of labels there may be.
    pub caps: Caps,
    /// Where buckets of histograms end.
    pub buckets: Buckets,
    /// After how long labels under which nothing comes any more are forgotten. Default 1h.
    #[serde(with = "kit::duration")]
    pub forget_after: Duration,
    /// Envoys that are asked what they sent and dropped.
    pub envoys: Envoys,
    /// Security events.
    pub events: Events,
    /// Metrics for a collector; none are pushed when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
}

/// How many sets of labels each metric may have; the rest share the labels `other`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Caps {
    /// Of requests. Default 20000.
    pub requests: usize,
    /// Of routes: each has five histograms. Default 2000.
    pub routes: usize,
    /// Of local replies. Default 10000.
    pub local_replies: usize,
    /// Of connections. Default 2000.
    pub connections: usize,
}

/// Where buckets end, in rising order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Buckets {
    /// Of times, in seconds.
    pub seconds: Vec<f64>,
    /// Of sizes, in bytes.
    pub bytes: Vec<f64>,
}

/// Envoys that are asked for their statistics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Envoys {
    /// URLs of their statistics, as /stats or /stats/prometheus shows them: such as http://10.0.0.5:19001/stats/prometheus.
    pub stats: Vec<String>,
    /// How often they are asked. Default 10s.
    #[serde(with = "kit::duration")]
    pub interval: Duration,
}

/// Security events: as JSON lines in a file, at a collector, or both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Events {
    /// The file that they are added to, such as `{path: /dev/stdout}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<kit::journal::File>,
    /// The collector that takes them as OTLP logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<kit::otlp::Settings>,
    /// What is masked in them, and on the live page: client, user, host, path, userAgent.
    pub redact: Vec<Field>,
}

/// The series that scrapers get, pushed by OTLP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Push {
    /// The collector.
    pub otlp: kit::otlp::Settings,
    /// How often. Default 15s.
    #[serde(default = "push_interval", with = "kit::duration")]
    pub interval: Duration,
}

fn push_interval() -> Duration {
    Duration::from_secs(15)
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin: kit::admin::Settings::default(),
            telemetry: kit::telemetry::Settings::default(),
            drain: kit::drain::Settings::default(),
            grpc: Grpc::default(),
            metrics: None,
            caps: Caps::default(),
            buckets: Buckets::default(),
            forget_after: Duration::from_secs(3600),
            envoys: Envoys::default(),
            events: Events::default(),
            push: None,
        }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self { requests: 20_000, routes: 2_000, local_replies: 10_000, connections: 2_000 }
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            seconds: vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
            bytes: vec![256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 16_777_216.0],
        }
    }
}

impl Default for Envoys {
    fn default() -> Self {
        Self { stats: Vec::new(), interval: Duration::from_secs(10) }
    }
}

impl kit::Config for Settings {
    fn common(&self) -> Common {
        Common { admin: self.admin.clone(), telemetry: self.telemetry.clone(), drain: self.drain }
    }

    fn default_admin() -> &'static str {
        "127.0.0.1:9393"
    }

    fn check(&self, document: &Document) -> Result<(), Finding> {
        self.grpc.check(document)?;
        for (field, bounds) in [("buckets.seconds", &self.buckets.seconds), ("buckets.bytes", &self.buckets.bytes)] {
            let rises = bounds.windows(2).all(|pair| pair[0] < pair[1]);
            if bounds.is_empty() || !rises || bounds.iter().any(|bound| !bound.is_finite() || *bound <= 0.0) {
                return Err(document.finding(field, "has to be numbers above 0, each larger than the one before"));
            }
        }
        let pushed = self.push.as_ref().map(|push| ("push.interval", push.interval));
        let spans = [("forgetAfter", self.forget_after), ("envoys.interval", self.envoys.interval)];
        for (field, span) in spans.into_iter().chain(pushed) {
            if span < Duration::from_secs(1) {
                return Err(document.finding(field, "is too short, allowed: 1s or more"));
            }
        }
        let caps = &self.caps;
        let all = [
            ("caps.requests", caps.requests),
            ("caps.routes", caps.routes),
            ("caps.localReplies", caps.local_replies),
            ("caps.connections", caps.connections),
        ];
        match all.into_iter().find(|(_, cap)| *cap == 0) {
            Some((field, _)) => Err(document.finding(field, "is 0, allowed: 1 or more")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_default() {
        let settings: Settings = kit::config::parse("exporter.yaml", "{}").unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let check = |text: &str| {
            let document = kit::config::single("exporter.yaml", text).unwrap();
            let (settings, _) = document.read::<Settings>().unwrap();
            kit::Config::check(&settings, &document).unwrap_err().to_string()
        };
        assert!(
            check("buckets: {seconds: [1, 1]}").starts_with("exporter.yaml:1:11: buckets.seconds: has to be numbers")
        );
        assert!(check("caps: {routes: 0}").contains("caps.routes: is 0, allowed: 1 or more"));
        let push = "push: {otlp: {endpoint: 'http://c:4317'}, interval: 10ms}";
        assert!(check(push).contains("push.interval: is too short"));
        assert!(check("forgetAfter: 10ms").contains("forgetAfter: is too short"));
    }
}

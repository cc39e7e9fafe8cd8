//! The registry of one process as a value, its text form, and what every process counts.

mod catalogue;
mod process;
mod shared;

use std::sync::{Arc, OnceLock};

use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Registry, TextEncoder};

pub use catalogue::{Described, Kind, counter, counters, doubling, gauge, gauges, histograms};
pub use shared::Shared;

/// The content type of the text form.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one process. Clones share the registry.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    process: process::Process,
    reloads: Reloads,
    expose: OnceLock<Box<Expose>>,
}

/// What a scraper gets.
pub struct Exposition {
    /// The form.
    pub content_type: &'static str,
    /// The metrics in it, in parts that are written when they are asked for.
    pub parts: Box<dyn Iterator<Item = Vec<u8>> + Send>,
}

/// Writes the families of the registry, and whatever else there is, in a form that the header `accept` allows.
pub type Expose = dyn Fn(Vec<MetricFamily>, &str) -> Exposition + Send + Sync;

/// What is counted about reloading configuration, by the name of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Reloads {
    /// Files taken over.
    pub(crate) successes: IntCounterVec,
    /// Files that were not usable; the old configuration stayed.
    pub(crate) failures: IntCounterVec,
    /// 1 when the configuration in force is that of the file, 0 when the file is not usable.
    pub(crate) current: IntGaugeVec,
}

impl std::fmt::Debug for Exposition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Exposition({})", self.content_type)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Metrics")
    }
}

impl Metrics {
    /// A registry with the metrics of the process (`process_*`), `build_info` and those of configuration reloads.
    pub fn new(service: &str, version: &str) -> Self {
        let registry = Registry::new();
        let process = process::Process::register(&registry);
        let reloads = Reloads::register(&registry);
        let info = gauges(&registry, Shared::BuildInfo);
        info.with_label_values(&[service, version]).set(1);
        Self(Arc::new(Inner { registry, process, reloads, expose: OnceLock::new() }))
    }

    /// The registry, to register a service's own metrics.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What the registry has now.
    pub fn families(&self) -> Vec<MetricFamily> {
        self.0.process.refresh();
        self.0.registry.gather()
    }

    /// All metrics in the Prometheus text format 0.0.4 ([`TEXT`]).
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.families()).unwrap_or_else(|error| {
            tracing::error!(%error, "metrics cannot be written");
            String::new()
        })
    }

    /// Has scrapers served by this, once and for all: for services with more metrics than a registry holds.
    pub fn expose_by(&self, expose: Box<Expose>) {
        // A second one would mean two services in one process.
        let _ = self.0.expose.set(expose);
    }

    /// All metrics for a scraper that accepts these forms.
    pub fn scraped(&self, accept: &str) -> Exposition {
        match self.0.expose.get() {
            None => Exposition { content_type: TEXT, parts: Box::new(std::iter::once(self.text().into_bytes())) },
            Some(expose) => expose(self.families(), accept),
        }
    }

    pub(crate) fn reloads(&self) -> &Reloads {
        &self.0.reloads
    }
}

impl Reloads {
    fn register(registry: &Registry) -> Self {
        Self {
            successes: counters(registry, Shared::ConfigReloads),
            failures: counters(registry, Shared::ConfigFailures),
            current: gauges(registry, Shared::ConfigCurrent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_registered() {
        let metrics = Metrics::new("test", "1.2.3");
        metrics.reloads().failures.with_label_values(&["main"]).inc();
        crate::testing::assert_catalogue(&Shared::ALL, metrics.registry());
    }

    #[test]
    fn the_process_is_described() {
        let metrics = Metrics::new("test", "1.2.3");
        let text = metrics.text();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e5);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") >= value("process_open_fds"));
        assert!(value("process_threads") >= 1.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - value("process_start_time_seconds")).abs() < 3600.0);
        assert!(text.contains(r#"build_info{service="test",version="1.2.3"} 1"#), "{text}");
    }

    #[test]
    fn processor_time_only_grows() {
        let metrics = Metrics::new("test", "1");
        let seconds = || {
            let text = metrics.text();
            let line = text.lines().find(|line| line.starts_with("process_cpu_seconds_total ")).unwrap().to_owned();
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        let before = seconds();
        let start = std::time::Instant::now();
        while start.elapsed().as_millis() < 60 {
            std::hint::black_box(before.sqrt());
        }
        assert!(seconds() > before);
    }
}

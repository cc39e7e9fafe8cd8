//! Logs to stderr, as text or JSON, with levels that can be changed while running; traces where they are configured.

mod levels;

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::trace;

pub use levels::{BadLevels, Level, Levels};

/// Logs and traces, as configured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// Logs.
    pub log: LogSettings,
    /// Traces; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<trace::Settings>,
}

/// Logs, as configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct LogSettings {
    /// The level, and other ones for single components: `info,xds=debug`.
    pub level: Levels,
    /// Text for people or JSON for machines.
    pub format: Format,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One line of text an event; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

/// Changes the levels of a running process. Clones change the same.
#[derive(Clone)]
pub struct LogControl(Arc<Control>);

struct Control {
    levels: Mutex<Levels>,
    apply: Box<dyn Fn(&Levels) + Send + Sync>,
}

impl std::fmt::Debug for LogControl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LogControl({})", self.levels())
    }
}

impl LogControl {
    /// The levels now.
    pub fn levels(&self) -> Levels {
        self.0.levels.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other levels from now on.
    pub fn set(&self, levels: Levels) {
        let mut current = self.0.levels.lock().unwrap_or_else(PoisonError::into_inner);
        (self.0.apply)(&levels);
        *current = levels;
    }
}

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The process has a subscriber already.
    #[error("logging is set up twice")]
    Twice,
    /// Traces cannot be exported.
    #[error("traces: {0}")]
    Traces(#[from] trace::Error),
}

/// What was started: keep it until the process ends, then [`Telemetry::finish`].
#[derive(Debug)]
pub struct Telemetry {
    /// Changes the log levels.
    pub log: LogControl,
    traces: Option<trace::Exporter>,
}

impl Telemetry {
    /// Sends the traces that are still waiting. Blocks until they are sent, a few seconds at most.
    pub fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish();
        }
    }
}

/// Starts logs and traces for the whole process. Needs a running runtime when traces are configured.
pub fn init(service: &str, version: &str, settings: &Settings) -> Result<Telemetry, Error> {
    let traces = settings.traces.as_ref().map(|traces| trace::Exporter::start(service, version, traces)).transpose()?;
    let (subscriber, log) = logging(&settings.log, io::stderr, io::stderr().is_terminal());
    let layer = traces.as_ref().map(trace::Exporter::layer);
    subscriber.with(layer).try_init().map_err(|_| Error::Twice)?;
    Ok(Telemetry { log, traces })
}

/// A subscriber that logs to `writer`, and the control of its levels; nothing global is touched.
pub fn logging<W>(
    settings: &LogSettings,
    writer: W,
    colour: bool,
) -> (impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync, LogControl)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(colour);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match settings.format {
        Format::Text => Box::new(lines),
        Format::Json => Box::new(lines.json().flatten_event(true)),
    };
    let (filter, handle) = reload::Layer::new(settings.level.filter());
    let apply = move |levels: &Levels| {
        // The only error is that the subscriber is gone: then there is nothing to log to.
        let _ = handle.reload(levels.filter());
    };
    let control = Control { levels: Mutex::new(settings.level.clone()), apply: Box::new(apply) };
    (tracing_subscriber::registry().with(lines.with_filter(filter)), LogControl(Arc::new(control)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(settings: &LogSettings, log: impl FnOnce(&LogControl)) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let (subscriber, control) = logging(settings, move || writer.clone(), false);
        tracing::subscriber::with_default(subscriber, || log(&control));
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn levels_change_while_running() {
        let text = logged(&LogSettings::default(), |control| {
            tracing::debug!("one");
            control.set("warn,xds=debug".parse().unwrap());
            tracing::info!("two");
            tracing::debug!(target: "xds::cache", "three");
            control.set("debug".parse().unwrap());
            tracing::debug!("four");
            tracing::debug!(target: "h2::codec", "five");
            assert_eq!(control.levels().to_string(), "debug");
        });
        let seen: Vec<_> =
            ["one", "two", "three", "four", "five"].into_iter().filter(|word| text.contains(word)).collect();
        assert_eq!(seen, ["three", "four"], "{text}");
    }

    #[test]
    fn json_is_one_object_an_event() {
        let settings = LogSettings { format: Format::Json, ..LogSettings::default() };
        let text = logged(&settings, |_| tracing::info!(route = "a/b", "changed"));
        let event: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(
            (&event["message"], &event["route"], &event["level"]),
            (&"changed".into(), &"a/b".into(), &"INFO".into())
        );
    }
}

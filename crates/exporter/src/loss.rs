//! What Envoys say they sent and dropped: without it nobody knows what never came.
//!
//! A stream of logs has no answers, so that Envoy itself cannot know what arrived. `written` is what it handed to a stream,
//! `dropped` what found its buffer full or no stream.

use std::convert::Infallible;
use std::sync::Arc;

use kit::Kit;
use kit::http_client::{self, Client};
use kit::tasks::BoxError;

use crate::metrics::Metrics;
use crate::settings::Envoys;

/// What is asked of the admin port, by a regular expression of Envoy's.
const QUERY: &str =
    "/stats?filter=%28access_logs%5C.grpc_access_log%5C.logs_%28written|dropped%29|downstream_rq_active%29%24";

/// What an Envoy counts, all its loggers and listeners together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Figures {
    written: u64,
    dropped: u64,
    active: i64,
}

/// Asks all of them, again and again.
pub(crate) fn start(kit: &Kit, envoys: &Envoys, metrics: &Arc<Metrics>) -> Result<(), BoxError> {
    let client = Client::new("exporter", &http_client::Settings::default())?;
    for admin in &envoys.admin {
        let (client, metrics, admin) = (client.clone(), Arc::clone(metrics), admin.clone());
        let (shutdown, interval) = (kit.shutdown.clone(), envoys.interval);
        kit.tasks.spawn("envoy stats", async move {
            let (mut ticks, mut last) = (tokio::time::interval(interval), Figures::default());
            while shutdown.unless_stopping(ticks.tick()).await.is_some() {
                match ask(&client, &admin).await {
                    Ok(now) => {
                        take(&metrics, &admin, last, now);
                        last = now;
                    }
                    Err(error) => {
                        metrics.envoy_failures.with_label_values(&[&admin]).inc();
                        tracing::warn!(envoy = admin, "cannot ask for statistics: {error}");
                    }
                }
            }
            Ok::<(), Infallible>(())
        });
    }
    Ok(())
}

async fn ask(client: &Client, admin: &str) -> Result<Figures, BoxError> {
    let answer = client.get(&format!("http://{admin}{QUERY}")).await?;
    if !answer.status.is_success() {
        return Err(format!("the admin port answered {}", answer.status).into());
    }
    Ok(read(&String::from_utf8_lossy(&answer.body)))
}

fn read(text: &str) -> Figures {
    let mut figures = Figures::default();
    for (name, value) in text.lines().filter_map(|line| line.split_once(": ")) {
        let Ok(value) = value.parse::<u64>() else { continue };
        match name.rsplit('.').next() {
            Some("logs_written") => figures.written += value,
            Some("logs_dropped") => figures.dropped += value,
            // That of the admin port itself counts our question.
            Some("downstream_rq_active") if !name.starts_with("http.admin.") => {
                figures.active += i64::try_from(value).unwrap_or_default();
            }
            _ => {}
        }
    }
    figures
}

/// An Envoy that counts less than before has begun anew.
fn take(metrics: &Metrics, envoy: &str, last: Figures, now: Figures) {
    let more = |last: u64, now: u64| if now < last { now } else { now - last };
    metrics.envoy_written.with_label_values(&[envoy]).inc_by(more(last.written, now.written));
    metrics.envoy_dropped.with_label_values(&[envoy]).inc_by(more(last.dropped, now.dropped));
    metrics.active_requests.with_label_values(&[envoy]).set(now.active);
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn figures_of_all_loggers_are_added_up() {
        let text = "access_logs.grpc_access_log.logs_dropped: 1\naccess_logs.grpc_access_log.logs_written: 20\n\
                    http.admin.downstream_rq_active: 1\nhttp.http-80.downstream_rq_active: 3\nhttp.x.y: No recorded values\n";
        assert_eq!(read(text), Figures { written: 20, dropped: 1, active: 3 });
        assert_eq!(read("nonsense"), Figures::default());
    }

    #[test]
    fn an_envoy_that_begins_anew_takes_nothing_away() {
        let metrics = Metrics::register(&Registry::new());
        let figures = |written| Figures { written, ..Figures::default() };
        take(&metrics, "a", figures(0), figures(10));
        take(&metrics, "a", figures(10), figures(12));
        take(&metrics, "a", figures(12), figures(3));
        assert_eq!(metrics.envoy_written.with_label_values(&["a"]).get(), 15);
    }
}

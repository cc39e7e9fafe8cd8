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
    for url in &envoys.stats {
        let (client, metrics, url) = (client.clone(), Arc::clone(metrics), url.clone());
        let (shutdown, interval) = (kit.shutdown.clone(), envoys.interval);
        kit.tasks.spawn("envoy stats", async move {
            let (mut ticks, mut last) = (tokio::time::interval(interval), Figures::default());
            let envoy = host(&url);
            while shutdown.unless_stopping(ticks.tick()).await.is_some() {
                match ask(&client, &url).await {
                    Ok(now) => {
                        take(&metrics, envoy, last, now);
                        last = now;
                    }
                    Err(error) => {
                        metrics.envoy_failures.with_label_values(&[envoy]).inc();
                        tracing::warn!(url, "cannot ask for statistics: {error}");
                    }
                }
            }
            Ok::<(), Infallible>(())
        });
    }
    Ok(())
}

/// The host of a URL, with its port: the label of an Envoy.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

async fn ask(client: &Client, url: &str) -> Result<Figures, BoxError> {
    let answer = client.get(url).await?;
    if !answer.status.is_success() {
        return Err(format!("the answer is {}", answer.status).into());
    }
    Ok(read(&String::from_utf8_lossy(&answer.body)))
}

/// Both forms that Envoy has: `/stats`, and `/stats/prometheus`, in which names have other separators and a beginning.
fn read(text: &str) -> Figures {
    let mut figures = Figures::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<u64>() else { continue };
        let name = name.trim_end_matches(':');
        let (metric, labels) = name.split_once('{').unwrap_or((name, ""));
        if metric.ends_with("grpc_access_log_logs_written") || metric.ends_with("grpc_access_log.logs_written") {
            figures.written += value;
        } else if metric.ends_with("grpc_access_log_logs_dropped") || metric.ends_with("grpc_access_log.logs_dropped") {
            figures.dropped += value;
        } else if is_of_clients(metric, labels) {
            figures.active += i64::try_from(value).unwrap_or_default();
        }
    }
    figures
}

/// Requests that are being answered; those of the admin port are ours.
fn is_of_clients(metric: &str, labels: &str) -> bool {
    let plain = metric.starts_with("http.") && metric.ends_with(".downstream_rq_active");
    let labelled = metric == "envoy_http_downstream_rq_active";
    (plain && !metric.starts_with("http.admin.")) || (labelled && !labels.contains("=\"admin\""))
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
    fn figures_are_read_in_both_forms_and_added_up() {
        let plain = "access_logs.grpc_access_log.logs_dropped: 1\naccess_logs.grpc_access_log.logs_written: 20\n\
                     http.admin.downstream_rq_active: 1\nhttp.http-80.downstream_rq_active: 3\nhttp.x.y: P0(nan,0)\n";
        let labelled = "# TYPE envoy_access_logs_grpc_access_log_logs_written counter\n\
                        envoy_access_logs_grpc_access_log_logs_written{} 20\nenvoy_access_logs_grpc_access_log_logs_dropped{} 1\n\
                        envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix=\"admin\"} 1\n\
                        envoy_http_downstream_rq_active{envoy_http_conn_manager_prefix=\"http-80\"} 3\n";
        for text in [plain, labelled] {
            assert_eq!(read(text), Figures { written: 20, dropped: 1, active: 3 });
        }
        assert_eq!(read("nonsense"), Figures::default());
        assert_eq!(host("http://10.0.0.1:19001/stats/prometheus"), "10.0.0.1:19001");
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

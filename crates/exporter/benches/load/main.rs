//! A thousand routes with ten statuses each, as fast as they are taken. Prints figures as JSON for `cargo xtask bench exporter`, and
//! progress on standard error.
//!
//! ```text
//! entries of this process ─▶ portcullis-exporter ─▶ /metrics
//! ```

mod entries;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use envoy::service::accesslog::StreamAccessLogsMessage;
use envoy::service::accesslog::access_log_service_client::AccessLogServiceClient;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::client::Request;
use testbed::proc::{mebibytes, processor_time};
use testbed::process::Process;
use testbed::service::{self, listening};
use testbed::times::Times;

/// Routes, each with as many statuses as [`entries::CODES`] has.
const ROUTES: u32 = 1000;
/// How often each series comes, in each of the streams.
const ROUNDS: usize = 60;
/// Streams at once, as an Envoy of so many workers has them.
const STREAMS: usize = 2;
/// How often a scrape is measured.
const SCRAPES: usize = 15;

#[tokio::main]
async fn main() -> Result<()> {
    let house = House::start().await?;
    eprintln!("  {ROUTES} routes with {} statuses each", entries::CODES.len());
    let messages = entries::messages(ROUTES);
    // Everything is learnt, and memory is there.
    house.send(&messages, 1).await?;
    let before = processor_time(house.process.pid())?;
    let begun = Instant::now();
    let sent = house.send(&messages, ROUNDS).await?;
    let (took, cost) = (begun.elapsed(), processor_time(house.process.pid())? - before);
    let (each, sent) = (cost.as_secs_f64() / sent, sent);
    let mut figures = vec![
        figure("entries a second and core", 1.0 / each, "1/s", None),
        figure("processor time of an entry", each * 1e6, "µs", Some(1e6 / 150_000.0)),
        figure("entries a second, two streams", sent / took.as_secs_f64(), "1/s", None),
    ];
    let series = service::metric(&house.admin, r#"exporter_series{metric="gateway_requests_total"}"#).await?;
    figures.push(figure("series of requests", series, "", None));
    for (form, accept) in [
        ("text", "*/*"),
        ("OpenMetrics", "application/openmetrics-text"),
        ("protobuf", "application/vnd.google.protobuf"),
    ] {
        let (time, size) = house.scrape(accept).await?;
        figures.push(figure(&format!("scrape as {form}, p50"), time, "ms", Some(50.0)));
        figures.push(figure(&format!("size of that: {form}"), size / 1048576.0, "MiB", None));
    }
    figures.push(figure("memory", mebibytes(house.process.pid(), "VmRSS")?, "MiB", Some(64.0)));
    println!("{}", Value::Array(figures));
    Ok(())
}

fn figure(name: &str, value: f64, unit: &str, target: Option<f64>) -> Value {
    json!({ "name": name, "value": value, "unit": unit, "peer": target, "ratio": target.map(|target| value / target) })
}

/// The service as a process.
struct House {
    process: Process,
    grpc: String,
    admin: String,
    _dir: TempDir,
}

impl House {
    async fn start() -> Result<Self> {
        let dir = TempDir::with_prefix("exporter-bench-")?;
        let file = dir.path().join("exporter.yaml");
        std::fs::write(&file, "grpc: {address: '127.0.0.1:0'}\nadmin: {address: '127.0.0.1:0'}\n")?;
        let mut process = service::start(env!("CARGO_BIN_EXE_portcullis-exporter"), &file, &[])?;
        let admin = listening(&mut process, "admin").await?;
        let grpc = listening(&mut process, "grpc").await?;
        Ok(Self { process, grpc, admin, _dir: dir })
    }

    /// Sends all messages so many times in each stream; how many entries that are.
    async fn send(&self, messages: &[StreamAccessLogsMessage], rounds: usize) -> Result<f64> {
        let before = self.counted().await?;
        let streams = (0..STREAMS).map(|_| {
            let address = format!("http://{}", self.grpc);
            let messages: Vec<_> = messages.to_vec();
            tokio::spawn(async move {
                let mut client = AccessLogServiceClient::connect(address).await?;
                let all = (0..rounds).flat_map(move |_| messages.clone());
                client.stream_access_logs(tokio_stream::iter(all)).await.map(drop).context("the stream")
            })
        });
        for stream in streams.collect::<Vec<_>>() {
            stream.await??;
        }
        let count = self.counted().await? - before;
        let wanted = messages.len() * entries::IN_A_MESSAGE * rounds * STREAMS;
        ensure!((count - f64::from(u32::try_from(wanted)?)).abs() < 0.5, "{count} of {wanted} entries were counted");
        Ok(count)
    }

    async fn counted(&self) -> Result<f64> {
        service::metric(&self.admin, r#"exporter_entries_total{kind="request"}"#).await
    }

    /// How long a scrape takes, in milliseconds, and how large it is.
    async fn scrape(&self, accept: &str) -> Result<(f64, f64)> {
        let request = Request::get(&format!("http://{}/metrics", self.admin)).header("accept", accept);
        let (mut times, mut size) = (Vec::<Duration>::new(), 0);
        for _ in 0..SCRAPES {
            let begun = Instant::now();
            let answer = request.send().await?;
            times.push(begun.elapsed());
            size = answer.body.len();
        }
        Ok((Times::new(times).millis(0.5), f64::from(u32::try_from(size)?)))
    }
}

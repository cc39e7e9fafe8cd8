//! A service as a real process: flags, files, signals, exit codes. The service is `examples/greeter.rs`, which
//! `cargo test -p kit` builds (with `--test run` alone it has to be built before).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use kit::http_client::{Client, Settings};
use kit::testing::{DEADLINE, HttpDouble, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn greeter() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.parent().and_then(std::path::Path::parent).unwrap();
    let path = target.join("examples/greeter");
    assert!(path.exists(), "{} is missing: cargo test -p kit builds it", path.display());
    path
}

/// A running greeter, killed when it is dropped.
struct Greeter {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    _dir: tempfile::TempDir,
    config: PathBuf,
}

impl Greeter {
    fn start(config: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("greeter.yaml");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new(greeter())
            .arg("--config-path")
            .arg(&path)
            .args(["--log-format", "json"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new(), _dir: dir, config: path }
    }

    /// The next line of the log with `text` in it.
    fn line(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else { panic!("no `{text}` in {:#?}", self.seen) };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The address that the greeter listens on for `what`. Admin comes before http.
    fn address(&mut self, what: &str) -> String {
        let line = self.line(&format!("\"listening\",\"what\":\"{what}\""));
        serde_json::from_str::<Value>(&line).unwrap()["address"].as_str().unwrap().to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    async fn exit(&mut self) -> ExitStatus {
        eventually("the process ends", async || self.child.try_wait().unwrap()).await
    }

    /// Everything it logged; only after its end.
    fn log(&mut self) -> String {
        self.seen.extend(self.lines.iter());
        self.seen.join("\n")
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn client() -> Client {
    Client::new("test", &Settings { timeout: DEADLINE, ..Settings::default() }).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_while_nothing_new_is_accepted() {
    let mut greeter = Greeter::start("drain: {delay: 300ms}", &[]);
    let (admin, http) = (greeter.address("admin"), greeter.address("http"));
    let ready = |status| {
        let url = format!("http://{admin}/readyz");
        async move {
            eventually("readiness", async || (client().get(&url).await.ok()?.status == status).then_some(())).await
        }
    };
    ready(200).await;
    let slow = tokio::spawn({
        let url = format!("http://{http}/slow");
        async move { client().get(&url).await }
    });
    greeter.line("a slow request began");
    greeter.signal(Signal::SIGTERM);
    ready(503).await;
    assert_eq!(client().get(&format!("http://{http}/")).await.unwrap().body, "hello", "not ready, but still serving");
    assert_eq!(slow.await.unwrap().unwrap().body, "hello");
    assert!(client().get(&format!("http://{http}/")).await.is_err(), "the port is closed");
    assert_eq!(greeter.exit().await.code(), Some(0), "{}", greeter.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_request_is_given_up_at_the_deadline_or_by_a_second_signal() {
    for (config, signals) in [("drain: {deadline: 200ms}", 1), ("drain: {deadline: 1h}", 2), ("drain: {delay: 1h}", 2)]
    {
        let mut greeter = Greeter::start(config, &[]);
        let url = format!("http://{}/stuck", greeter.address("http"));
        let stuck = tokio::spawn(async move { client().get(&url).await });
        greeter.line("a stuck request began");
        greeter.signal(Signal::SIGTERM);
        greeter.line("draining");
        if signals == 2 {
            greeter.signal(Signal::SIGINT);
        }
        let status = greeter.exit().await;
        assert!(stuck.await.unwrap().is_err());
        let log = greeter.log();
        assert!(status.success() && log.contains("giving up what is still in flight"), "{config}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_ends_with_2_and_names_the_place() {
    for (config, expected) in [
        (
            "greeting: hi\nlisen: 127.0.0.1:0\n",
            "greeter.yaml:2:1: lisen: unknown field `lisen`, allowed: admin, telemetry, drain, listen, greeting, token",
        ),
        ("listen: nowhere\n", "greeter.yaml:1:9: listen: `nowhere` is not an address"),
        ("drain:\n  deadline: soon\n", "greeter.yaml:2:13: drain.deadline: `soon` is not a duration"),
        ("greeting: ''\n", "greeter.yaml:1:1: greeting: is empty"),
    ] {
        let mut greeter = Greeter::start(config, &[]);
        let status = greeter.exit().await;
        let log = greeter.log();
        assert!(status.code() == Some(2) && log.contains(expected), "{config}: {status}: {log}");
    }
    let mut greeter = Greeter::start("", &["--log-level", "loud"]);
    assert_eq!(greeter.exit().await.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_and_a_failed_task_end_with_1() {
    let mut first = Greeter::start("", &[]);
    let (admin, http) = (first.address("admin"), first.address("http"));
    let mut second = Greeter::start("", &["--admin-addr", &admin]);
    assert_eq!(second.exit().await.code(), Some(1));
    let log = second.log();
    assert!(log.contains(&format!("cannot listen on {admin} (admin)")) && log.contains("--admin-addr"), "{log}");

    client().get(&format!("http://{http}/fail")).await.unwrap();
    assert_eq!(first.exit().await.code(), Some(1));
    assert!(first.log().contains("greeter: the task `fragile` failed: it was fragile"), "{}", first.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_live_and_a_bad_one_is_not() {
    let mut greeter = Greeter::start("greeting: one\ntoken: secret\n", &[]);
    let (admin, http) = (greeter.address("admin"), format!("http://{}/", greeter.address("http")));
    let greeting = async || client().get(&http).await.unwrap().body;
    assert_eq!(greeting().await, "one");
    std::fs::write(&greeter.config, "greeting: two\ntelemetry: {log: {level: debug}}\n").unwrap();
    eventually("the new greeting", async || (greeting().await == "two").then_some(())).await;
    eventually("the new level", async || {
        let log = client().get(&format!("http://{admin}/log")).await.unwrap().body;
        (log == r#"{"level":"debug"}"#).then_some(())
    })
    .await;
    std::fs::write(&greeter.config, "greeting: [\n").unwrap();
    greeter.line("the last good one stays in force");
    assert_eq!(greeting().await, "two");
    assert_eq!(client().get(&format!("http://{admin}/readyz")).await.unwrap().status, 200);
    let config = client().get(&format!("http://{admin}/config")).await.unwrap().body;
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!((&config["greeting"], &config["token"]), (&"two".into(), &"***".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_the_collector_with_the_callers_trace() {
    let exported = Arc::new(Mutex::new(Vec::<u8>::new()));
    let sink = Arc::clone(&exported);
    let export = move |body: Bytes| {
        sink.lock().unwrap().extend_from_slice(&body);
        // An empty answer: a frame of no bytes.
        std::future::ready(([("content-type", "application/grpc"), ("grpc-status", "0")], [0_u8; 5].to_vec()))
    };
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let collector = HttpDouble::start(Router::new().route(path, post(export))).await;
    let mut greeter = Greeter::start(&format!("telemetry: {{traces: {{endpoint: '{}'}}}}", collector.url("")), &[]);
    let http = format!("http://{}/", greeter.address("http"));
    let request = || client().request(reqwest::Method::GET, &http);
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    client().send(request().header("traceparent", traceparent)).await.unwrap();
    client().send(request().header("b3", "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1")).await.unwrap();
    let ids = [("x-b3-traceid", "463ac35c9f6413ad48485a3953bb6124"), ("x-b3-spanid", "a2fb4a1d1a96d312")];
    let parts = ids.into_iter().fold(request(), |request, (name, id)| request.header(name, id));
    client().send(parts).await.unwrap();
    greeter.signal(Signal::SIGTERM);
    assert_eq!(greeter.exit().await.code(), Some(0));
    let exported = exported.lock().unwrap().clone();
    let has = |bytes: &[u8]| exported.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"greet") && has(b"service.name") && has(b"greeter"), "{}", greeter.log());
    for trace in [
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128,
        0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7,
        0x463a_c35c_9f64_13ad_4848_5a39_53bb_6124,
    ] {
        assert!(has(&trace.to_be_bytes()), "the trace is the caller's: {trace:x}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_and_version_are_no_failures() {
    for flag in ["--help", "--version"] {
        let output = Command::new(greeter()).arg(flag).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("portcullis-greeter"), "{flag}: {text}");
    }
}

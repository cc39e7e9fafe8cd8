//! Access logs, traces and metrics, where they are sent to.

use serde_json::Value;
use testbed::process::Process;

use super::*;
use crate::harness::free_port;
use crate::objects::{USES_PROXY, backend_at, class, gateway_with, http_route, proxy, to_backend};

/// A case whose EnvoyProxy has this telemetry, with an echo behind it and further manifests.
pub(super) async fn with_telemetry(telemetry: &str, more: &str) -> Result<(Case, Echo, u16)> {
    let (echo, port) = (echo("echo").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], USES_PROXY),
        proxy(&format!("  telemetry: {telemetry}\n")),
        backend_at("echo", echo.address(), "") + &http_route("r", "{name: gw}", &["a.org"], &to_backend("echo", "")),
        more.to_owned(),
    ])
    .await?;
    answers(&case, &get("a.org", port), 200).await?;
    Ok((case, echo, port))
}

/// Waits for a line of a file that fits.
async fn line(case: &Case, path: &std::path::Path, fits: impl Fn(&str) -> bool) -> Result<String> {
    let mut found = None;
    let look = async || {
        found = std::fs::read_to_string(path)?.lines().find(|line| fits(line)).map(str::to_owned);
        Ok(found.is_some())
    };
    case.until("a line of the access log", look).await?;
    found.context("no line")
}

#[tokio::test]
async fn access_logs_in_files() -> Result<()> {
    let dir = tempfile::TempDir::new()?;
    let (text, json, errors) = (dir.path().join("text"), dir.path().join("json"), dir.path().join("errors"));
    let file = |path: &std::path::Path| format!("sinks: [{{type: File, file: {{path: '{}'}}}}]", path.display());
    let settings = format!(
        "{{accessLog: {{settings: [\
         {{format: {{type: Text, text: 'line %REQ(:METHOD)% %REQ(:AUTHORITY)% %RESPONSE_CODE%'}}, {}}}, \
         {{format: {{type: JSON, json: {{host: '%REQ(:AUTHORITY)%', status: '%RESPONSE_CODE%'}}}}, {}}}, \
         {{matches: ['response.code >= 400'], {}}}]}}}}",
        file(&text),
        file(&json),
        file(&errors)
    );
    let (case, _echo, port) = with_telemetry(&settings, "").await?;
    assert_eq!(get("nobody.org", port).send().await?.status, 404);
    assert_eq!(line(&case, &text, |line| line.contains("a.org")).await?, "line GET a.org 200");
    let of_json: Value = serde_json::from_str(&line(&case, &json, |line| line.contains("nobody.org")).await?)?;
    assert_eq!(of_json, serde_json::json!({"host": "nobody.org", "status": 404}));
    // The usual fields, and only what the expression asks for.
    let of_error: Value = serde_json::from_str(&line(&case, &errors, |_| true).await?)?;
    assert_eq!((&of_error[":authority"], &of_error["response_code"]), (&"nobody.org".into(), &404.into()));
    assert!(of_error["start_time"].is_string(), "{of_error}");
    Ok(())
}

#[tokio::test]
async fn without_settings_the_access_log_is_on_standard_output() -> Result<()> {
    let (case, _echo, port) = with_telemetry("{}", "").await?;
    let logged = async || {
        get("a.org", port).send().await?;
        let log = case.server.as_ref().map(Process::log).unwrap_or_default();
        Ok(log.lines().any(|line| line.starts_with('{') && line.contains(r#"":authority":"a.org""#)))
    };
    case.until("a line of JSON", logged).await
}

#[tokio::test]
async fn traces_and_metrics_are_sent_by_otlp() -> Result<()> {
    let collector = echo("collector").await?;
    let to = to_backend("collector", &format!(", port: {}", collector.port()));
    let settings = format!(
        "{{tracing: {{samplingRate: 100, provider: {{type: OpenTelemetry, backendRefs: [{to}]}}}}, \
         metrics: {{sinks: [{{type: OpenTelemetry, openTelemetry: {{backendRefs: [{to}]}}}}]}}}}"
    );
    let (case, _echo, port) = with_telemetry(&settings, &backend_at("collector", collector.address(), "")).await?;
    for service in ["trace.v1.TraceService", "metrics.v1.MetricsService"] {
        let path = format!("/opentelemetry.proto.collector.{service}/Export");
        let exported = async || {
            get("a.org", port).send().await?;
            Ok(collector.requests().iter().any(|request| request.path == path))
        };
        case.until(&path, exported).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_not_there_is_told_and_disturbs_nothing() -> Result<()> {
    let telemetry = "{tracing: {provider: {type: OpenTelemetry, backendRefs: [{name: missing, port: 4317}]}}}";
    let (case, _echo, port) = with_telemetry(telemetry, "").await?;
    case.reason("Gateway", "gw", "ResolvedRefs", "BackendNotFound").await?;
    case.condition("Gateway", "gw", "Accepted", "True").await?;
    answers(&case, &get("a.org", port), 200).await
}

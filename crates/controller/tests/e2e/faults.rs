//! What breaks breaks alone: bad files, resources that Envoy refuses, and processes that are killed under load.

use std::process::Command;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::load::Load;

use crate::harness::{Case, free_port, local};
use crate::objects::{backend, backend_at, class, gateway, http_route, listener, route, to_backend};

fn get(host: &str, port: u16) -> Request {
    Request::get(&format!("http://{host}/")).to(local(port))
}

/// Waits until a host is answered with this status.
async fn answers(case: &Case, host: &str, port: u16, status: u16) -> Result<()> {
    case.until(&format!("{host}: {status}"), async || Ok(get(host, port).send().await?.status == status)).await
}

/// A route for `name.org` with a regular expression for its path.
fn by_expression(name: &str, expression: &str) -> String {
    let fields = format!(
        "hostnames: [{name}.org]\n  rules: [{{matches: [{{path: {{type: RegularExpression, value: '{expression}'}}}}], \
         backendRefs: [{}]}}]",
        to_backend("echo", "")
    );
    route("HTTPRoute", "default", name, "{name: gw}", &fields)
}

fn plain(name: &str) -> String {
    http_route(name, "{name: gw}", &[&format!("{name}.org")], &to_backend("echo", ""))
}

/// A Gateway with a route for `good.org`, which is served.
async fn serving(more: &str) -> Result<(Case, Echo, u16)> {
    let (echo, port) = (Echo::http().spawn().await?, free_port());
    let case = Case::start(&[
        class(),
        gateway(&[listener("http", "HTTP", port, "")]),
        backend_at("echo", echo.address(), "") + &plain("good"),
        more.to_owned(),
    ])
    .await?;
    answers(&case, "good.org", port, 200).await?;
    case.programmed("gw").await?;
    Ok((case, echo, port))
}

#[tokio::test]
async fn a_route_that_envoy_refuses_is_out_alone_and_comes_back_when_mended() -> Result<()> {
    let (case, _echo, port) = serving("").await?;
    // More repetitions than RE2 takes; the syntax is right.
    case.write("refused", &(by_expression("refused", "/(ab){2000}") + &plain("beside")))?;
    answers(&case, "beside.org", port, 200).await?;
    case.condition("HTTPRoute", "refused", "Accepted", "False").await?;
    let status = case.status("HTTPRoute", "refused").await?.to_string();
    assert!(status.contains("repetition"), "Envoy's own words: {status}");
    assert_eq!(get("good.org", port).send().await?.status, 200);
    // The next changes are not held up by it.
    case.write("later", &plain("later"))?;
    answers(&case, "later.org", port, 200).await?;
    case.programmed("gw").await?;
    case.write("refused", &(by_expression("refused", "/.*") + &plain("beside")))?;
    answers(&case, "refused.org", port, 200).await?;
    case.condition("HTTPRoute", "refused", "Accepted", "True").await
}

#[tokio::test]
async fn a_backend_that_envoy_refuses_is_out_alone() -> Result<()> {
    let (case, echo, port) = serving("").await?;
    let with = |cipher: &str| {
        let tls = format!("{{insecureSkipVerify: true, maxVersion: '1.2', ciphers: [{cipher}]}}");
        let (ip, number) = (echo.address().ip(), echo.port());
        backend("strange", &format!("{{endpoints: [{{ip: {{address: {ip}, port: {number}}}}}], tls: {tls}}}"))
            + &http_route("strange", "{name: gw}", &["strange.org"], &to_backend("strange", ""))
    };
    case.write("strange", &(with("NO-SUCH-CIPHER") + &plain("beside")))?;
    answers(&case, "beside.org", port, 200).await?;
    answers(&case, "strange.org", port, 500).await?;
    case.condition("Backend", "strange", "Accepted", "False").await?;
    let status = case.status("Backend", "strange").await?.to_string();
    assert!(status.contains("NO-SUCH-CIPHER"), "Envoy's own words: {status}");
    // Mended it is in again; the back end speaks no TLS, so 503 is the right answer.
    case.write("strange", &with("ECDHE-RSA-AES128-GCM-SHA256"))?;
    answers(&case, "strange.org", port, 503).await?;
    case.condition("Backend", "strange", "Accepted", "True").await?;
    answers(&case, "good.org", port, 200).await
}

#[tokio::test]
async fn one_bad_route_among_a_hundred() -> Result<()> {
    let good: String = (0..100).map(|index| plain(&format!("r{index}"))).collect();
    let (case, _echo, port) = serving(&(by_expression("bad", "/(ab){2000}") + &good)).await?;
    for index in 0..100 {
        answers(&case, &format!("r{index}.org"), port, 200).await?;
    }
    case.condition("HTTPRoute", "bad", "Accepted", "False").await?;
    case.attached("gw", "http", 101).await?;
    case.programmed("gw").await
}

#[tokio::test]
async fn broken_files_leave_the_last_good_version_and_are_told() -> Result<()> {
    let (case, _echo, port) = serving("").await?;
    let files = [
        ("syntax", "spec: {parentRefs: [\n".to_owned(), "syntax.yaml:"),
        ("schema", plain("schema").replace("hostnames: [schema.org]", "hostnames: 7"), "HTTPRoute default/schema"),
        ("kind", plain("kind").replace("kind: HTTPRoute", "kind: HTTPRoot"), "HTTPRoot"),
    ];
    for (name, _, _) in &files {
        case.write(name, &plain(name))?;
        answers(&case, &format!("{name}.org"), port, 200).await?;
    }
    for (name, text, told) in &files {
        case.write(name, text)?;
        case.write("after", &plain(&format!("after-{name}")))?;
        answers(&case, &format!("after-{name}.org"), port, 200).await?;
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["status", "--config-path"])
            .arg(case.config())
            .output()?;
        let status = String::from_utf8(output.stdout)?;
        let line = status.lines().find(|line| line.contains(&format!("{name}.yaml:")));
        assert!(line.is_some_and(|line| line.contains(told)), "{name}: {status}");
    }
    for name in ["good", "syntax", "schema"] {
        assert_eq!(get(&format!("{name}.org"), port).send().await?.status, 200, "{name}");
    }
    for (name, _, _) in &files {
        case.write(name, &plain(&format!("mended-{name}")))?;
        answers(&case, &format!("mended-{name}.org"), port, 200).await?;
        answers(&case, &format!("{name}.org"), port, 404).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_controller_costs_no_request() -> Result<()> {
    let (mut case, _echo, port) = serving("").await?;
    let envoy = case.envoy_pid().await?;
    let load = Load::start(&get("good.org", port));
    for turn in 0..3 {
        case.restart()?;
        let name = format!("turn{turn}");
        case.write("turn", &plain(&name))?;
        answers(&case, &format!("{name}.org"), port, 200).await?;
    }
    load.stop_unharmed().await?;
    // The same one all the time; the controller says so once it has taken it over.
    case.until("the same Envoy", async || Ok(case.envoy_pid().await? == envoy)).await?;
    case.programmed("gw").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_rewrites_cost_no_request_and_the_last_one_holds() -> Result<()> {
    let (case, _echo, port) = serving("").await?;
    let load = Load::start(&get("good.org", port));
    for turn in 0..1000 {
        case.write("rewritten", &plain(&format!("v{turn}")))?;
    }
    answers(&case, "v999.org", port, 200).await?;
    for turn in [0, 500, 998] {
        answers(&case, &format!("v{turn}.org"), port, 404).await?;
    }
    load.stop_unharmed().await.map(drop)
}

#[tokio::test]
async fn a_killed_envoy_comes_back_and_serves() -> Result<()> {
    let (case, _echo, port) = serving("").await?;
    for _ in 0..2 {
        let before = case.envoy_pid().await?;
        kill(Pid::from_raw(before), Signal::SIGKILL)?;
        case.until("another Envoy", async || Ok(case.envoy_pid().await? != before)).await?;
        answers(&case, "good.org", port, 200).await?;
    }
    case.programmed("gw").await
}

#[tokio::test]
async fn an_orderly_end_leaves_no_process() -> Result<()> {
    let (case, _echo, port) = serving("").await?;
    let envoy = Pid::from_raw(case.envoy_pid().await?);
    let _dir = case.stop().await?;
    assert!(kill(envoy, None).is_err());
    assert!(get("good.org", port).send().await.is_err());
    Ok(())
}

//! What breaks breaks alone: bad files, resources that Envoy refuses, and processes that are killed under load.

use std::net::TcpListener;
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::load::Load;

use crate::harness::{Case, free_port, local};
use crate::objects::{
    USES_PROXY, backend, backend_at, class, gateway, gateway_with, http_route, listener, proxy, route, service,
    to_backend, to_service,
};

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

/// An HTTPRouteFilter that rewrites paths, and a route that uses it beside a rule that does not.
fn rewriting(pattern: &str) -> String {
    let filter =
        "filters: [{type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: f}}]";
    let to = format!("backendRefs: [{}]", to_backend("echo", ""));
    let rules = format!("[{{matches: [{{path: {{value: /plain}}}}], {to}}}, {{{filter}, {to}}}]");
    format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\nmetadata: {{name: f}}\nspec: {{urlRewrite: \
         {{path: {{type: ReplaceRegexMatch, replaceRegexMatch: {{pattern: '{pattern}', substitution: /b}}}}}}}}\n"
    ) + &route(
        "HTTPRoute",
        "default",
        "rewriting",
        "{name: gw}",
        &format!("hostnames: [rewriting.org]\n  rules: {rules}"),
    )
}

#[tokio::test]
async fn a_filter_that_envoy_refuses_is_out_alone_and_mended_where_it_stands() -> Result<()> {
    let (case, _echo, port) = serving("").await?;
    case.write("rewriting", &(rewriting("/a{2000}") + &plain("beside")))?;
    answers(&case, "beside.org", port, 200).await?;
    answers(&case, "rewriting.org", port, 500).await?;
    let beside = Request::get("http://rewriting.org/plain").to(local(port));
    case.until("the rule without it", async || Ok(beside.clone().send().await?.status == 200)).await?;
    case.condition("HTTPRoute", "rewriting", "ResolvedRefs", "False").await?;
    let status = case.status("HTTPRoute", "rewriting").await?.to_string();
    assert!(status.contains("repetition"), "Envoy's own words: {status}");
    // The route itself stays as it was.
    case.write("rewriting", &(rewriting("/a") + &plain("beside")))?;
    answers(&case, "rewriting.org", port, 200).await?;
    case.condition("HTTPRoute", "rewriting", "ResolvedRefs", "True").await?;
    case.programmed("gw").await
}

#[tokio::test]
async fn ciphers_of_one_gateway_harm_no_other_and_are_forgiven_when_mended() -> Result<()> {
    let (echo, port, other) = (Echo::http().spawn().await?, free_port(), free_port());
    let tls = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: p}\nspec: {targetRefs: \
               [{group: '', kind: Service, name: s}], validation: {hostname: s, wellKnownCACertificates: System}}\n";
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], USES_PROXY),
        gateway_with("other", &[listener("http", "HTTP", other, "")], ""),
        backend_at("echo", echo.address(), "") + &plain("good"),
        service("default", "s", &[echo.address()]) + tls,
        http_route("r", "{name: gw}, {name: other}", &["r.org"], &to_service("s", "")),
    ])
    .await?;
    case.write("proxy", &proxy("  backendTLS: {ciphers: [a]}\n"))?;
    answers(&case, "r.org", port, 500).await?;
    answers(&case, "good.org", port, 200).await?;
    // The back end speaks no TLS, so 503 is the right answer.
    answers(&case, "r.org", other, 503).await?;
    case.write("after", &http_route("after", "{name: other}", &["after.org"], &to_backend("echo", "")))?;
    answers(&case, "after.org", other, 200).await?;
    assert_eq!(get("r.org", other).send().await?.status, 503);
    case.write("proxy", &proxy("  backendTLS: {ciphers: [ECDHE-RSA-AES128-GCM-SHA256]}\n"))?;
    answers(&case, "r.org", port, 503).await?;
    case.programmed("gw").await
}

#[tokio::test]
async fn a_port_in_use_blames_no_policy_and_holds_up_no_other_port() -> Result<()> {
    let (echo, port) = (Echo::http().spawn().await?, free_port());
    let taken = TcpListener::bind("0.0.0.0:0")?;
    let with = |other: u16| gateway(&[listener("http", "HTTP", port, ""), listener("other", "HTTP", other, "")]);
    // Nobody is there to be asked.
    let policy = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\nmetadata: {name: p}\nspec: {targetRefs: \
                  [{group: gateway.networking.k8s.io, kind: Gateway, name: gw}], extAuth: {failOpen: true, grpc: \
                  {backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: nobody}]}}}\n";
    let nobody = backend_at("nobody", local(free_port()), "") + policy;
    let rest = backend_at("echo", echo.address(), "") + &plain("good") + &nobody;
    let case = Case::start(&[class(), with(taken.local_addr()?.port()), rest.clone()]).await?;
    answers(&case, "good.org", port, 200).await?;
    let condition = async |wanted: &str| case.condition("Gateway", "gw", "Programmed", wanted).await;
    condition("False").await?;
    case.condition("SecurityPolicy", "p", "Accepted", "True").await?;
    assert_eq!(get("good.org", port).send().await?.status, 200);
    // Whoever else is refused meanwhile is found as ever.
    for name in ["one", "two"] {
        case.write(name, &(by_expression(name, "/(ab){2000}") + &plain(&format!("beside-{name}"))))?;
        answers(&case, &format!("beside-{name}.org"), port, 200).await?;
        case.condition("HTTPRoute", name, "Accepted", "False").await?;
    }
    case.write("main", &[class(), with(free_port()), rest].concat())?;
    condition("True").await?;
    assert_eq!(get("good.org", port).send().await?.status, 200);
    Ok(())
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

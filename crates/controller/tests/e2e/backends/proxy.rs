//! EnvoyProxy: families of addresses, one Envoy for several Gateways, its threads, and its bootstrap.

use serde_json::Value;
use tokio::net::TcpStream;

use super::*;
use crate::harness::free_port;
use crate::objects::{USES_PROXY, backend_at, class, gateway_with, http_route, proxy, to_backend};

/// A case with a Gateway `gw` that uses an EnvoyProxy, and an echo behind it.
async fn with_proxy(fields: &str) -> Result<(Case, Echo, u16)> {
    let (echo, port) = (echo("echo").await?, free_port());
    let case = Case::start(&[
        class(),
        gateway_with("gw", &[listener("http", "HTTP", port, "")], USES_PROXY),
        proxy(fields),
        backend_at("echo", echo.address(), "") + &http_route("r", "{name: gw}", &[], &to_backend("echo", "")),
    ])
    .await?;
    Ok((case, echo, port))
}

/// What Envoy was started with, as it shows it.
async fn bootstrap(case: &Case) -> Result<String> {
    let dump: Value = serde_json::from_str(&case.envoy("default/gw", "/config_dump").await?)?;
    let mut all = dump["configs"].as_array().into_iter().flatten().map(|config| &config["bootstrap"]);
    Ok(all.find(|found| !found.is_null()).context("no bootstrap")?.to_string())
}

async fn is_open(host: &str, port: u16) -> bool {
    TcpStream::connect((host, port)).await.is_ok()
}

#[tokio::test]
async fn ip_family_of_listeners() -> Result<()> {
    for (family, four, six) in [("IPv4", true, false), ("IPv6", false, true), ("DualStack", true, true)] {
        let (case, _echo, port) = with_proxy(&format!("  ipFamily: {family}\n")).await?;
        let host = if four { "127.0.0.1" } else { "::1" };
        case.until("a listener", async || Ok(is_open(host, port).await)).await?;
        assert_eq!((is_open("127.0.0.1", port).await, is_open("::1", port).await), (four, six), "{family}");
        let addresses = [("127.0.0.1", four), ("[::1]", six)].into_iter().filter(|(_, open)| *open);
        for (address, _) in addresses {
            let request = Request::get(&format!("http://{address}:{port}/"));
            // IPv6-only Envoys reach the back end by an IPv4 address all the same: it has no other.
            answers(&case, &request, 200).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn merged_gateways_share_one_envoy() -> Result<()> {
    let (echo, one, two) = (echo("echo").await?, free_port(), free_port());
    let class = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\nspec:\n  \
                 controllerName: gateway.envoyproxy.io/gatewayclass-controller\n  \
                 parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: proxy, namespace: default}\n";
    let case = Case::start(&[
        class.to_owned(),
        proxy("  mergeGateways: true\n"),
        gateway_with("a", &[listener("http", "HTTP", one, ", hostname: a.org")], ""),
        gateway_with("b", &[listener("http", "HTTP", one, ", hostname: b.org"), listener("own", "HTTP", two, "")], ""),
        backend_at("echo", echo.address(), ""),
        http_route("a", "{name: a}", &["a.org"], &to_backend("echo", "")),
        http_route("b", "{name: b}", &["b.org"], &to_backend("echo", "")),
    ])
    .await?;
    for (host, port) in [("a.org", one), ("b.org", one), ("b.org", two)] {
        answers(&case, &get(host, port), 200).await?;
    }
    answers(&case, &get("a.org", two), 404).await?;
    let envoys = case.ask("/api/envoys").await?;
    let processes: Vec<_> = envoys["processes"].as_object().into_iter().flatten().map(|(name, _)| name).collect();
    assert_eq!(processes, ["eg"]);
    for gateway in ["a", "b"] {
        case.programmed(gateway).await?;
    }
    Ok(())
}

#[tokio::test]
async fn concurrency_is_the_number_of_threads() -> Result<()> {
    let (case, _echo, port) = with_proxy("  concurrency: 3\n").await?;
    answers(&case, &get("any.org", port), 200).await?;
    let info: Value = serde_json::from_str(&case.envoy("default/gw", "/server_info").await?)?;
    assert_eq!(info["command_line_options"]["concurrency"], 3);
    Ok(())
}

#[tokio::test]
async fn bootstrap_merged_and_patched() -> Result<()> {
    let merge = "  bootstrap:\n    type: Merge\n    value: |\n      stats_config: {stats_tags: [{tag_name: house, \
        fixed_value: e2e}]}\n";
    let (case, _echo, port) = with_proxy(merge).await?;
    answers(&case, &get("any.org", port), 200).await?;
    let dump = bootstrap(&case).await?;
    assert!(dump.contains(r#""tag_name":"house""#) && dump.contains("dynamic_resources"), "{dump}");
    // A change of the bootstrap starts Envoy anew.
    let patch = "  bootstrap:\n    type: JSONPatch\n    jsonPatches:\n    - {op: add, path: /node/metadata, \
        value: {house: patched}}\n";
    let main = std::fs::read_to_string(case.file("main"))?.replace(merge, patch);
    case.write("main", &main)?;
    case.until("the patch", async || Ok(bootstrap(&case).await?.contains(r#""house":"patched""#))).await?;
    answers(&case, &get("any.org", port), 200).await?;
    assert!(!bootstrap(&case).await?.contains("stats_tags"));
    Ok(())
}

#[tokio::test]
async fn bootstrap_that_does_not_fit_is_told_and_disturbs_nothing() -> Result<()> {
    let (case, _echo, port) = with_proxy("  concurrency: 1\n").await?;
    answers(&case, &get("any.org", port), 200).await?;
    let good = std::fs::read_to_string(case.file("main"))?;
    let patch = "  bootstrap:\n    type: JSONPatch\n    jsonPatches: [{op: remove, path: /nothing}]\n";
    case.write("main", &good.replace("  concurrency: 1\n", patch))?;
    case.reason("Gateway", "gw", "Accepted", "InvalidParameters").await?;
    answers(&case, &get("any.org", port), 200).await?;
    case.write("main", &good)?;
    case.condition("Gateway", "gw", "Accepted", "True").await?;
    answers(&case, &get("any.org", port), 200).await
}

#[tokio::test]
async fn bootstrap_replaced() -> Result<()> {
    let (case, _echo, port) = with_proxy("  concurrency: 1\n").await?;
    answers(&case, &get("any.org", port), 200).await?;
    let ours = std::fs::read_to_string(case.path().join("run/envoys/default_gw/bootstrap.json"))?;
    let mut theirs: Value = serde_json::from_str(&ours)?;
    theirs["node"]["metadata"] = serde_json::json!({"house": "replaced"});
    let fields = format!("  bootstrap:\n    type: Replace\n    value: |\n      {theirs}\n");
    let main = std::fs::read_to_string(case.file("main"))?.replace("  concurrency: 1\n", &fields);
    case.write("main", &main)?;
    case.until("the new one", async || Ok(bootstrap(&case).await?.contains("replaced"))).await?;
    answers(&case, &get("any.org", port), 200).await
}

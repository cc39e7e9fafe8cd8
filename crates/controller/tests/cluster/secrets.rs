//! Secrets that are planted are found nowhere but in Secrets and in Envoys.

use anyhow::{Context as _, Result};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use testbed::{pki::Ca, planted::forms};

use super::{
    installed::{Site, get},
    world::{CONTROLLERS, ENVOYS, is, list},
};

const CANARY: &str = "canary-3e9f51";

fn secret(name: &str, data: &[(&str, &str)]) -> Value {
    let data: serde_json::Map<_, _> =
        data.iter().map(|(key, text)| ((*key).to_owned(), json!(BASE64_STANDARD.encode(text)))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "data": data})
}

/// Secrets in use, secrets that are broken, and one that nobody refers to.
fn objects(certificate: &str, key: &str) -> Vec<Value> {
    let https = |name: &str, port: u16, secret: &str| {
        json!({"name": name, "port": port, "protocol": "HTTPS", "hostname": format!("{name}.example.com"),
            "tls": {"certificateRefs": [{"name": secret}]}})
    };
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "eg", "namespace": "default"},
        "spec": {"gatewayClassName": "eg", "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP"},
            https("good", 443, "good"), https("bad", 444, "bad"), https("half", 445, "half")]}});
    let inject = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter",
        "metadata": {"name": "inject", "namespace": "default"},
        "spec": {"credentialInjection": {"credential": {"valueRef": {"group": "", "kind": "Secret", "name": "token"}}}}});
    let mut route = super::world::route("secret");
    route["spec"]["rules"][0]["filters"] = json!([{"type": "ExtensionRef",
        "extensionRef": {"group": "gateway.envoyproxy.io", "kind": "HTTPRouteFilter", "name": "inject"}}]);
    vec![
        secret("good", &[("tls.crt", certificate), ("tls.key", key)]),
        secret(
            "bad",
            &[("tls.crt", &format!("{CANARY}-1")), ("tls.key", &format!("-----BEGIN PRIVATE KEY-----\n{CANARY}-2"))],
        ),
        secret("half", &[("tls.crt", certificate), ("tls.key", &format!("{CANARY}-3"))]),
        secret("token", &[("credential", &format!("Bearer {CANARY}-4"))]),
        secret("unused", &[("key", &format!("{CANARY}-5"))]),
        gateway,
        inject,
        route,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_secret_is_found_nowhere() -> Result<()> {
    let (site, address) = Site::serving().await?;
    let identity = Ca::new("secrets")?.server(&["good.example.com"])?;
    site.cluster.apply(&list(&objects(&identity.cert, &identity.key))).await?;
    site.answers(address, "secret.example.com", 200).await?;
    site.until("httproute", "secret", "to be told", |route| is(route, "ResolvedRefs", "True")).await?;
    let seen = get(address, "secret.example.com").send().await?.text();
    assert!(seen.contains(&format!("{CANARY}-4")), "the application gets it: {seen}");
    let is_told = |gateway: &Value| gateway["status"].to_string().contains("InvalidCertificateRef");
    site.until("gateway", "eg", "to tell of what is broken", is_told).await?;

    let mut shown =
        vec![("logs of controllers", site.logs(CONTROLLERS).await?), ("logs of Envoys", site.logs(ENVOYS).await?)];
    let kinds = site.kinds(&["secrets"]).await?;
    let objects =
        site.cluster.kubectl(&["get", &kinds, "--all-namespaces", "--output=json", "--show-managed-fields"]).await?;
    assert!(objects.contains("InvalidCertificateRef"), "statuses are among them");
    shown.push(("objects", objects));
    shown.push(("events", site.cluster.kubectl(&["get", "events", "--all-namespaces", "--output=json"]).await?));
    let pods = site.pods(CONTROLLERS).await?;
    let pod = pods.first().context("there is a controller")?;
    for page in
        ["config_dump", "config", "api/resources", "api/problems", "api/gateways", "api/envoys", "metrics", "readyz"]
    {
        shown.push((page, site.page(pod, 19000, &format!("/{page}")).await?));
    }
    for pod in &site.pods(ENVOYS).await? {
        shown.push(("an Envoy's config_dump", site.page(pod, 19000, "/config_dump?include_eds").await?));
    }
    let secrets = (1..=5).map(|number| format!("{CANARY}-{number}"));
    let key = identity.key.lines().nth(1).context("a key has lines")?.to_owned();
    let mut hits = Vec::new();
    for secret in secrets.chain([key]) {
        for (place, text) in &shown {
            hits.extend(
                forms(&secret).iter().filter(|form| text.contains(*form)).map(|form| format!("{form} in {place}")),
            );
        }
    }
    let looked: usize = shown.iter().map(|(_, text)| text.len()).sum();
    println!("{} texts of {looked} bytes: hits {}", shown.len(), hits.len());
    assert_eq!(hits, Vec::<String>::new());
    site.cluster.stop().await
}

//! Limits from a policy to a refused request: the real rate limit service, told by the controller, asked by Envoy.

use anyhow::Result;
use testbed::process::{Process, Spec};

use crate::harness::{Case, free_port, local};
use crate::objects::{gateway, listener};
use crate::scene::{Scene, http_route};

/// So many requests a year for all, and for each value of `x-user`.
fn limits(all: u32, each_user: u32) -> String {
    format!(
        "apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {{name: limits, namespace: default}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}}]
  rateLimit:
    type: Global
    global:
      rules:
      - {{limit: {{requests: {all}, unit: Year}}, clientSelectors: [{{path: {{value: /all}}}}]}}
      - {{limit: {{requests: {each_user}, unit: Year}}, clientSelectors: [{{headers: [{{name: x-user, type: Distinct}}]}}]}}
"
    )
}

/// The service, which counts in its own memory, told by the controller of a case.
pub(crate) fn service(case: &Case, port: u16) -> Result<Process> {
    let file = case.path().join("ratelimit.yaml");
    let socket = case.path().join("run/ratelimit.sock");
    let settings = format!(
        "grpc: {{address: '{}'}}\nhttp: {{address: '127.0.0.1:0'}}\nadmin: {{address: '127.0.0.1:0'}}\n\
         rules: {{xds: {{address: 'unix:{}'}}}}\nstore: {{memory: {{}}}}\n",
        local(port),
        socket.display()
    );
    std::fs::write(&file, settings)?;
    Spec::new(testbed::binary::binary("ratelimit", "portcullis-ratelimit")?).arg("--config-path").arg(file).start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_limits_requests_until_it_is_gone() -> Result<()> {
    let port = free_port();
    let config = format!("rateLimit: {{service: {{host: 127.0.0.1, port: {port}}}, timeout: 5s, failClosed: true}}\n");
    let gateway = gateway(&[listener("http", "HTTP", free_port(), "")]);
    let route = http_route("r", "rules: [{backendRefs: [{name: a, port: 80}]}]");
    let scene = Scene::configured(&config, &gateway, &["a"], &route).await?;
    scene.case.write("limits", &limits(3, 2))?;
    scene.case.condition("BackendTrafficPolicy", "limits", "Accepted", "True").await?;
    scene.case.programmed("gw").await?;
    let user = |name: &str| scene.get("h/").header("x-user", name);
    // Nobody counts yet, nobody passes.
    scene.until_of(user("first"), "500").await?;
    let _service = service(&scene.case, port)?;
    scene.until_of(user("first"), "429").await?;

    for name in ["ann", "bob"] {
        for wanted in ["a", "a", "429", "429"] {
            scene.expect_of(user(name), wanted).await?;
        }
    }
    for wanted in ["a", "a", "a", "429"] {
        scene.expect(&[("h/all", wanted)]).await?;
    }
    // What no rule is about is not counted.
    assert_eq!(scene.count("h/other", 5).await?.into_iter().collect::<Vec<_>>(), [("a".to_owned(), 5)]);

    // Neither the service nor Envoy starts anew: what was counted goes on counting.
    scene.case.write("limits", &limits(3, 1_000_000))?;
    scene.until_of(user("ann"), "a").await?;
    scene.expect(&[("h/all", "429")]).await?;
    scene.case.write("limits", &limits(3, 1))?;
    scene.until_of(user("ann"), "429").await?;
    scene.case.remove("limits")?;
    scene.until_of(user("ann"), "a").await?;
    scene.until("h/all", "a").await
}

/// A bucket of three is another thing than a window of one, so what is counted shows that the service was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn annotations_of_a_policy_say_how_to_count() -> Result<()> {
    let port = free_port();
    let config = format!("rateLimit: {{service: {{host: 127.0.0.1, port: {port}}}, timeout: 5s, failClosed: true}}\n");
    let gateway = gateway(&[listener("http", "HTTP", free_port(), "")]);
    let route = http_route("r", "rules: [{backendRefs: [{name: a, port: 80}]}]");
    let annotations = "annotations: {portcullis.dev/rate-limit-algorithm: token_bucket, portcullis.dev/rate-limit-burst: '3', \
         portcullis.dev/rate-limit-hash-values: 'true'}, namespace: default";
    let limits = limits(0, 1).replace("namespace: default", annotations);
    let scene = Scene::configured(&config, &gateway, &["a"], &route).await?;
    let _service = service(&scene.case, port)?;
    scene.case.write("limits", &limits)?;
    scene.case.condition("BackendTrafficPolicy", "limits", "Accepted", "True").await?;
    scene.case.programmed("gw").await?;
    scene.until("h/all", "429").await?;
    for wanted in ["a", "a", "a", "429"] {
        scene.expect_of(scene.get("h/").header("x-user", "ann"), wanted).await?;
    }
    // What nobody can count is told, and limits nothing.
    scene.case.write("limits", &limits.replace("token_bucket", "leaky_bucket"))?;
    scene.case.condition("BackendTrafficPolicy", "limits", "Accepted", "False").await?;
    scene.until("h/all", "a").await
}

//! Services that decide about requests: the filter ExternalAuth, SecurityPolicy, EnvoyExtensionPolicy, BackendTrafficPolicy.

use anyhow::Result;
use testbed::echo::Echo;

use crate::doubles::{Double, Limiter};
use crate::harness::free_port;
use crate::objects::{gateway, listener, service_with, slice};
use crate::scene::{Scene, http_route};

/// A Service `svc` that speaks gRPC, at this address.
fn grpc_service(address: std::net::SocketAddr) -> String {
    service_with("default", "svc", "{name: p, port: 80, appProtocol: kubernetes.io/h2c}", "")
        + &slice("default", "svc", 0, address, "ready: true")
}

fn policy(kind: &str, name: &str, target: &str, fields: &str) -> String {
    format!(
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: default}}\n\
         spec:\n  targetRefs: [{{group: gateway.networking.k8s.io, {target}}}]\n  {fields}\n"
    )
}

/// A route `r` for all hosts and a route `free` for one.
fn routes() -> String {
    http_route("r", "rules: [{backendRefs: [{name: a, port: 80}]}]")
        + &http_route("free", "hostnames: [free.com]\n  rules: [{backendRefs: [{name: a, port: 80}]}]")
}

const TO_SERVICE: &str = "backendRefs: [{name: svc, port: 80}]";

#[tokio::test]
async fn http_route_external_auth_by_grpc() -> Result<()> {
    let double = Double::authorization()?;
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /closed}}]
    filters: [{type: ExternalAuth, externalAuth: {protocol: GRPC, backendRef: {name: svc, port: 80}, grpc: {}}}]
    backendRefs: [{name: a, port: 80}]
  - backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &(route + &grpc_service(double.address))).await?;
    let answer = scene.ask("h/closed").await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (401, "not you"));
    assert_eq!(answer.header("www-authenticate"), Some("Double"));
    let seen = scene.seen(scene.get("h/closed").header("x-allow", "yes").header("x-user", "mallory")).await?;
    assert_eq!(seen.all("x-user"), ["alice"]);
    scene.expect(&[("h/", "a")]).await?;
    // Nobody can decide, nobody passes.
    double.stop();
    scene.until_of(scene.get("h/closed").header("x-allow", "yes"), "403").await
}

#[tokio::test]
async fn http_route_external_auth_by_http() -> Result<()> {
    let double = Echo::http().name("auth").spawn().await?;
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /closed}}]
    filters:
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        backendRef: {name: auth, port: 80}
        http: {path: /check, allowedHeaders: [x-asked], allowedResponseHeaders: [x-user]}
    backendRefs: [{name: a, port: 80}]",
    );
    let scene =
        Scene::start(&["a"], &(route + &crate::objects::service("default", "auth", &[double.address()]))).await?;
    let request = scene.get("h/closed/x").header("x-asked", "1").header("x-hidden", "1");
    scene.expect_of(request, "a").await?;
    let asked = &double.requests()[0];
    assert_eq!(asked.path, "/check/closed/x");
    assert_eq!((asked.header("x-asked"), asked.header("x-hidden")), (Some("1"), None));
    double.answer_with(Some(401));
    scene.expect(&[("h/closed/x", "401")]).await?;
    assert_eq!(scene.backend("a").count(), 1);
    Ok(())
}

#[tokio::test]
async fn http_route_external_auth_by_http_hands_on_all_headers() -> Result<()> {
    let double = Echo::http().name("auth").spawn().await?;
    let route = http_route(
        "r",
        "rules:
  - filters:
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        backendRef: {name: auth, port: 80}
        http: {allowedHeaders: [x-echo-set-header]}
    backendRefs: [{name: a, port: 80}]",
    );
    let service = crate::objects::service("default", "auth", &[double.address()]);
    let scene = Scene::start(&["a"], &(route + &service)).await?;
    let request = scene.request(http::Method::POST, "h/").body("some text");
    let request = request.header("x-echo-set-header", "x-user: alice, host: evil.org, trailer: x-t");
    let seen = scene.seen(request).await?;
    assert_eq!((seen.header("x-user"), seen.host.as_str()), (Some("alice"), "h"));
    // What frames the service's answer says nothing of the request.
    assert_eq!(
        (seen.body.as_str(), seen.header("content-length"), seen.header("trailer")),
        ("some text", Some("9"), None)
    );
    Ok(())
}

#[tokio::test]
async fn security_policy_ext_auth_by_grpc() -> Result<()> {
    let double = Double::authorization()?;
    let context = "contextExtensions: [{name: role, type: Value, value: reader}]";
    let closed = policy(
        "SecurityPolicy",
        "p",
        "kind: HTTPRoute, name: r",
        &format!("extAuth: {{grpc: {{{TO_SERVICE}}}, {context}, bodyToExtAuth: {{maxRequestBytes: 100}}}}"),
    );
    let scene = Scene::start(&["a"], &(routes() + &closed + &grpc_service(double.address))).await?;
    scene.case.condition("SecurityPolicy", "p", "Accepted", "True").await?;
    scene.expect(&[("h/", "401"), ("free.com/", "a")]).await?;
    let request = scene.request(http::Method::POST, "h/").header("x-allow", "yes").body("text");
    let seen = scene.seen(request.clone()).await?;
    assert_eq!((seen.header("x-user"), seen.header("x-role")), (Some("alice"), Some("reader")));
    assert_eq!((seen.header("x-seen-body"), seen.body.as_str()), (Some("text"), "text"));
    scene.expect_of(request.body("x".repeat(200)), "413").await?;
    // Fail closed, then open, then without a policy.
    double.stop();
    scene.until_of(scene.get("h/").header("x-allow", "yes"), "403").await?;
    let text = std::fs::read_to_string(scene.case.file("main"))?;
    scene.case.write("main", &text.replace("extAuth: {", "extAuth: {failOpen: true, "))?;
    scene.until("h/", "a").await?;
    scene.case.write("main", &text.replace(&closed, ""))?;
    scene.until("h/", "a").await
}

#[tokio::test]
async fn security_policy_ext_auth_by_http_of_a_gateway() -> Result<()> {
    let double = Echo::http().name("auth").spawn().await?;
    let closed = policy(
        "SecurityPolicy",
        "p",
        "kind: Gateway, name: gw",
        "extAuth: {headersToExtAuth: [x-asked], http: {backendRefs: [{name: auth, port: 80}], path: /check, \
         headersToBackend: [x-user]}}",
    );
    let service = crate::objects::service("default", "auth", &[double.address()]);
    let scene = Scene::start(&["a"], &(routes() + &closed + &service)).await?;
    scene.expect_of(scene.get("free.com/y").header("x-asked", "1"), "a").await?;
    assert_eq!((double.requests()[0].path.as_str(), double.requests()[0].header("x-asked")), ("/check/y", Some("1")));
    double.answer_with(Some(403));
    scene.expect(&[("h/", "403"), ("free.com/", "403")]).await?;
    // A route's own policy stands in the place of the Gateway's.
    let own = policy(
        "SecurityPolicy",
        "own",
        "kind: HTTPRoute, name: free",
        "extAuth: {failOpen: true, grpc: {backendRefs: [{name: a, port: 80}]}}",
    );
    scene.case.write("own", &own)?;
    scene.until("free.com/", "a").await?;
    scene.expect(&[("h/", "403")]).await?;
    scene.case.condition("SecurityPolicy", "p", "Overridden", "True").await
}

#[tokio::test]
async fn security_policy_ext_auth_without_its_service_lets_nobody_pass() -> Result<()> {
    let closed =
        policy("SecurityPolicy", "p", "kind: HTTPRoute, name: r", &format!("extAuth: {{grpc: {{{TO_SERVICE}}}}}"));
    let scene = Scene::start(&["a"], &(routes() + &closed)).await?;
    scene.expect(&[("h/", "500"), ("free.com/", "a")]).await?;
    scene.case.condition("SecurityPolicy", "p", "Accepted", "False").await
}

#[tokio::test]
async fn envoy_extension_policy_ext_proc() -> Result<()> {
    let double = Double::processor()?;
    let processed = policy(
        "EnvoyExtensionPolicy",
        "p",
        "kind: HTTPRoute, name: r",
        &format!("extProc: [{{{TO_SERVICE}, messageTimeout: 5s, processingMode: {{request: {{}}, response: {{}}}}}}]"),
    );
    let scene = Scene::start(&["a"], &(routes() + &processed + &grpc_service(double.address))).await?;
    scene.case.condition("EnvoyExtensionPolicy", "p", "Accepted", "True").await?;
    let answer = scene.ask("h/").await?;
    assert_eq!(answer.header("y-processed"), Some("default/gw"));
    assert_eq!(answer.echoed()?.header("x-processed"), Some("default/gw"));
    let answer = scene.get("h/").header("x-deny", "1").send().await?;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (403, "processed away"));
    assert_eq!(scene.seen(scene.get("free.com/")).await?.header("x-processed"), None);
    // Fail closed, then open.
    double.stop();
    scene.until("h/", "500").await?;
    scene.expect(&[("free.com/", "a")]).await?;
    let text = std::fs::read_to_string(scene.case.file("main"))?;
    scene.case.write("main", &text.replace("extProc: [{", "extProc: [{failOpen: true, "))?;
    scene.until("h/", "a").await
}

#[tokio::test]
async fn backend_traffic_policy_global_rate_limit() -> Result<()> {
    let limiter = Limiter::new(3);
    let double = Double::limiter(&limiter)?;
    let limited = policy(
        "BackendTrafficPolicy",
        "p",
        "kind: HTTPRoute, name: r",
        "rateLimit:
    type: Global
    global:
      rules:
      - limit: {requests: 3, unit: Hour}
        clientSelectors: [{headers: [{name: x-plan, value: free}]}]
      - limit: {requests: 3, unit: Hour}
        clientSelectors: [{headers: [{name: x-client, type: Distinct}]}]",
    );
    let config = format!(
        "rateLimit: {{service: {{host: 127.0.0.1, port: {}}}, timeout: 5s, failClosed: true}}\n",
        double.address.port()
    );
    let gateway = gateway(&[listener("http", "HTTP", free_port(), "")]);
    let scene = Scene::configured(&config, &gateway, &["a"], &(routes() + &limited)).await?;
    scene.case.condition("BackendTrafficPolicy", "p", "Accepted", "True").await?;
    let free = || scene.get("h/").header("x-plan", "free");
    for wanted in ["a", "a", "a", "429", "429"] {
        scene.expect_of(free(), wanted).await?;
    }
    for client in ["one", "two"] {
        for wanted in ["a", "a", "a", "429"] {
            scene.expect_of(scene.get("h/").header("x-client", client), wanted).await?;
        }
    }
    let asked = limiter.asked();
    assert!(
        asked.iter().all(|text| text.starts_with("default/gw: route=httproute/default/r/rule/0;rule=")),
        "{asked:?}"
    );
    assert!(asked[0].ends_with("rule=0"), "{asked:?}");
    assert!(asked.last().is_some_and(|text| text.ends_with("rule=1;header/x-client=two")), "{asked:?}");
    // What no rule is about is not even asked for.
    scene.expect(&[("h/", "a"), ("free.com/", "a")]).await?;
    assert_eq!(limiter.asked().len(), 13);
    double.stop();
    scene.until_of(free(), "500").await
}

/// Asks without a pause, by a connection that is kept or by a new one for each request; ends with an answer other than 401.
async fn intrude(request: testbed::client::Request, keep: bool) -> Result<()> {
    loop {
        let mut connection = testbed::client::Connection::open(&request).await?;
        // A kept connection ends when Envoy says so.
        while let Ok(answer) = connection.send(&request).await {
            anyhow::ensure!(answer.status == 401, "let through: {}", answer.status);
            if !keep {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_takes_the_place_of_another_without_a_gap() -> Result<()> {
    let double = Double::authorization()?;
    let closed = |name: &str| {
        let context = format!("contextExtensions: [{{name: role, type: Value, value: {name}}}]");
        policy(
            "SecurityPolicy",
            name,
            "kind: HTTPRoute, name: r",
            &format!("extAuth: {{grpc: {{{TO_SERVICE}}}, {context}}}"),
        )
    };
    let scene = Scene::start(&["a"], &(routes() + &grpc_service(double.address))).await?;
    scene.case.write("policy", &closed("first"))?;
    scene.until("h/", "401").await?;
    let intruders = [true, true, false].map(|keep| tokio::spawn(intrude(scene.get("h/"), keep)));
    for turn in 0..15 {
        let name = format!("p{turn}");
        scene.case.write("policy", &closed(&name))?;
        let allowed = scene.get("h/").header("x-allow", "yes");
        let is_in_force = async || Ok(allowed.send().await?.echoed()?.header("x-role") == Some(name.as_str()));
        scene.case.until("the next policy", is_in_force).await?;
    }
    for intruder in intruders {
        anyhow::ensure!(!intruder.is_finished(), "{:?}", intruder.await?);
        intruder.abort();
    }
    Ok(())
}

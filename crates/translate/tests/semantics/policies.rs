//! Policies: precedence, conflict, merge, selectors, and what their status says.

use std::sync::Arc;

use api::{ObjectRef, Rejection};
use translate::Translator;

use crate::common::{BASE, conditions, options, problems, refuse, resources, status, translate};

const GATEWAY: &str = "
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: c, listeners: [
  {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}, {name: other, port: 81, protocol: HTTP}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: auth}, spec: {ports: [{port: 9000}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, labels: {team: a}}, spec: {
  parentRefs: [{name: g, sectionName: http}], rules: [
    {name: one, matches: [{path: {value: /one}}], backendRefs: [{name: s, port: 80}]},
    {name: two, matches: [{path: {value: /two}}], backendRefs: [{name: s, port: 80}]}]}}
---
";

/// A SecurityPolicy that tells itself apart by its context.
fn auth(name: &str, target: &str) -> String {
    format!(
        "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: SecurityPolicy, metadata: {{name: {name}}}, spec: {{{target},
            extAuth: {{grpc: {{backendRefs: [{{name: auth, port: 9000}}]}}}}}}}}\n---\n"
    )
}

fn named(kind: &str, name: &str, section: &str) -> String {
    format!("targetRefs: [{{group: gateway.networking.k8s.io, kind: {kind}, name: {name}{section}}}]")
}

/// For each rule of the route, whose external authorization it has.
fn holders(yaml: &str) -> Vec<String> {
    let translation = translate(yaml);
    let listener = &translation.gateways[0].listeners[0];
    let ir::Transport::Tcp(chains) = &listener.transport else { panic!("a TCP listener") };
    let ir::Protocol::Http(http) = &chains[0].protocol else { panic!("an HTTP chain") };
    let routes = http.routes.hosts.iter().flat_map(|host| &host.routes);
    let holder =
        |route: &ir::Route| route.features.ext_auth.as_ref().map_or("-".to_owned(), |auth| auth.source.name.clone());
    routes.map(|route| format!("{} {}", route.source.rule, holder(route))).collect()
}

#[test]
fn the_most_specific_target_has_precedence() {
    let mut yaml = GATEWAY.to_owned();
    for (policy, target, expected) in [
        ("on-gateway", named("Gateway", "g", ""), ["0 on-gateway", "1 on-gateway"]),
        ("on-listener", named("Gateway", "g", ", sectionName: http"), ["0 on-listener", "1 on-listener"]),
        ("on-route", named("HTTPRoute", "r", ""), ["0 on-route", "1 on-route"]),
        ("on-rule", named("HTTPRoute", "r", ", sectionName: two"), ["0 on-route", "1 on-rule"]),
    ] {
        yaml.push_str(&auth(policy, &target));
        assert_eq!(holders(&yaml), expected, "{policy}");
    }
    let translation = translate(&yaml);
    let overridden = ["Accepted=True/Accepted", "Overridden=True/Overridden"];
    assert_eq!(conditions(&status(&translation, "SecurityPolicy", "on-gateway")), overridden);
    assert_eq!(conditions(&status(&translation, "SecurityPolicy", "on-rule")), ["Accepted=True/Accepted"]);
}

#[test]
fn another_listeners_policy_is_not_the_routes() {
    let yaml = [GATEWAY, &auth("p", &named("Gateway", "g", ", sectionName: other"))].concat();
    assert_eq!(holders(&yaml), ["0 -", "1 -"]);
}

#[test]
fn of_two_with_one_target_the_older_holds() {
    let target = named("HTTPRoute", "r", "");
    let yaml = [GATEWAY, &auth("b", &target), &auth("a", &target)].concat();
    assert_eq!(holders(&yaml), ["0 a", "1 a"]);
    assert_eq!(conditions(&status(&translate(&yaml), "SecurityPolicy", "b")), ["Accepted=False/Conflicted"]);

    let yaml = yaml.replace("{name: b}", "{name: b, creationTimestamp: '2020-01-01T00:00:00Z'}");
    let yaml = yaml.replace("{name: a}, spec", "{name: a, creationTimestamp: '2021-01-01T00:00:00Z'}, spec");
    assert_eq!(holders(&yaml), ["0 b", "1 b"]);
}

#[test]
fn a_selector_reaches_other_namespaces_only_with_a_grant() {
    let selector =
        |namespaces: &str| format!("targetSelectors: [{{kind: HTTPRoute, matchLabels: {{team: a}}{namespaces}}}]");
    assert_eq!(holders(&[GATEWAY, &auth("p", &selector(""))].concat()), ["0 p", "1 p"]);

    let foreign = auth("p", &selector(", namespaces: {from: All}")).replace("{name: p}", "{name: p, namespace: evil}");
    let service = "{apiVersion: v1, kind: Service, metadata: {name: auth, namespace: evil}, spec: {ports: [{port: 9000}]}}\n---\n";
    let yaml = [GATEWAY, service, &foreign].concat();
    assert_eq!(holders(&yaml), ["0 -", "1 -"]);
    let grant = "{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {name: x}, spec: {
        from: [{group: gateway.envoyproxy.io, kind: SecurityPolicy, namespace: evil}],
        to: [{group: gateway.networking.k8s.io, kind: HTTPRoute}]}}";
    assert_eq!(holders(&[&yaml, grant].concat()), ["0 p", "1 p"]);
}

#[test]
fn when_nobody_can_decide_nobody_passes() {
    let yaml = [GATEWAY, &auth("p", &named("HTTPRoute", "r", ""))]
        .concat()
        .replace("name: auth, port: 9000}]", "name: gone, port: 9000}]");
    let translation = translate(&yaml);
    assert_eq!(conditions(&status(&translation, "SecurityPolicy", "p")), ["Accepted=False/Invalid"]);
    assert_eq!(problems(&translation, "HTTPRoute", "r"), Vec::<String>::new());
    let ir::Transport::Tcp(chains) = &translation.gateways[0].listeners[0].transport else { panic!("a TCP listener") };
    let ir::Protocol::Http(http) = &chains[0].protocol else { panic!("an HTTP chain") };
    for route in &http.routes.hosts[0].routes {
        assert!(matches!(&*route.action, ir::Action::Respond(respond) if respond.status == 500), "{route:?}");
    }
}

#[test]
fn a_section_that_is_not_there_is_told() {
    let yaml = [GATEWAY, &auth("p", &named("HTTPRoute", "r", ", sectionName: nine"))].concat();
    assert_eq!(conditions(&status(&translate(&yaml), "SecurityPolicy", "p")), ["Accepted=False/TargetNotFound"]);
    assert_eq!(holders(&yaml), ["0 -", "1 -"]);
}

#[test]
fn a_merge_keeps_what_the_parent_says() {
    let yaml = format!(
        "{GATEWAY}{}{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: SecurityPolicy, metadata: {{name: child}}, spec: {{
            {}, mergeType: StrategicMerge, extAuth: {{failOpen: true}}}}}}",
        auth("parent", &named("Gateway", "g", "")),
        named("HTTPRoute", "r", "")
    );
    let translation = translate(&yaml);
    assert_eq!(conditions(&status(&translation, "SecurityPolicy", "child")), ["Accepted=True/Accepted"]);
    let ir::Transport::Tcp(chains) = &translation.gateways[0].listeners[0].transport else { panic!("a TCP listener") };
    let ir::Protocol::Http(http) = &chains[0].protocol else { panic!("an HTTP chain") };
    let merged = http.routes.hosts[0].routes[0].features.ext_auth.clone().expect("external authorization");
    assert!(merged.fail_open);
    assert!(matches!(&merged.service, ir::features::ExtAuthService::Grpc { .. }));
}

#[test]
fn limits_and_processors_arrive() {
    let yaml = format!(
        "{GATEWAY}
{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: BackendTrafficPolicy, metadata: {{name: p}}, spec: {{{0},
    rateLimit: {{type: Global, global: {{rules: [{{limit: {{requests: 3, unit: Hour}}}}]}}}}}}}}
---
{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyExtensionPolicy, metadata: {{name: p}}, spec: {{{0},
    extProc: [{{backendRefs: [{{name: auth, port: 9000}}]}}]}}}}",
        named("HTTPRoute", "r", "")
    );
    let translation = translate(&yaml);
    let gateway = &translation.gateways[0];
    assert_eq!(gateway.rate_limit_service.as_deref(), Some("rate-limit-service"));
    let ir::Transport::Tcp(chains) = &gateway.listeners[0].transport else { panic!("a TCP listener") };
    let ir::Protocol::Http(http) = &chains[0].protocol else { panic!("an HTTP chain") };
    let features = &http.routes.hosts[0].routes[0].features;
    assert_eq!(features.rate_limit.as_ref().map(|limit| &*limit.domain), Some("default/g"));
    assert_eq!(features.ext_proc[0].source.to_string(), "EnvoyExtensionPolicy default/p");
    assert!(gateway.clusters.keys().any(|name| name.starts_with("service/default/auth/9000")));
}

#[test]
fn nobody_passes_where_a_policy_was_refused() {
    let yaml = [GATEWAY, &auth("p", &named("HTTPRoute", "r", ""))].concat();
    let mut resources = resources(&format!("{BASE}{yaml}"));
    let policy = ObjectRef::new("gateway.envoyproxy.io", "SecurityPolicy", "default", "p");
    let rejection = Rejection { generation: 0, message: "no good".to_owned() };
    refuse(&mut resources, "default/g", &policy, rejection.clone());
    let translation = Translator::new(options()).translate(&resources);
    assert!(status(&translation, "SecurityPolicy", "p").to_string().contains("Envoy refused it: no good"));
    let answers = |route: &ir::Route| matches!(&*route.action, ir::Action::Respond(respond) if respond.status == 500);
    assert_eq!(translation.gateways[0].routes().filter(|route| answers(route)).count(), 2);

    // What the service refuses is its own affair: it goes on with what it had.
    let facts = Arc::make_mut(&mut resources.facts);
    facts.rejected.clear();
    facts.refused_logins.insert(policy, rejection);
    let translation = Translator::new(options()).translate(&resources);
    let status = status(&translation, "SecurityPolicy", "p").to_string();
    assert!(status.contains("the single sign-on service refused it: no good"), "{status}");
    assert!(!translation.gateways[0].routes().any(answers));
}

/// A Gateway and a route on it to these Services.
fn gateway_to(name: &str, services: &[&str]) -> String {
    let rules: Vec<_> = services.iter().map(|name| format!("{{backendRefs: [{{name: {name}, port: 443}}]}}")).collect();
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}}}, spec: {{gatewayClassName: c,
            listeners: [{{name: http, port: 80, protocol: HTTP}}]}}}}\n---\n\
         {{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}}}, spec: {{
            parentRefs: [{{name: {name}}}], rules: [{}]}}}}\n---\n",
        rules.join(", ")
    )
}

fn tls(name: &str, services: &[&str]) -> String {
    let targets: Vec<_> = services.iter().map(|name| format!("{{group: '', kind: Service, name: {name}}}")).collect();
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {{name: {name}}}, spec: {{
            targetRefs: [{}], validation: {{hostname: {name}.example.com, wellKnownCACertificates: System}}}}}}\n---\n",
        targets.join(", ")
    )
}

#[test]
fn a_tls_policy_is_refused_only_where_all_that_is_used_of_it_is_lost() {
    let services = ["web", "api", "cache", "db"].map(|name| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: [{{port: 443}}]}}}}\n---\n"
        )
    });
    let gateways =
        [("both", vec!["web", "api"]), ("lost", vec!["web"]), ("held", vec!["api"]), ("theirs", vec!["cache"])];
    let gateways = gateways.map(|(name, services)| gateway_to(name, &services));
    let policies = [tls("a", &["web", "cache", "web"]), tls("b", &["db"]), tls("c", &["web", "api", "db"])];
    let translation = translate(&[services.concat(), gateways.concat(), policies.concat()].concat());
    let said = |policy: &str| {
        let status = status(&translation, "BackendTLSPolicy", policy);
        let of_ancestor = |ancestor: &serde_json::Value| {
            let words = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let accepted = &ancestor["conditions"][0];
            let [status, reason, message] = ["status", "reason", "message"].map(|field| words(&accepted[field]));
            format!("{}: {status} {reason} {message}", words(&ancestor["ancestorRef"]["name"])).trim_end().to_owned()
        };
        let mut said: Vec<_> = status["ancestors"].as_array().into_iter().flatten().map(of_ancestor).collect();
        said.sort();
        said
    };
    assert_eq!(said("a"), ["both: True Accepted", "lost: True Accepted", "theirs: True Accepted"]);
    assert_eq!(
        said("c"),
        [
            "both: True Accepted BackendTLSPolicy a is older and holds for Service web",
            "held: True Accepted",
            "lost: False Conflicted BackendTLSPolicy a is older and holds for Service web",
        ]
    );
    assert!(said("b").is_empty(), "nobody uses what it holds for");
}

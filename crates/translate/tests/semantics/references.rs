//! References: every kind of them, within and across namespaces.

use crate::common::{BASE, options, problems, refuse, resources, status, translate};
use api::{ObjectRef, Rejection};
use translate::{Options, Translator};

const GATEWAY: &str = "
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: c, listeners: [
  {name: http, port: 80, protocol: HTTP}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: far, namespace: other}, spec: {ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: external}, spec: {type: ExternalName, externalName: x.org, ports: [{port: 80}]}}
---
";

fn route(backend: &str) -> String {
    format!(
        "{GATEWAY}{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r}}, spec: {{
            parentRefs: [{{name: g}}], rules: [{{backendRefs: [{backend}]}}]}}}}\n---\n"
    )
}

fn grant(from: &str, to: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1beta1, kind: ReferenceGrant, metadata: {{name: x, namespace: other}},
            spec: {{from: [{{group: gateway.networking.k8s.io, {from}}}], to: [{{group: '', {to}}}]}}}}"
    )
}

#[test]
fn a_back_end_that_does_not_resolve_says_why() {
    let reason = |backend: &str| problems(&translate(&route(backend)), "HTTPRoute", "r");
    assert_eq!(reason("{name: s, port: 80}"), Vec::<String>::new());
    assert_eq!(reason("{name: none, port: 80}"), ["ResolvedRefs=False/BackendNotFound"]);
    assert_eq!(reason("{name: s, port: 81}"), ["ResolvedRefs=False/BackendNotFound"]);
    assert_eq!(reason("{name: s, kind: Deployment, group: apps}"), ["ResolvedRefs=False/InvalidKind"]);
    assert_eq!(reason("{name: external, port: 80}"), ["ResolvedRefs=False/UnsupportedValue"]);
    assert_eq!(
        reason("{name: b, kind: Backend, group: gateway.envoyproxy.io}"),
        ["ResolvedRefs=False/BackendNotFound"]
    );
}

/// In a pod of its own only Envoy's admin interface listens at a loopback address.
#[test]
fn no_back_end_leads_into_envoys_own_pod() {
    let own = |end_point: &str, in_pod: bool| {
        let backend = format!(
            "{{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: Backend, metadata: {{name: b}}, spec: {{endpoints: [{end_point}]}}}}"
        );
        let yaml = route("{name: b, kind: Backend, group: gateway.envoyproxy.io}") + &backend;
        let translation =
            Translator::new(Options { in_pod, ..options() }).translate(&resources(&format!("{BASE}{yaml}")));
        [problems(&translation, "HTTPRoute", "r"), problems(&translation, "Backend", "b")].concat()
    };
    let ip = |address: &str| format!("{{ip: {{address: '{address}', port: 19000}}}}");
    let name = |name: &str| format!("{{fqdn: {{hostname: {name}, port: 19000}}}}");
    let inside = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"].map(ip);
    let inside = inside.into_iter().chain(["localhost", "LocalHost.", "a.localhost"].map(name));
    for end_point in inside {
        let refused = ["ResolvedRefs=False/UnsupportedValue", "Accepted=False/Invalid"];
        assert_eq!(own(&end_point, true), refused, "{end_point}");
        assert_eq!(own(&end_point, false), Vec::<String>::new(), "{end_point}");
    }
    for end_point in
        [ip("10.0.0.1"), ip("fd00::1"), name("localhost.example"), "{unix: {path: /run/x.sock}}".to_owned()]
    {
        assert_eq!(own(&end_point, true), Vec::<String>::new(), "{end_point}");
    }
}

#[test]
fn another_namespace_must_grant() {
    let yaml = route("{name: far, namespace: other, port: 80}");
    let reason = |grant: &str| problems(&translate(&format!("{yaml}{grant}")), "HTTPRoute", "r");
    let refused = ["ResolvedRefs=False/RefNotPermitted"];
    assert_eq!(reason(""), refused);
    assert_eq!(reason(&grant("kind: HTTPRoute, namespace: default", "kind: Service")), Vec::<String>::new());
    assert_eq!(reason(&grant("kind: HTTPRoute, namespace: default", "kind: Service, name: far")), Vec::<String>::new());
    assert_eq!(reason(&grant("kind: HTTPRoute, namespace: default", "kind: Service, name: near")), refused);
    assert_eq!(reason(&grant("kind: HTTPRoute, namespace: default", "kind: Secret")), refused);
    assert_eq!(reason(&grant("kind: GRPCRoute, namespace: default", "kind: Service")), refused);
    assert_eq!(reason(&grant("kind: HTTPRoute, namespace: elsewhere", "kind: Service")), refused);
}

#[test]
fn what_envoy_refused_is_left_out_until_it_changes() {
    let mut resources = resources(&format!("{BASE}{}", route("{name: s, port: 80}")));
    let rejection = |generation| Rejection { generation, message: "no good".to_owned() };
    let reference = ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "default", "r");
    let mut translator = Translator::new(options());
    assert_eq!(problems(&translator.translate(&resources), "HTTPRoute", "r"), Vec::<String>::new());

    refuse(&mut resources, "default/g", &reference, rejection(0));
    let translation = translator.translate(&resources);
    assert_eq!(problems(&translation, "HTTPRoute", "r"), ["Accepted=False/UnsupportedValue"]);
    assert!(status(&translation, "HTTPRoute", "r").to_string().contains("Envoy refused it: no good"));

    // A rejection of another generation says nothing about this one.
    refuse(&mut resources, "default/g", &reference, rejection(7));
    assert_eq!(problems(&translator.translate(&resources), "HTTPRoute", "r"), Vec::<String>::new());
}

/// For each gateway, by name: whether its only route answers 500.
fn fails(resources: &api::Resources) -> Vec<bool> {
    let translation = Translator::new(options()).translate(resources);
    let is_failure =
        |route: &ir::Route| matches!(&*route.action, ir::Action::Respond(respond) if respond.status == 500);
    translation.gateways.iter().map(|gateway| gateway.routes().all(is_failure)).collect()
}

#[test]
fn what_one_fleet_refused_is_left_out_of_that_one_only() {
    let more = "
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: h}, spec: {gatewayClassName: c, listeners: [
  {name: http, port: 80, protocol: HTTP}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p}, spec: {
  targetRefs: [{group: '', kind: Service, name: s}], validation: {hostname: s, wellKnownCACertificates: System}}}
---
{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: HTTPRouteFilter, metadata: {name: f}, spec: {
  urlRewrite: {path: {type: ReplaceRegexMatch, replaceRegexMatch: {pattern: /a, substitution: /b}}}}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {
  parentRefs: [{name: g}, {name: h}], rules: [{backendRefs: [{name: s, port: 80}], filters: [
    {type: ExtensionRef, extensionRef: {group: gateway.envoyproxy.io, kind: HTTPRouteFilter, name: f}}]}]}}
";
    let all = resources(&format!("{BASE}{GATEWAY}{more}"));
    assert_eq!(fails(&all), [false, false]);
    let kinds = [
        ("", "Service", "s"),
        ("gateway.networking.k8s.io", "BackendTLSPolicy", "p"),
        ("gateway.envoyproxy.io", "HTTPRouteFilter", "f"),
    ];
    for (group, kind, name) in kinds {
        let mut resources = all.clone();
        let reference = ObjectRef::new(group, kind, "default", name);
        refuse(&mut resources, "default/h", &reference, Rejection { generation: 0, message: "no good".to_owned() });
        assert_eq!(fails(&resources), [false, true], "{kind}");
        let translation = Translator::new(options()).translate(&resources);
        let teller = if kind == "BackendTLSPolicy" { (kind, name) } else { ("HTTPRoute", "r") };
        let status = status(&translation, teller.0, teller.1).to_string();
        assert_eq!(status.matches("Envoy refused it: no good").count(), 1, "{kind}: {status}");
    }
}

#[test]
fn a_cluster_knows_what_says_how_tls_is_spoken() {
    let policy = "
{apiVersion: gateway.networking.k8s.io/v1, kind: BackendTLSPolicy, metadata: {name: p}, spec: {
  targetRefs: [{group: '', kind: Service, name: s}], validation: {hostname: s, wellKnownCACertificates: System}}}
---
";
    let proxy = "{apiVersion: gateway.envoyproxy.io/v1alpha1, kind: EnvoyProxy, metadata: {name: e}, spec: {}}";
    let gateway = GATEWAY.replacen(
        "gatewayClassName: c,",
        "gatewayClassName: c, infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: e}},",
        1,
    );
    let route = route("{name: s, port: 80}").replace(GATEWAY, &gateway);
    let sources = |yaml: &str| {
        let translation = translate(yaml);
        let clusters = translation.gateways[0].clusters.values();
        let sources = clusters
            .filter(|cluster| cluster.name.starts_with("service/default/s/"))
            .map(|cluster| cluster.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        sources.collect::<Vec<_>>()
    };
    assert_eq!(sources(&format!("{route}{proxy}")), ["Service default/s"]);
    let all = "Service default/s, BackendTLSPolicy default/p, EnvoyProxy default/e";
    assert_eq!(sources(&format!("{route}{policy}{proxy}")), [all]);
}

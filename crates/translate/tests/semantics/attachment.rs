//! Which listeners take which routes, and what the routes' status says.

use crate::common::{hosts, problems, status, translate};

const GATEWAY: &str = "
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: g}, spec: {gatewayClassName: c, listeners: [
  {name: all, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}},
  {name: wild, port: 80, protocol: HTTP, hostname: '*.example.com', allowedRoutes: {namespaces: {from: All}}},
  {name: exact, port: 80, protocol: HTTP, hostname: a.example.com}]}}
---
";

fn route(name: &str, parent: &str, hostnames: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{{name}}}, spec: {{
            parentRefs: [{{name: g, namespace: default, {parent}}}], hostnames: [{hostnames}],
            rules: [{{backendRefs: [{{name: s, port: 80}}]}}]}}}}\n---\n"
    )
}

#[test]
fn each_host_belongs_to_the_most_specific_listener() {
    let yaml = [
        GATEWAY,
        &route("name: on-all", "sectionName: all", ""),
        &route("name: on-wild", "sectionName: wild", ""),
        // Asked for on the wildcard's listener, but a more specific listener has the host.
        &route("name: stray", "sectionName: wild", "a.example.com, b.example.com"),
    ]
    .concat();
    assert_eq!(
        hosts(&translate(&yaml)),
        [
            "http-80 *: httproute/default/on-all/rule/0/match/0",
            "http-80 *.example.com: httproute/default/on-wild/rule/0/match/0",
            "http-80 a.example.com:",
            "http-80 b.example.com: httproute/default/stray/rule/0/match/0",
        ]
    );
}

#[test]
fn what_is_not_taken_says_why() {
    let yaml = [
        GATEWAY,
        &route("name: section", "sectionName: nope", ""),
        &route("name: port", "port: 81", ""),
        &route("name: host", "sectionName: exact", "b.example.com"),
        &route("name: r, namespace: other", "sectionName: exact", ""),
    ]
    .concat();
    let translation = translate(&yaml);
    let reason = |name: &str| problems(&translation, "HTTPRoute", name);
    assert_eq!(reason("section"), ["Accepted=False/NoMatchingParent"]);
    assert_eq!(reason("port"), ["Accepted=False/NoMatchingParent"]);
    assert_eq!(reason("host"), ["Accepted=False/NoMatchingListenerHostname"]);
    let other = reason("other/r");
    assert!(other.contains(&"Accepted=False/NotAllowedByListeners".to_owned()), "{other:?}");
}

#[test]
fn a_parent_that_is_not_ours_is_not_spoken_of() {
    let translation = translate(&route("name: r", "", ""));
    assert_eq!(status(&translation, "HTTPRoute", "r"), serde_json::Value::Null);
}

#[test]
fn listeners_count_their_routes() {
    let yaml = [GATEWAY, &route("name: a", "", ""), &route("name: b", "sectionName: all", "")].concat();
    let gateway = status(&translate(&yaml), "Gateway", "g");
    let counts: Vec<_> = gateway["listeners"].as_array().unwrap().iter().map(|item| &item["attachedRoutes"]).collect();
    assert_eq!(counts, [2, 1, 1]);
}

#[test]
fn precedence_is_by_path_then_method_then_headers_then_query_then_age() {
    let rule = |matches: &str| format!("{{matches: [{matches}], backendRefs: [{{name: s, port: 80}}]}}");
    let rules = [
        rule("{path: {value: /}}"),
        rule("{path: {value: /a}, queryParams: [{name: q, value: v}]}"),
        rule("{path: {value: /a}, headers: [{name: h, value: v}]}"),
        rule("{path: {value: /a}, method: GET}"),
        rule("{path: {value: /a/longer}}"),
        rule("{path: {value: /a.*, type: RegularExpression}}"),
        rule("{path: {value: /a, type: Exact}}"),
    ];
    let yaml = format!(
        "{GATEWAY}{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r}}, spec: {{
            parentRefs: [{{name: g, sectionName: all}}], rules: [{}]}}}}",
        rules.join(", ")
    );
    let all = hosts(&translate(&yaml));
    let order: Vec<_> = all[0].split(": ").nth(1).unwrap().split(", ").map(|name| &name[25..26]).collect();
    assert_eq!(order, ["6", "5", "4", "3", "2", "1", "0"], "{all:?}");
}

#[test]
fn a_host_is_for_http_or_for_grpc_routes() {
    let yaml = format!(
        "{GATEWAY}{}{{apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, metadata: {{name: z}}, spec: {{
            parentRefs: [{{name: g, sectionName: all}}], hostnames: [x.org],
            rules: [{{backendRefs: [{{name: s, port: 80}}]}}]}}}}",
        route("name: a", "sectionName: all", "'*.org'")
    );
    let translation = translate(&yaml);
    assert_eq!(problems(&translation, "HTTPRoute", "a"), Vec::<String>::new());
    assert_eq!(problems(&translation, "GRPCRoute", "z"), ["Accepted=False/NotAllowedByListeners"]);
}

#[test]
fn a_rule_that_cannot_be_served_is_dropped_alone() {
    let yaml = format!(
        "{GATEWAY}{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r}}, spec: {{
            parentRefs: [{{name: g, sectionName: all}}], rules: [
            {{matches: [{{path: {{type: RegularExpression, value: '/(' }}}}], backendRefs: [{{name: s, port: 80}}]}},
            {{matches: [{{path: {{value: /good}}}}], backendRefs: [{{name: s, port: 80}}]}}]}}}}"
    );
    let translation = translate(&yaml);
    assert_eq!(problems(&translation, "HTTPRoute", "r"), ["PartiallyInvalid=True/UnsupportedValue"]);
    assert_eq!(hosts(&translation)[0], "http-80 *: httproute/default/r/rule/1/match/0");
}

#[test]
fn a_route_may_ask_for_the_default_gateways() {
    let yaml = format!(
        "{}{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r}}, spec: {{
            useDefaultGateways: All, rules: [{{backendRefs: [{{name: s, port: 80}}]}}]}}}}",
        GATEWAY.replace("gatewayClassName: c,", "gatewayClassName: c, defaultScope: All,")
    );
    let translation = translate(&yaml);
    assert_eq!(status(&translation, "HTTPRoute", "r")["parents"][0]["parentRef"]["name"], "g");
    assert_eq!(hosts(&translation)[0], "http-80 *: httproute/default/r/rule/0/match/0");
    assert_eq!(
        hosts(&translate(&yaml.replace("defaultScope: All", "defaultScope: None")))[0],
        "http-80 *.example.com:"
    );
}

#[test]
fn a_redirect_without_scheme_and_port_stays_on_the_listeners_port() {
    let redirect = |port: u16| {
        let yaml = format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: g}}, spec: {{gatewayClassName: c,
                listeners: [{{name: x, port: {port}, protocol: HTTP}}]}}}}\n---\n
            {{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r}}, spec: {{parentRefs: [{{name: g}}],
                rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{hostname: x.org}}}}]}}]}}}}"
        );
        let translation = translate(&yaml);
        let ir::Transport::Tcp(chains) = &translation.gateways[0].listeners[0].transport else { panic!("TCP") };
        let ir::Protocol::Http(http) = &chains[0].protocol else { panic!("HTTP") };
        let ir::Action::Redirect(redirect) = &*http.routes.hosts[0].routes[0].action else { panic!("a redirect") };
        redirect.port
    };
    assert_eq!(redirect(8080), Some(8080));
    assert_eq!(redirect(80), None);
}

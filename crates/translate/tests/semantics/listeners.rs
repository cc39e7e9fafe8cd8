//! Listeners: conditions, conflicts, TLS and listener sets.

use crate::common::{conditions, hosts, status, translate};

fn gateway(listeners: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: g}}, spec: {{gatewayClassName: c,
            allowedListeners: {{namespaces: {{from: All}}}}, listeners: [{listeners}]}}}}\n---\n"
    )
}

/// A Secret with a certificate and key for a name.
fn secret(name: &str, hosts: &[&str]) -> String {
    let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let pair = rcgen::generate_simple_self_signed(hosts).unwrap();
    let quoted = |text: String| serde_json::to_string(&text).unwrap();
    format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: {name}}}, stringData: {{tls.crt: {}, tls.key: {}}}}}\n---\n",
        quoted(pair.cert.pem()),
        quoted(pair.signing_key.serialize_pem())
    )
}

/// What is wrong with each listener: `name: conditions`.
fn wrong(yaml: &str, kind: &str, name: &str) -> Vec<String> {
    let status = status(&translate(yaml), kind, name);
    let listeners = status["listeners"].as_array().cloned().unwrap_or_default();
    let good = |item: &String| {
        [
            "Accepted=True/Accepted",
            "ResolvedRefs=True/ResolvedRefs",
            "Conflicted=False/NoConflicts",
            "Programmed=True/Programmed",
        ]
        .contains(&item.as_str())
    };
    let of_listener = |listener: &serde_json::Value| {
        let wrong: Vec<_> = conditions(listener).into_iter().filter(|item| !good(item)).collect();
        format!("{}: {}", listener["name"].as_str().unwrap(), wrong.join(" "))
    };
    listeners.iter().map(of_listener).collect()
}

#[test]
fn protocols_and_kinds_that_cannot_be_served() {
    let yaml = gateway(
        "{name: a, port: 1, protocol: QUIC}, {name: b, port: 2, protocol: HTTPS},
         {name: c, port: 3, protocol: HTTP, allowedRoutes: {kinds: [{kind: TCPRoute}, {kind: HTTPRoute}]}},
         {name: d, port: 4, protocol: HTTP, tls: {}}",
    );
    assert_eq!(
        wrong(&yaml, "Gateway", "g"),
        [
            "a: Accepted=False/UnsupportedProtocol Programmed=False/Invalid",
            "b: Accepted=False/UnsupportedValue Programmed=False/Invalid",
            "c: ResolvedRefs=False/InvalidRouteKinds",
            "d: Accepted=False/UnsupportedValue Programmed=False/Invalid",
        ]
    );
}

#[test]
fn listeners_in_conflict() {
    let yaml = gateway(
        "{name: a, port: 1, protocol: HTTP}, {name: b, port: 1, protocol: HTTP}, {name: c, port: 2, protocol: HTTP},
         {name: d, port: 2, protocol: TCP}, {name: e, port: 3, protocol: TCP}, {name: f, port: 3, protocol: UDP}",
    );
    let conflict = |reason: &str| format!("Accepted=False/{reason} Conflicted=True/{reason} Programmed=False/{reason}");
    assert_eq!(
        wrong(&yaml, "Gateway", "g"),
        [
            format!("a: {}", conflict("HostnameConflict")),
            format!("b: {}", conflict("HostnameConflict")),
            format!("c: {}", conflict("ProtocolConflict")),
            format!("d: {}", conflict("ProtocolConflict")),
            "e: ".to_owned(),
            "f: ".to_owned(),
        ]
    );
}

#[test]
fn certificates_that_do_not_resolve() {
    let tls = |name: &str| format!("tls: {{certificateRefs: [{{name: {name}}}]}}");
    let good = secret("good", &["a.org"]);
    let other = secret("other", &["b.org"]);
    let mixed = good.split("tls.key").next().unwrap().replace("name: good", "name: mixed")
        + "tls.key"
        + other.split("tls.key").nth(1).unwrap();
    let yaml = format!(
        "{good}{mixed}{}",
        gateway(&format!(
            "{{name: a, port: 1, protocol: HTTPS, {}}}, {{name: b, port: 2, protocol: HTTPS, {}}}, {{name: c, port: 3, \
             protocol: HTTPS, {}}}",
            tls("good"),
            tls("none"),
            tls("mixed")
        ))
    );
    let invalid = "ResolvedRefs=False/InvalidCertificateRef Programmed=False/Invalid";
    assert_eq!(wrong(&yaml, "Gateway", "g"), ["a: ".to_owned(), format!("b: {invalid}"), format!("c: {invalid}")]);
}

#[test]
fn a_host_of_another_https_listener_is_misdirected() {
    let tls = "tls: {certificateRefs: [{name: k}]}";
    let yaml = format!(
        "{}{}{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r}}, spec: {{
            parentRefs: [{{name: g}}], rules: [{{backendRefs: [{{name: s, port: 80}}]}}]}}}}",
        secret("k", &["*.org"]),
        gateway(&format!(
            "{{name: a, port: 443, protocol: HTTPS, hostname: a.org, {tls}}},
             {{name: w, port: 443, protocol: HTTPS, hostname: '*.org', {tls}}}"
        ))
    );
    let route = "httproute/default/r/rule/0/match/0";
    assert_eq!(
        hosts(&translate(&yaml)),
        [
            "default/g/a *.org: 421".to_owned(),
            format!("default/g/a a.org: {route}"),
            format!("default/g/w *.org: {route}"),
            "default/g/w a.org: 421".to_owned(),
        ]
    );
    let overlap = "OverlappingTLSConfig=True/OverlappingHostnames";
    assert_eq!(wrong(&yaml, "Gateway", "g"), [format!("a: {overlap}"), format!("w: {overlap}")]);
}

#[test]
fn listener_sets_come_after_the_gateway() {
    let set = |name: &str, port: u16| {
        format!(
            "{{apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {{name: {name}, namespace: other}}, spec: {{
                parentRef: {{name: g, namespace: default}}, listeners: [{{name: x, port: {port}, protocol: HTTP}}]}}}}\n---\n"
        )
    };
    let yaml = [gateway("{name: a, port: 80, protocol: HTTP}"), set("clash", 80), set("fine", 81)].concat();
    assert_eq!(wrong(&yaml, "Gateway", "g"), ["a: "]);
    let conflict = "Accepted=False/HostnameConflict Conflicted=True/HostnameConflict Programmed=False/HostnameConflict";
    assert_eq!(wrong(&yaml, "ListenerSet", "other/clash"), [format!("x: {conflict}")]);
    assert_eq!(wrong(&yaml, "ListenerSet", "other/fine"), ["x: "]);
    // One of which nothing is served is not attached.
    assert_eq!(status(&translate(&yaml), "Gateway", "g")["attachedListenerSets"], 1);

    let closed = yaml.replace("from: All", "from: None");
    let refused = conditions(&status(&translate(&closed), "ListenerSet", "other/fine"));
    assert_eq!(refused, ["Accepted=False/NotAllowed", "Programmed=False/NotAllowed"]);
}

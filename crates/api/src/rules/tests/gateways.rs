use super::*;

fn listeners() -> Value {
    json!([
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "*.example.com",
         "tls": {"certificateRefs": [{"name": "c"}]}, "allowedRoutes": {"kinds": [{"kind": "HTTPRoute"}]}},
        {"name": "tls", "port": 444, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {"name": "tcp", "port": 5000, "protocol": "TCP"},
        {"name": "udp", "port": 5000, "protocol": "UDP"},
    ])
}

fn listener_cases() -> Vec<Case> {
    vec![
        ("spec.listeners", json!([]), "=", "needs at least 1"),
        ("spec.listeners[0].port", json!(0), "=", "between 1 and 65535"),
        ("spec.listeners[0].port", json!(65536), "=", "between 1 and 65535"),
        ("spec.listeners[0].name", json!("A"), "=", "DNS name"),
        ("spec.listeners[0].name", json!(""), "=", "at least 1"),
        ("spec.listeners[0].name", json!("tcp"), "spec.listeners[3]", "name \"tcp\" is there already"),
        ("spec.listeners[0].hostname", json!("*"), "=", "host"),
        ("spec.listeners[0].hostname", json!("a.*.b"), "=", "host"),
        ("spec.listeners[0].protocol", json!("H TTP"), "=", "a protocol"),
        ("spec.listeners[0].tls", json!({"mode": "Passthrough"}), "=", "use HTTPS"),
        ("spec.listeners[3].tls", json!({"mode": "Passthrough"}), "=", "use TLS"),
        ("spec.listeners[4].tls", json!({"mode": "Passthrough"}), "=", "use TLS"),
        ("spec.listeners[1].tls.mode", json!("Passthrough"), "=", "use the protocol TLS"),
        ("spec.listeners[1].tls", json!({}), "spec.listeners[1].tls.certificateRefs", "needs a certificate"),
        ("spec.listeners[1].tls.certificateRefs[0].kind", json!("a.b"), "=", "a kind"),
        ("spec.listeners[2].tls", json!(null), "=", "needs it"),
        ("spec.listeners[3].hostname", json!("a.b"), "=", "no host names"),
        ("spec.listeners[4].hostname", json!("a.b"), "=", "no host names"),
        ("spec.listeners[4].protocol", json!("TCP"), "spec.listeners[4]", "of the listener \"tcp\""),
        ("spec.listeners[1].allowedRoutes.kinds[0].group", json!("A"), "=", "API group"),
        ("spec.listeners[1].allowedRoutes.kinds", many(&json!({"kind": "HTTPRoute"}), 9), "=", "at most 8"),
        (
            "spec.listeners[1].tls.options",
            json!({"a": "x".repeat(4097)}),
            "spec.listeners[1].tls.options.a",
            "at most 4096",
        ),
    ]
}

#[test]
fn gateways() {
    let spec = json!({
        "gatewayClassName": "eg", "listeners": listeners(),
        "addresses": [{"value": "192.0.2.1"}, {"type": "Hostname", "value": "a.example"}, {"type": "example.com/x", "value": "?"}],
        "infrastructure": {"labels": {"a": "b"}, "annotations": {"example.com/a": "x y"}, "parametersRef": {"group": "g",
        "kind": "K", "name": "n"}},
        "tls": {
            "backend": {"clientCertificateRef": {"name": "c"}},
            "frontend": {"default": {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "c"}]}},
                "perPort": [{"port": 443, "tls": {}}, {"port": 444, "tls": {}}]},
        },
    });
    let ca = "spec.tls.frontend.default.validation.caCertificateRefs";
    let mut cases = listener_cases();
    cases.extend([
        ("spec.gatewayClassName", json!(""), "=", "at least 1"),
        ("spec.addresses", many(&json!({"type": "a/b"}), 17), "=", "at most 16"),
        ("spec.addresses[0].value", json!("a"), "=", "IPv4 or IPv6"),
        ("spec.addresses[1].value", json!("A"), "=", "DNS name"),
        ("spec.addresses[2].type", json!("?"), "=", "a type of address"),
        ("spec.addresses[3]", json!({"type": "IPAddress", "value": "192.0.2.1"}), "=", "is there already"),
        ("spec.infrastructure.labels", json!({"-": "b"}), "=", "key of a label"),
        ("spec.infrastructure.labels.a", json!("b c"), "=", "value of a label"),
        ("spec.infrastructure.parametersRef.kind", json!(""), "=", "at least 1"),
        ("spec.tls.backend.clientCertificateRef.namespace", json!("A"), "=", "DNS label"),
        (ca, json!([]), ca, "at least 1"),
        ("spec.tls.frontend.perPort[1].port", json!(443), "spec.tls.frontend.perPort[1]", "port \"443\""),
        ("spec.tls.frontend.perPort[1].port", json!(0), "=", "between 1"),
    ]);
    table("Gateway", spec, &cases);
}

#[test]
fn listener_sets() {
    let mut cases = listener_cases();
    cases.push(("spec.parentRef.name", json!(""), "=", "at least 1"));
    table("ListenerSet", json!({"parentRef": {"name": "g"}, "listeners": listeners()}), &cases);
}

#[test]
fn gateway_classes() {
    let spec = json!({"controllerName": "example.com/c", "description": "d", "parametersRef": {"group": "g", "kind": "K",
        "name": "n"}});
    table(
        "GatewayClass",
        spec,
        &[
            ("spec.controllerName", json!("c"), "=", "a domain and a path"),
            ("spec.description", json!("x".repeat(65)), "=", "at most 64"),
            ("spec.parametersRef.group", json!("G"), "=", "API group"),
        ],
    );
}

#[test]
fn backend_tls_policies() {
    let spec = json!({
        "targetRefs": [{"group": "", "kind": "Service", "name": "s", "sectionName": "a"}, {"group": "", "kind": "Service",
        "name": "s", "sectionName": "b"}],
        "validation": {"hostname": "a.example", "wellKnownCACertificates": "System",
            "subjectAltNames": [{"type": "Hostname", "hostname": "*.a"}, {"type": "URI", "uri": "spiffe://a/b"}]},
    });
    let names = "spec.validation.subjectAltNames";
    table(
        "BackendTLSPolicy",
        spec,
        &[
            ("spec.targetRefs", json!([]), "=", "at least 1"),
            ("spec.targetRefs[1].sectionName", json!("a"), "spec.targetRefs[1]", "repeats an earlier target"),
            ("spec.targetRefs[1].sectionName", json!(null), "spec.targetRefs[1]", "on all targets"),
            ("spec.targetRefs[0].kind", json!("1"), "=", "a kind"),
            ("spec.validation.hostname", json!("*.a"), "=", "DNS name"),
            ("spec.validation.wellKnownCACertificates", json!("Mine"), "=", "System"),
            ("spec.validation.wellKnownCACertificates", json!(null), "spec.validation", "exactly one"),
            (
                "spec.validation.caCertificateRefs",
                json!([{"group": "", "kind": "ConfigMap", "name": "c"}]),
                "spec.validation",
                "exactly one",
            ),
            (names, many(&json!({"type": "Hostname", "hostname": "a"}), 6), names, "at most 5"),
            ("spec.validation.subjectAltNames[0].hostname", json!(null), "=", "is missing"),
            ("spec.validation.subjectAltNames[0].uri", json!("a://b"), "=", "does not belong"),
            ("spec.validation.subjectAltNames[1].uri", json!("b"), "=", "a URI"),
            ("spec.options", json!({"a": "x".repeat(4097)}), "spec.options.a", "at most 4096"),
        ],
    );
}

#[test]
fn reference_grants() {
    let spec = json!({"from": [{"group": "g", "kind": "K", "namespace": "n"}], "to": [{"group": "", "kind": "Secret",
        "name": "s"}]});
    table(
        "ReferenceGrant",
        spec,
        &[
            ("spec.from", json!([]), "=", "at least 1"),
            ("spec.to", json!([]), "=", "at least 1"),
            ("spec.to", many(&json!({"group": "", "kind": "Secret"}), 17), "=", "at most 16"),
            ("spec.from[0].namespace", json!(""), "=", "at least 1"),
            ("spec.to[0].name", json!(""), "=", "at least 1"),
        ],
    );
}

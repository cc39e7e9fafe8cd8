use super::*;

#[test]
fn backends() {
    let spec = json!({"endpoints": [{"ip": {"address": "::1", "port": 80}, "hostname": "a"}, {"unix": {"path": "/a"},
        "hostname": "a"}],
        "appProtocols": ["gateway.envoyproxy.io/h2c"], "fallback": true,
        "tls": {"wellKnownCACertificates": "System", "autoSNIFromEndpointHostname": true, "minVersion": "1.2", "ciphers": ["a"]}});
    table(
        "Backend",
        spec,
        &[
            ("spec.type", json!("Other"), "=", "use one of Endpoints, DynamicResolver"),
            ("spec.endpoints", json!([]), "=", "at least 1"),
            ("spec.endpoints[0].ip.port", json!("80"), "=", "not an integer"),
            ("spec.endpoints[0].ip.port", json!(65536), "=", "between 0 and 65535"),
            ("spec.endpoints[0].ip.address", json!("a.example"), "=", "IPv6 address"),
            ("spec.endpoints[0].ip.port", json!(null), "=", "is required"),
            ("spec.endpoints[0]", json!({"hostname": "a"}), "=", "exactly one of"),
            ("spec.endpoints[0].unix", json!({"path": "/b"}), "spec.endpoints[0]", "exactly one of"),
            ("spec.endpoints[1].unix.path", json!("x".repeat(109)), "=", "108 characters"),
            ("spec.endpoints[0]", json!({"fqdn": {"hostname": "a", "port": 1}}), "spec.endpoints", "make two Backends"),
            ("spec.endpoints[0].hostname", json!(null), "spec", "needs a `hostname`"),
            ("spec.appProtocols[0]", json!("h2c"), "=", "use one of"),
            (
                "spec.tls.caCertificateRefs",
                json!([{"group": "", "kind": "ConfigMap", "name": "c"}]),
                "spec.tls",
                "not both",
            ),
            ("spec.tls.insecureSkipVerify", json!(true), "spec.tls", "checks no certificate"),
            ("spec.tls.sni", json!("a.example"), "spec.tls", "one of `sni`"),
            ("spec.tls.minVersion", json!("1.3"), "spec.tls", "leave one of the two out"),
            ("spec.tls.maxVersion", json!("1.1"), "spec.tls", "must not be later"),
            ("spec.tls.wellKnownCACertificates", json!("Mine"), "=", "System"),
        ],
    );
    let dynamic = json!({"type": "DynamicResolver", "tls": {"maxVersion": "1.2"}});
    table(
        "Backend",
        dynamic,
        &[
            ("spec.endpoints", json!([{"ip": {"address": "192.0.2.1", "port": 1}}]), "spec", "leave `endpoints` out"),
            (
                "spec.tls.autoSNIFromEndpointHostname",
                json!(true),
                "spec",
                "leave `tls.autoSNIFromEndpointHostname` out",
            ),
            ("spec.tls.maxVersion", json!("1.1"), "spec.tls", "1.2 unless set"),
        ],
    );
}

#[test]
fn http_route_filters() {
    let spec = json!({
        "urlRewrite": {"path": {"type": "ReplaceRegexMatch", "replaceRegexMatch": {"pattern": "a", "substitution": ""}},
            "hostname": {"type": "Header", "header": "x"}},
        "directResponse": {"statusCode": 418, "body": {"inline": "x"}, "header": {"set": [{"name": "a", "value": "b"}]}},
        "credentialInjection": {"credential": {"valueRef": {"name": "s"}}},
        "matches": [{"cookies": [{"name": "a", "value": "b"}]}],
    });
    let body = "spec.directResponse.body";
    let config = json!({"group": "", "kind": "ConfigMap", "name": "c"});
    table(
        "HTTPRouteFilter",
        spec,
        &[
            (
                "spec.urlRewrite.path.replaceRegexMatch",
                json!(null),
                "spec.urlRewrite.path",
                "`replaceRegexMatch` is needed",
            ),
            ("spec.urlRewrite.path.replaceRegexMatch.pattern", json!(""), "=", "at least 1"),
            ("spec.urlRewrite.hostname.header", json!(null), "spec.urlRewrite.hostname", "`header` is needed"),
            ("spec.urlRewrite.hostname.type", json!("Backend"), "spec.urlRewrite.hostname", "`header` is needed"),
            (
                "spec.urlRewrite.hostname.pathRegex",
                json!({"pattern": "a", "substitution": "b"}),
                "spec.urlRewrite.hostname",
                "`pathRegex` is needed",
            ),
            (body, json!({}), body, "needs `inline`"),
            (body, json!({"type": "ValueRef"}), body, "needs `valueRef`"),
            (
                body,
                json!({"type": "ValueRef", "valueRef": {"group": "", "kind": "Secret", "name": "c"}}),
                body,
                "ConfigMap",
            ),
            (body, json!({"type": "Inline", "valueRef": config}), body, "needs `inline`"),
            ("spec.directResponse.header.remove", json!(["a"]), "spec.directResponse.header", "no headers to `remove`"),
            ("spec.directResponse.header.set[1]", json!({"name": "a", "value": "c"}), "=", "is there already"),
            ("spec.credentialInjection.credential", json!(null), "=", "is required"),
            ("spec.matches[0].cookies", json!([]), "=", "at least 1"),
            ("spec.matches[0].cookies[0].type", json!("Prefix"), "=", "use one of"),
        ],
    );
}

fn target(kind: &str) -> Value {
    json!({"group": "gateway.networking.k8s.io", "kind": kind, "name": "a"})
}

fn target_cases() -> Vec<Case> {
    vec![
        ("spec.targetRefs", json!(null), "spec", "name the targets"),
        ("spec.targetRef", target("HTTPRoute"), "spec", "name the targets"),
        ("spec.targetRefs[0].group", json!("apps"), "spec", "Gateway API resources"),
        ("spec", json!({"targetRefs": [target("Service")]}), "=", "`kind` must be one of"),
        ("spec.targetRefs[0].kind", json!("Gateway"), "spec", "for policies about routes only"),
        ("spec.targetRefs[0].sectionName", json!("A"), "=", "DNS name"),
        ("spec.mergeType", json!("Replace"), "=", "leave `mergeType` out"),
        ("spec.targetSelectors", json!([{"kind": "Gateway"}]), "spec", "for policies about routes only"),
        (
            "spec.targetSelectors",
            json!([{"kind": "HTTPRoute", "group": "apps"}]),
            "spec.targetSelectors[0]",
            "only Gateway API",
        ),
        (
            "spec.targetSelectors",
            json!([{"kind": "HTTPRoute", "namespaces": {"from": "Selector"}}]),
            "spec.targetSelectors[0].namespaces",
            "needs a `selector`",
        ),
        (
            "spec.targetSelectors",
            json!([{"kind": "HTTPRoute", "namespaces": {"from": "None"}}]),
            "spec.targetSelectors[0].namespaces.from",
            "use one of",
        ),
    ]
}

#[test]
fn backend_traffic_policies() {
    let spec = json!({"targetRefs": [target("HTTPRoute")], "mergeType": "StrategicMerge", "rateLimit": {"type": "Global",
        "global": {"rules": [
        {"clientSelectors": [{"headers": [{"name": "a", "type": "Distinct"}], "sourceCIDR": {"value": "192.0.2.0/24"}}],
         "limit": {"requests": 3, "unit": "Hour"}, "cost": {"request": {"from": "Number", "number": 0}}}]}}});
    let mut cases = target_cases();
    cases.extend([
        ("spec.rateLimit.global.rules", json!(null), "=", "is required"),
        ("spec.rateLimit.global.rules[0].clientSelectors[0]", json!({}), "=", "at least one of"),
        ("spec.rateLimit.global.rules[0].limit.unit", json!("Fortnight"), "=", "Week"),
        ("spec.rateLimit.global.rules[0].limit.requests", json!(-1), "=", "between 0 and 4294967295"),
        (
            "spec.rateLimit.global.rules[0].cost.request.metadata",
            json!({"namespace": "a", "key": "b"}),
            "spec.rateLimit.global.rules[0].cost.request",
            "not both",
        ),
    ]);
    table("BackendTrafficPolicy", spec, &cases);
}

#[test]
fn security_policies() {
    let spec = json!({"targetRefs": [target("HTTPRoute")], "mergeType": "JSONMerge", "extAuth": {"timeout": "1s",
        "http": {"backendRefs": [{"name": "s", "port": 1}], "path": "/a"}, "statusOnError": 503,
        "contextExtensions": [{"name": "a", "value": "b"}, {"name": "b", "type": "ValueRef", "valueRef": {"group": "",
        "kind": "Secret", "name": "s", "key": "k"}}]}});
    let mut cases = target_cases();
    cases.extend([
        ("spec", json!({"targetRefs": [target("UDPRoute")]}), "=", "`kind` must be one of"),
        ("spec.extAuth.http", json!(null), "spec.extAuth", "exactly one of"),
        ("spec.extAuth.grpc", json!({"backendRefs": [{"name": "s", "port": 1}]}), "spec.extAuth", "exactly one of"),
        ("spec.extAuth.http.backendRefs", json!([]), "spec.extAuth.http", "name the service"),
        ("spec.extAuth.http.backendRefs[0].port", json!(null), "spec.extAuth.http.backendRefs[0]", "needs a port"),
        ("spec.extAuth.http.backendRefs[0].kind", json!("Pod"), "spec.extAuth.http", "must be of `kind`"),
        ("spec.extAuth.http.pathOverride", json!("/b"), "spec.extAuth.http", "not both"),
        ("spec.extAuth.statusOnError", json!(200), "=", "is not known"),
        ("spec.extAuth.timeout", json!("1"), "=", "a duration"),
        ("spec.extAuth.contextExtensions[1].name", json!("a"), "spec.extAuth.contextExtensions[1]", "is there already"),
        (
            "spec.extAuth.contextExtensions[1].value",
            json!("a"),
            "spec.extAuth.contextExtensions[1]",
            "and not the other",
        ),
        (
            "spec.extAuth.contextExtensions[1].valueRef.kind",
            json!("Pod"),
            "spec.extAuth.contextExtensions[1].valueRef",
            "ConfigMap or Secret",
        ),
        (
            "spec.extAuth.bodyToExtAuth",
            json!({"maxRequestBytes": 0}),
            "spec.extAuth.bodyToExtAuth.maxRequestBytes",
            "at least 1",
        ),
    ]);
    table("SecurityPolicy", spec, &cases);
}

#[test]
fn envoy_extension_policies() {
    let spec = json!({"targetRefs": [target("HTTPRoute")], "mergeType": "JSONMerge", "extProc": [{
        "backendRefs": [{"name": "s", "group": "gateway.envoyproxy.io", "kind": "Backend"}], "failOpen": true,
        "processingMode": {"request": {"body": "Streamed", "attributes": ["request.path"]}},
        "metadata": {"writableNamespaces": ["a"]}}]});
    let mut cases = target_cases();
    cases.extend([
        (
            "spec.extProc[0].processingMode.request.body",
            json!("FullDuplexStreamed"),
            "spec.extProc[0]",
            "set `failOpen` to false",
        ),
        ("spec.extProc[0].processingMode.request.attributes[0]", json!("path"), "=", "of the form"),
        (
            "spec.extProc[0].metadata.writableNamespaces[0]",
            json!("envoy.filters.http.jwt"),
            "spec.extProc[0].metadata.writableNamespaces",
            "choose another",
        ),
        ("spec.extProc[0].backendRefs[0].group", json!("apps"), "spec.extProc[0]", "must be of `kind`"),
    ]);
    table("EnvoyExtensionPolicy", spec.clone(), &cases);
    let mut spec = spec;
    spec["extProc"][0]["shadowMode"] = json!(true);
    table(
        "EnvoyExtensionPolicy",
        spec,
        &[("spec.extProc[0].processingMode.request.body", json!("Buffered"), "spec.extProc[0]", "only be Streamed")],
    );
}

/// An EnvoyProxy that uses most of its fields.
fn envoy_proxy() -> Value {
    let backends = json!([{"name": "s", "port": 1}]);
    json!({
        "bootstrap": {"value": "a: b"}, "backendTLS": {"minVersion": "1.2", "maxVersion": "1.3"},
        "telemetry": {
            "accessLog": {"settings": [{"format": {"type": "Text", "text": "x"}, "sinks": [
                {"type": "File", "file": {"path": "/a"}}, {"type": "ALS", "als": {"type": "TCP", "backendRefs": backends}},
                {"type": "OpenTelemetry", "openTelemetry": {"backendRefs": backends, "resources": {"a": "b"}}}]}]},
            "metrics": {"sinks": [{"type": "OpenTelemetry", "openTelemetry": {"host": "a", "port": 1}}]},
            "tracing": {"samplingRate": 1, "provider": {"backendRefs": backends,
            "openTelemetry": {"sampler": {"type": "TraceIdRatio", "samplingPercentage": {"numerator": 1}}}}},
        },
    })
}

#[test]
fn envoy_proxies() {
    table_at(
        "EnvoyProxy",
        envoy_proxy(),
        "spec.telemetry.accessLog.settings[0]",
        &[
            ("sinks", json!([]), "=", "at least 1"),
            ("format", json!({"type": "JSON", "text": "x"}), "=", "needs `json`"),
            ("format.json", json!({"a": "b"}), "format", "needs `text`"),
            ("format", json!({}), "=", "`text` or `json`"),
            ("sinks[0].file", json!(null), "sinks[0]", "`file` is needed"),
            ("sinks[1].als", json!(null), "sinks[1]", "`als` is needed"),
            ("sinks[2].openTelemetry", json!(null), "sinks[2]", "`openTelemetry` is needed"),
            ("sinks[1].als.http", json!({}), "sinks[1].als", "`type: HTTP` only"),
            ("sinks[1].als.backendRefs", json!([]), "sinks[1].als", "name the service"),
            ("sinks[2].openTelemetry.backendRefs", json!([]), "sinks[2].openTelemetry", "name the collector"),
            ("sinks[2].openTelemetry.resourceAttributes", json!({}), "sinks[2].openTelemetry", "older name"),
        ],
    );
    table_at(
        "EnvoyProxy",
        envoy_proxy(),
        "spec.telemetry.tracing",
        &[
            ("samplingFraction", json!({"numerator": 1}), "", "not both"),
            ("clientSamplingFraction", json!({"numerator": 101}), "=", "must not be greater"),
            ("provider.type", json!("Zipkin"), "provider", "OpenTelemetry` only"),
            ("provider.serviceName", json!(""), "=", "leave `serviceName` out"),
            (
                "provider.openTelemetry.sampler.type",
                json!("AlwaysOn"),
                "provider.openTelemetry.sampler",
                "samplingPercentage` is for",
            ),
        ],
    );
    table_at(
        "EnvoyProxy",
        envoy_proxy(),
        "spec.telemetry.metrics",
        &[("sinks[0].openTelemetry", json!(null), "sinks[0]", "is needed")],
    );
    table_at(
        "EnvoyProxy",
        envoy_proxy(),
        "spec",
        &[
            ("bootstrap.type", json!("JSONPatch"), "bootstrap", "needs `jsonPatches`"),
            ("backendTLS.maxVersion", json!("1.0"), "backendTLS", "must not be later"),
        ],
    );
}

/// An EnvoyProxy that says much of how it is run in Kubernetes.
fn kubernetes() -> Value {
    json!({"provider": {"type": "Kubernetes", "kubernetes": {
        "envoyDeployment": {"replicas": 2, "pod": {"tolerations": [{"key": "a"}]},
            "container": {"image": "registry.example:5000/envoy:v1", "resources": {"requests": {"cpu": 1, "memory": "1Gi"}}},
            "patch": {"value": {"any": ["thing"]}}},
        "envoyService": {"loadBalancerIP": "192.0.2.1"},
        "envoyHpa": {"minReplicas": 1, "maxReplicas": 2, "metrics": [{"type": "Resource", "resource":
            {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}]},
        "envoyPDB": {"minAvailable": "50%"}}}})
}

#[test]
fn envoy_proxies_in_kubernetes() {
    table_at(
        "EnvoyProxy",
        kubernetes(),
        "spec.provider.kubernetes",
        &[
            ("envoyDeployment.container.image", json!("not an image"), "=", "repository:tag"),
            ("envoyDeployment.container.imageRepository", json!("envoy"), "envoyDeployment.container", "set one of"),
            ("envoyService.type", json!("NodePort"), "envoyService", "needs `type: LoadBalancer`"),
            ("envoyService.loadBalancerIP", json!("fd00::1"), "=", "IPv4 address"),
            ("envoyHpa.minReplicas", json!(3), "envoyHpa", "cannot be less"),
            ("envoyHpa.minReplicas", json!(0), "=", "at least one"),
            ("envoyPDB.maxUnavailable", json!(1), "envoyPDB", "set one of"),
        ],
    );
    let scaled = json!({"provider": {"type": "Kubernetes", "kubernetes": {"envoyHpa": {"maxReplicas": 2}}}});
    table_at("EnvoyProxy", scaled, "spec.provider.kubernetes", &[("envoyDaemonSet", json!({}), "", "is not scaled")]);
    let deployed = json!({"provider": {"type": "Kubernetes", "kubernetes": {"envoyDeployment": {}}}});
    table_at("EnvoyProxy", deployed, "spec.provider.kubernetes", &[("envoyDaemonSet", json!({}), "", "not both")]);
}

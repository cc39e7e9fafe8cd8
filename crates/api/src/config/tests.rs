use serde_json::{Value, json};

use super::*;

fn read(fields: Value) -> Result<EnvoyGateway, String> {
    let mut document = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway"});
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    document.as_object_mut().unwrap().extend(fields);
    serde_json::from_value(document).map_err(|error: serde_json::Error| error.to_string())
}

#[test]
fn the_standalone_example_is_read() {
    let config = read(json!({
        "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
        "provider": {"type": "Custom", "custom": {
            "resource": {"type": "File", "file": {"paths": ["/tmp/a", "b.yaml"]}},
            "infrastructure": {"type": "Host", "host": {}},
        }},
        "logging": {"level": {"default": "info", "xds-server": "debug"}},
        "extensionApis": {"enableBackend": true},
    }))
    .unwrap();
    assert_eq!(config.validate(), Vec::<String>::new());
    assert_eq!(config.provider.custom.unwrap().resource.file.unwrap().paths.len(), 2);
    assert_eq!(config.logging.level(Component::XdsServer), Level::Debug);
    assert_eq!(config.logging.level(Component::Provider), Level::Info);
    assert_eq!((config.admin.address.host.as_str(), config.admin.address.port), ("127.0.0.1", 19000));
}

#[test]
fn the_least_configuration_is_the_default() {
    assert_eq!(read(json!({})).unwrap(), EnvoyGateway::default());
    assert_eq!(EnvoyGateway::default().validate(), Vec::<String>::new());
}

#[test]
fn an_unknown_or_wrong_field_names_what_is_allowed() {
    for (fields, words) in [
        (json!({"gatway": {}}), ["unknown field `gatway`", "expected one of"]),
        (json!({"provider": {"type": "Host"}}), ["unknown variant `Host`", "`Custom`"]),
        (json!({"logging": {"level": {"xds": "loud"}}}), ["unknown variant `loud`", "`warn`"]),
        (json!({"extensionApis": {"enableLua": true}}), ["unknown field `enableLua`", "`enableBackend`"]),
        (json!({"admin": {"address": {"port": 70000}}}), ["70000", "u16"]),
        (json!({"envoyProxy": {"logging": {"levels": {}}}}), ["unknown field `logging.levels`", ""]),
    ] {
        let error = read(fields).unwrap_err();
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn what_fits_no_other_field_is_told() {
    let cases = [
        (json!({"apiVersion": "v1"}), "apiVersion: "),
        (json!({"kind": "Gateway"}), "kind: "),
        (json!({"rateLimit": {"service": {"host": ""}}}), "rateLimit.service.host: "),
        (json!({"rateLimit": {"service": {"host": "a"}, "timeout": "soon"}}), "rateLimit.timeout: "),
        (json!({"rateLimit": {}}), "rateLimit: "),
        (json!({"gateway": {"controllerName": "no-path"}}), "gateway.controllerName: "),
        (json!({"provider": {"type": "Custom"}}), "provider.custom: "),
        (json!({"provider": {"type": "Kubernetes", "custom": {"resource": {"type": "File"}}}}), "provider.custom: "),
        (
            json!({"provider": {"type": "Custom", "custom": {"resource": {"type": "File"}}}}),
            "provider.custom.resource.file: ",
        ),
        (
            json!({"provider": {"type": "Custom", "custom": {"resource": {"type": "File", "file": {"paths": []}}}}}),
            "provider.custom.resource.file.paths: ",
        ),
        (json!({"admin": {"enablePprof": true}}), "admin.enablePprof: "),
        (json!({"xdsServer": {"maxConnectionAge": "1 day"}}), "xdsServer.maxConnectionAge: "),
    ];
    for (fields, field) in cases {
        let found = read(fields.clone()).unwrap().validate();
        assert!(found.len() == 1 && found[0].starts_with(field), "{fields}: {found:?}");
    }
}

#[test]
fn how_a_single_sign_on_service_is_run_is_read_and_checked() {
    let cluster = |run: Value, shape: Value| {
        let mut provider = json!({"type": "Kubernetes", "kubernetes": {}});
        provider["kubernetes"] = shape;
        read(json!({"provider": provider, "singleSignOn": run})).unwrap()
    };
    let settings = json!({"policyInternalHosts": ["id.corp"], "sessions": {"lifetime": "8h"}});
    let sound = cluster(json!({"run": {"settings": settings}}), json!({"singleSignOnDeployment": {"replicas": 2}}));
    assert_eq!((sound.validate(), sound.without_effect()), (Vec::new(), Vec::new()));
    let scaled = json!({"singleSignOnHpa": {"minReplicas": 3, "maxReplicas": 2}, "singleSignOnPDB": {}});
    for (run, shape, wrong) in [
        (json!({"run": {"settings": {"xds": {}}}}), json!({}), &["singleSignOn.run.settings.xds: is said"][..]),
        (json!({"run": {}, "service": {"host": "a"}}), json!({}), &["singleSignOn.run: stands beside"]),
        (
            json!({"run": {}}),
            scaled,
            &["provider.kubernetes.singleSignOnHpa.maxReplicas: ", "provider.kubernetes.singleSignOnPDB: "],
        ),
    ] {
        let found = cluster(run, shape).validate();
        let is_so = found.len() == wrong.len() && found.iter().zip(wrong).all(|(one, wrong)| one.starts_with(wrong));
        assert!(is_so, "{wrong:?}: {found:?}");
    }
    let idle = cluster(json!({}), json!({"singleSignOnDeployment": {}})).without_effect();
    assert!(idle[0].starts_with("provider.kubernetes.singleSignOnDeployment"), "{idle:?}");
}

#[test]
fn what_has_no_effect_is_told() {
    let mut config = EnvoyGateway::default();
    assert_eq!(config.without_effect(), Vec::<String>::new());
    config.extension_apis.enable_envoy_patch_policy = true;
    config.xds_server.max_connection_age = Some("10h".into());
    let told = config.without_effect();
    assert!(
        told[0].starts_with("extensionApis.enableEnvoyPatchPolicy") && told[1].starts_with("xdsServer"),
        "{told:?}"
    );
}

#[test]
fn the_kubernetes_provider_is_read_and_checked() {
    let kubernetes = |fields: Value| read(json!({"provider": {"type": "Kubernetes", "kubernetes": fields}}));
    let config = kubernetes(json!({
        "watch": {"type": "NamespaceSelector", "namespaceSelector": {"matchLabels": {"edge": "yes"}}},
        "leaderElection": {"leaseDuration": "6s", "renewDeadline": "4s", "retryPeriod": "500ms"},
        "client": {"rateLimit": {"qps": 20}},
    }));
    let config = config.unwrap();
    assert_eq!(config.validate(), Vec::<String>::new());
    let kubernetes_fields = config.provider.kubernetes.unwrap();
    assert_eq!(kubernetes_fields.leader_election.times().retry.as_millis(), 500);
    assert_eq!(kubernetes_fields.client.rate_limit, ClientRateLimit { qps: 20, burst: 1000 });

    let unknown = json!({"watch": {"type": "NamespaceSelector", "namespaceSelector": {"labels": {}}}});
    assert!(kubernetes(unknown).unwrap_err().contains("unknown field `labels`"));
    let expression = json!([{"key": "a", "operator": "Is", "values": ["b"]}]);
    for (fields, field) in [
        (json!({"watch": {"type": "Namespaces"}}), "watch.namespaces: is empty"),
        (json!({"watch": {"type": "NamespaceSelector"}}), "watch.namespaceSelector: is missing"),
        (
            json!({"watch": {"type": "NamespaceSelector", "namespaceSelector": {"matchExpressions": expression}}}),
            "watch.namespaceSelector.matchExpressions[0]: ",
        ),
        (json!({"leaderElection": {"renewDeadline": "15s"}}), "leaderElection.renewDeadline: "),
        (json!({"listen": {"metrics": "19001"}}), "listen.metrics: "),
        (json!({"listen": {"webhook": "::9443"}}), "listen.webhook: "),
        (json!({"leaderElection": {"retryPeriod": "0s"}}), "leaderElection.retryPeriod: "),
        (json!({"leaderElection": {"leaseDuration": "long"}}), "leaderElection.leaseDuration: "),
        (json!({"client": {"rateLimit": {"qps": 0}}}), "client.rateLimit.qps: "),
    ] {
        let found = kubernetes(fields.clone()).unwrap().validate();
        let field = format!("provider.kubernetes.{field}");
        assert!(found.len() == 1 && found[0].starts_with(&field), "{fields}: {found:?}");
    }
    let misplaced = json!({"provider": {"type": "Custom", "kubernetes": {},
        "custom": {"resource": {"type": "File", "file": {"paths": ["a"]}}}}});
    assert!(read(misplaced).unwrap().validate()[0].starts_with("provider.kubernetes: "));
}

#[test]
fn a_rate_limit_service_to_run_is_read_and_checked() {
    let config = |rate_limit: Value, kubernetes: Value| {
        read(json!({"rateLimit": rate_limit, "provider": {"type": "Kubernetes", "kubernetes": kubernetes}}))
    };
    let redis = |fields: Value| json!({"backend": {"type": "Redis", "redis": fields}});
    let whole = config(
        json!({"backend": {"type": "Redis", "redis": {"url": "redis:6379", "tls": {"certificateRef": {"name": "redis"}}}},
            "failClosed": true, "timeout": "50ms", "telemetry": {"metrics": {"prometheus": {"disable": true}},
                "tracing": {"samplingRate": 10, "provider": {"type": "OpenTelemetry", "url": "http://collector:4317"}}}}),
        json!({"rateLimitDeployment": {"replicas": 2, "container": {"resources": {"requests": {"cpu": "1"}}}},
            "rateLimitHpa": {"maxReplicas": 3}, "rateLimitPDB": {"minAvailable": 1}}),
    );
    let whole = whole.unwrap();
    assert_eq!((whole.validate(), whole.without_effect()), (Vec::new(), Vec::new()));
    assert!(config(redis(json!({"uri": "a"})), json!({})).unwrap_err().contains("unknown field `uri`"));
    assert!(
        config(json!({}), json!({"rateLimitDeployment": {"replica": 1}}))
            .unwrap_err()
            .contains("unknown field `replica`")
    );
    let url = json!({"url": "redis:6379"});
    let namespace = json!({"url": "a:1", "tls": {"certificateRef": {"name": "a", "namespace": "b"}}});
    let both = json!({"service": {"host": "a"}, "backend": {"type": "Redis", "redis": url}});
    let tracing = json!({"backend": {"type": "Redis", "redis": url}, "telemetry": {"tracing": {"provider": {"url": "collector"}}}});
    for (rate_limit, kubernetes, field) in [
        (json!({"backend": {"type": "Redis"}}), json!({}), "rateLimit.backend.redis: is missing"),
        (redis(json!({})), json!({}), "rateLimit.backend.redis: set one"),
        (redis(json!({"url": ""})), json!({}), "rateLimit.backend.redis.url: "),
        (redis(namespace), json!({}), "rateLimit.backend.redis.tls.certificateRef: "),
        (both, json!({}), "rateLimit.service: "),
        (tracing, json!({}), "rateLimit.telemetry.tracing.provider.url: "),
        (
            redis(url.clone()),
            json!({"rateLimitHpa": {"maxReplicas": 0}}),
            "provider.kubernetes.rateLimitHpa.maxReplicas: ",
        ),
        (redis(url.clone()), json!({"rateLimitPDB": {}}), "provider.kubernetes.rateLimitPDB: "),
    ] {
        let found = config(rate_limit.clone(), kubernetes).unwrap().validate();
        assert!(found.len() == 1 && found[0].starts_with(field), "{rate_limit}: {found:?}");
    }
    let custom = json!({"type": "Custom", "custom": {"resource": {"type": "File", "file": {"paths": ["a"]}}}});
    let found = read(json!({"rateLimit": redis(url), "provider": custom})).unwrap().validate();
    assert!(found[0].starts_with("rateLimit.backend: the controller runs the service in a cluster only"), "{found:?}");
    let shaped = read(json!({"provider": {"type": "Kubernetes", "kubernetes": {"rateLimitDeployment": {}}}})).unwrap();
    assert!(shaped.without_effect()[0].starts_with("provider.kubernetes.rateLimitDeployment"));
}

#[test]
fn a_single_sign_on_service_is_read_and_checked() {
    let custom = json!({"type": "Custom", "custom": {"resource": {"type": "File", "file": {"paths": ["a"]}}}});
    let found = |provider: &Value, fields: Value| {
        let fields = json!({"provider": provider, "singleSignOn": fields, "rateLimit": {"service": {"host": "a"},
            "configAddress": "127.0.0.1:1"}});
        read(fields).unwrap().validate()
    };
    assert_eq!(found(&json!({"type": "Kubernetes"}), json!({})), Vec::<String>::new());
    assert_eq!(found(&custom, json!({"service": {"host": "a"}, "configAddress": "127.0.0.1:1"})), Vec::<String>::new());
    for (fields, field) in [
        (json!({}), "singleSignOn: names no service"),
        (json!({"policies": "All"}), "singleSignOn: names no service"),
        (json!({"service": {"host": ""}}), "singleSignOn.service.host: "),
        (json!({"service": {"host": "a"}, "configAddress": "127.0.0.1:2"}), "singleSignOn.configAddress: differs"),
    ] {
        let found = found(&custom, fields.clone());
        assert!(found.len() == 1 && found[0].starts_with(field), "{fields}: {found:?}");
    }
}

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::infra::kube::Kind;
use crate::infra::kube::render::{
    Object,
    tests::{names, of, settings},
};

fn render(rate_limit: Value, kubernetes: Value) -> Result<Vec<Object>, Error> {
    let config: RateLimit = serde_json::from_value(rate_limit).unwrap();
    let service = RateLimitService::of(Some(&config), &serde_json::from_value(kubernetes).unwrap()).unwrap();
    service.render(&settings()).map(|service| service.objects)
}

fn redis(fields: &Value) -> Value {
    json!({"backend": {"type": "Redis", "redis": fields}})
}

fn usual() -> Value {
    redis(&json!({"url": "redis.redis-system.svc:6379"}))
}

fn variables(objects: &[Object]) -> BTreeMap<String, Value> {
    let deployment = of(objects, Kind::Deployment);
    let all = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap().clone();
    let variables: BTreeMap<_, _> = all
        .iter()
        .map(|one| {
            let value = one.get("value").or_else(|| one.get("valueFrom"));
            (one["name"].as_str().unwrap().to_owned(), value.cloned().unwrap_or_default())
        })
        .collect();
    assert_eq!(variables.len(), all.len(), "each is said once");
    variables
}

#[test]
fn the_usual_service() {
    let objects = render(usual(), json!({})).unwrap();
    let expected =
        ["ServiceAccount", "Deployment", "Service"].map(|kind| format!("{kind} envoy-gateway-system/envoy-ratelimit"));
    assert_eq!(names(&objects), expected);
    insta::assert_yaml_snapshot!("usual_deployment", of(&objects, Kind::Deployment));
    insta::assert_yaml_snapshot!("usual_service", of(&objects, Kind::Service));
}

#[test]
fn every_object_is_known_as_the_services_and_as_no_fleets() {
    let objects = render(usual(), json!({"rateLimitHpa": {"maxReplicas": 2}, "rateLimitPDB": {"minAvailable": 1}}));
    let owner = Place::of_rate_limit(&settings()).selector;
    for object in objects.unwrap() {
        let labels = &object.value["metadata"]["labels"];
        assert!(owner.iter().all(|(key, value)| labels[key] == **value), "{object}: {labels}");
        assert!(!labels.to_string().contains("owning-gateway"), "{object}: {labels}");
        assert_eq!(labels["app.kubernetes.io/instance"], "envoy-gateway-system");
    }
}

#[test]
fn how_it_is_run_is_the_users_word() {
    let kubernetes = json!({
        "rateLimitDeployment": {
            "replicas": 2, "name": "limits",
            "pod": {"annotations": {"prometheus.io/scrape": "false"}, "nodeSelector": {"zone": "a"},
                "volumes": [{"name": "more", "emptyDir": {}}]},
            "container": {"image": "registry.example/limits:1", "env": [{"name": "LOG_LEVEL", "value": "debug"},
                {"name": "GRPC_MAX_CONNECTION_AGE", "value": "1m"}], "resources": {"requests": {"cpu": "1"}},
                "volumeMounts": [{"name": "more", "mountPath": "/more"}]},
            "patch": {"value": {"spec": {"minReadySeconds": 5}}}},
        "rateLimitPDB": {"minAvailable": 1}});
    let objects = render(usual(), kubernetes.clone()).unwrap();
    let deployment = of(&objects, Kind::Deployment);
    let (spec, template) = (&deployment["spec"], &deployment["spec"]["template"]);
    assert_eq!((&spec["replicas"], &spec["minReadySeconds"]), (&json!(2), &json!(5)));
    assert_eq!(template["metadata"]["annotations"]["prometheus.io/scrape"], "false");
    assert_eq!(template["spec"]["nodeSelector"], json!({"zone": "a"}));
    let container = &template["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/limits:1");
    assert_eq!(container["resources"], json!({"requests": {"cpu": "1"}}));
    assert_eq!(
        container["volumeMounts"].as_array().unwrap().len(),
        template["spec"]["volumes"].as_array().unwrap().len()
    );
    let variables = variables(&objects);
    assert_eq!((&variables["LOG_LEVEL"], &variables["GRPC_MAX_CONNECTION_AGE"]), (&json!("debug"), &json!("1m")));
    assert_eq!(of(&objects, Kind::PodDisruptionBudget)["spec"]["minAvailable"], 1);

    // Who scales has the number.
    let mut scaled = kubernetes;
    scaled["rateLimitHpa"] = json!({"minReplicas": 2, "maxReplicas": 4});
    let objects = render(usual(), scaled).unwrap();
    assert_eq!(of(&objects, Kind::Deployment)["spec"].get("replicas"), None);
    assert_eq!(of(&objects, Kind::HorizontalPodAutoscaler)["spec"]["scaleTargetRef"]["name"], "limits");

    let broken = json!({"rateLimitDeployment": {"patch": {"value": {"metadata": {"name": "other"}}}}});
    let error = render(usual(), broken).unwrap_err().to_string();
    assert!(error.starts_with("provider.kubernetes.rateLimitDeployment.patch: "), "{error}");
}

#[test]
fn redis_may_be_named_in_a_secret_and_be_certain_of_us() {
    let reference = json!({"secretKeyRef": {"name": "redis", "key": "url"}});
    let tls = json!({"certificateRef": {"name": "redis-client"}});
    let objects = render(redis(&json!({"urlRef": reference, "tls": tls})), json!({})).unwrap();
    let with = variables(&objects);
    assert_eq!(with["REDIS_URL"], reference);
    assert_eq!((&with["REDIS_TLS"], &with["REDIS_TLS_CLIENT_KEY"]), (&json!("true"), &json!("/redis-certs/tls.key")));
    let pod = &of(&objects, Kind::Deployment)["spec"]["template"]["spec"];
    assert_eq!(pod["volumes"][1], json!({"name": "redis-certs", "secret": {"secretName": "redis-client"}}));
    assert_eq!(pod["containers"][0]["volumeMounts"][1]["mountPath"], "/redis-certs");

    let without = variables(&render(redis(&json!({"url": "a:1", "tls": {}})), json!({})).unwrap());
    assert_eq!((&without["REDIS_TLS"], without.get("REDIS_TLS_CACERT")), (&json!("true"), None));
}

#[test]
fn telemetry_is_as_configured() {
    let mut config = usual();
    config["telemetry"] = json!({"metrics": {"prometheus": {"disable": true}},
        "tracing": {"samplingRate": 10, "provider": {"url": "http://collector:4317"}}});
    let objects = render(config, json!({})).unwrap();
    let variables = variables(&objects);
    assert_eq!((&variables["TRACING_SAMPLING_RATE"], variables.get("PROMETHEUS_ADDR")), (&json!("0.1"), None));
    assert_eq!(of(&objects, Kind::Service)["spec"]["ports"].as_array().unwrap().len(), 1);
    let template = &of(&objects, Kind::Deployment)["spec"]["template"];
    assert_eq!(template["metadata"].get("annotations"), None);
}

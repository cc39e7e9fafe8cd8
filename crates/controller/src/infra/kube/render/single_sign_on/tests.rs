use super::*;
use crate::infra::kube::render::tests::{names, of, settings};

fn render(run: &Value, kubernetes: Value) -> Result<AskedService, Error> {
    let config: SingleSignOn = serde_json::from_value(json!({ "run": run })).unwrap();
    let service = SingleSignOnService::of(Some(&config), &serde_json::from_value(kubernetes).unwrap()).unwrap();
    service.render(&settings())
}

/// The configuration that the service reads.
fn config(service: &AskedService) -> Value {
    use base64::Engine as _;
    let text = of(&service.objects, Kind::Secret)["data"]["oidc.yaml"].as_str().unwrap().to_owned();
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[test]
fn the_usual_service() {
    let service = render(&json!({}), json!({})).unwrap();
    let expected = [
        "Secret envoy-gateway-system/portcullis-oidc-config",
        "ServiceAccount envoy-gateway-system/portcullis-oidc",
        "Deployment envoy-gateway-system/portcullis-oidc",
        "Service envoy-gateway-system/portcullis-oidc",
    ];
    assert_eq!(names(&service.objects), expected);
    insta::assert_yaml_snapshot!("usual_deployment", of(&service.objects, Kind::Deployment));
    insta::assert_yaml_snapshot!("usual_config", config(&service));
    for object in &service.objects {
        let labels = &object.value["metadata"]["labels"];
        assert!(service.owner.iter().all(|(key, value)| labels[key] == **value), "{object}: {labels}");
    }
    assert!(SingleSignOnService::of(Some(&SingleSignOn::default()), &Kubernetes::default()).is_none());
}

#[test]
fn what_the_controller_does_not_say_is_the_operators_word() {
    let run =
        json!({"settings": {"policyInternalHosts": ["id.corp"], "keys": ["/keys/seal"], "drain": {"delay": "20s"}}});
    let kubernetes = json!({
        "singleSignOnDeployment": {"replicas": 2,
            "pod": {"volumes": [{"name": "keys", "secret": {"secretName": "seal"}}]},
            "container": {"image": "registry.example/oidc:1", "env": [{"name": "A", "value": "b"}],
                "volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}},
        "singleSignOnPDB": {"minAvailable": 1}});
    let service = render(&run, kubernetes).unwrap();
    let config = config(&service);
    assert_eq!((&config["policyInternalHosts"], &config["drain"]), (&json!(["id.corp"]), &json!({"delay": "20s"})));
    assert_eq!(config["xds"]["address"], "envoy-gateway.envoy-gateway-system.svc:18001");
    let spec = &of(&service.objects, Kind::Deployment)["spec"];
    let (pod, container) = (&spec["template"]["spec"], &spec["template"]["spec"]["containers"][0]);
    assert_eq!((&spec["replicas"], &container["image"]), (&json!(2), &json!("registry.example/oidc:1")));
    assert_eq!(pod["volumes"].as_array().unwrap().len(), container["volumeMounts"].as_array().unwrap().len());
    assert_eq!(container["env"], json!([{"name": "A", "value": "b"}]));
    assert_eq!(of(&service.objects, Kind::PodDisruptionBudget)["metadata"]["name"], "portcullis-oidc");

    let broken = json!({"singleSignOnDeployment": {"patch": {"value": {"metadata": {"name": "other"}}}}});
    let error = render(&json!({}), broken).unwrap_err().to_string();
    assert!(error.starts_with("provider.kubernetes.singleSignOnDeployment.patch: "), "{error}");
}

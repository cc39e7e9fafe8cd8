//! Fleets from manifests, as objects.

use std::{fs, sync::Arc};

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::{
    config,
    pipeline::{Output, State, compile},
    source::file::read_once,
};

/// A class whose `EnvoyProxy` has `proxy` as its spec.
fn class(proxy: &Value) -> String {
    let proxy = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy",
        "metadata": {"name": "proxy", "namespace": "default"}, "spec": proxy});
    let class = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"}, "spec": {
        "controllerName": "gateway.envoyproxy.io/gatewayclass-controller", "parametersRef": {
            "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "proxy", "namespace": "default"}}});
    format!("{proxy}\n---\n{class}\n")
}

/// A Gateway with listeners for HTTP at 80, TCP at 9000 and UDP at 53.
fn gateway(name: &str, more: &Value) -> String {
    let mut spec = json!({"gatewayClassName": "eg", "listeners": [
        {"name": "http", "protocol": "HTTP", "port": 80}, {"name": "tcp", "protocol": "TCP", "port": 9000},
        {"name": "udp", "protocol": "UDP", "port": 53}]});
    json_patch::merge(&mut spec, more);
    let gateway = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": name, "namespace": "default", "uid": format!("uid-of-{name}")}, "spec": spec});
    format!("---\n{gateway}\n")
}

fn output(manifests: &str) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.yaml");
    fs::write(&file, manifests).unwrap();
    let once = read_once(&[file]).unwrap();
    assert_eq!(*once.seen.problems, []);
    compile(&once.seen.resources, &mut State::new(config::pipeline_settings(&config::offline(), Vec::new())))
}

pub(super) fn settings() -> Settings {
    Settings {
        namespace: "envoy-gateway-system".to_owned(),
        instance: "envoy-gateway-system".to_owned(),
        deploy: KubernetesDeployType::ControllerNamespace,
        envoy_image: ENVOY_IMAGE.to_owned(),
        controller_image: "docker.io/portcullis/portcullis:v0.1.0".to_owned(),
        shutdown_manager: ShutdownManager::default(),
        xds: XdsAddress {
            host: "envoy-gateway.envoy-gateway-system.svc".to_owned(),
            port: 18000,
            server_name: "portcullis".to_owned(),
        },
    }
}

/// The objects of the only fleet.
fn render_all(manifests: &str, settings: &Settings) -> Result<Vec<Object>, Error> {
    let output = output(manifests);
    let [fleet] = output.fleets.values().collect::<Vec<_>>()[..] else {
        panic!("not one fleet: {:?}", output.fleets.keys())
    };
    let gateways = fleet.gateway.gateways.iter();
    let gateways: Vec<Arc<Gateway>> =
        gateways.filter_map(|of| output.resources.gateways.get(&of.namespace, &of.name).cloned()).collect();
    let identity =
        Identity { authorities: "CA".to_owned(), certificate: "CERTIFICATE".to_owned(), key: "KEY".to_owned() };
    render(&Fleet { gateway: &fleet.gateway, gateways: &gateways, identity: &identity }, settings)
}

/// The objects of one Gateway with an `EnvoyProxy`.
fn objects(proxy: &Value) -> Vec<Object> {
    render_all(&(class(proxy) + &gateway("eg", &json!({}))), &settings()).unwrap()
}

fn kubernetes(wanted: &Value) -> Value {
    json!({"provider": {"type": "Kubernetes", "kubernetes": wanted}})
}

pub(super) fn of(objects: &[Object], kind: Kind) -> Value {
    objects.iter().find(|object| object.kind == kind).map(|object| object.value.clone()).unwrap_or_default()
}

pub(super) fn names(objects: &[Object]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

/// Takes Envoy's bootstrap out of its arguments.
fn take_bootstrap(workload: &mut Value) -> Value {
    let args = workload["spec"]["template"]["spec"]["containers"][0]["args"].as_array_mut().unwrap();
    let at = args.iter().position(|arg| arg == "--config-yaml").unwrap() + 1;
    serde_json::from_str(std::mem::replace(&mut args[at], json!("<bootstrap>")).as_str().unwrap()).unwrap()
}

#[test]
fn the_usual_fleet() {
    let objects = objects(&json!({}));
    let name = "envoy-gateway-system/envoy-default-eg-e41e7b31";
    let expected = ["ServiceAccount", "Secret", "Deployment", "Service"].map(|kind| format!("{kind} {name}"));
    assert_eq!(names(&objects), expected);
    let mut deployment = of(&objects, Kind::Deployment);
    let bootstrap = take_bootstrap(&mut deployment);
    insta::assert_yaml_snapshot!("usual_deployment", deployment);
    insta::assert_yaml_snapshot!("usual_service", of(&objects, Kind::Service));
    assert_eq!(bootstrap["node"]["cluster"], "default/eg");
    assert_eq!(bootstrap["dynamic_resources"]["lds_config"]["initial_fetch_timeout"], "0s");
    let clusters = bootstrap["static_resources"]["clusters"].as_array().unwrap();
    let fleet = clusters.iter().find(|cluster| cluster["name"] == "fleet").unwrap();
    // As on the command line.
    assert_eq!(fleet["load_assignment"]["endpoints"][0]["locality"]["zone"], "$(ENVOY_SERVICE_ZONE)");
    let tls = bootstrap.pointer("/static_resources/clusters/0/transport_socket/typed_config").unwrap().to_string();
    assert!(tls.contains("/certs/xds-certificate.json") && tls.contains("/certs/xds-authorities.json"), "{tls}");
}

#[test]
fn a_fleet_knows_the_controller_and_is_known_by_it() {
    let secret = of(&objects(&json!({})), Kind::Secret);
    let files: Vec<&String> = secret["data"].as_object().unwrap().keys().collect();
    assert_eq!(files, ["ca.crt", "tls.crt", "tls.key", "xds-authorities.json", "xds-certificate.json"]);
    assert_eq!(secret["data"]["tls.key"], "S0VZ");
}

#[test]
fn envoy_takes_what_it_is_given() {
    let objects = objects(&json!({}));
    let dir = tempfile::tempdir().unwrap();
    let ca = testbed::pki::Ca::new("ca").unwrap();
    let envoy = ca.client(&["envoy"]).unwrap();
    for (name, text) in [("ca.crt", &ca.pem()), ("tls.crt", &envoy.cert), ("tls.key", &envoy.key)] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let moved = |text: &str| text.replace("/certs", &dir.path().display().to_string());
    for name in ["xds-authorities.json", "xds-certificate.json"] {
        let document = of(&objects, Kind::Secret)["data"][name].as_str().unwrap().to_owned();
        let document = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(document).unwrap()).unwrap();
        fs::write(dir.path().join(name), moved(&document)).unwrap();
    }
    let bootstrap = take_bootstrap(&mut of(&objects, Kind::Deployment));
    testbed::envoy::validate(&moved(&bootstrap.to_string())).unwrap();
}

#[test]
fn everything_of_a_deployment_can_be_said() {
    let objects = objects(&kubernetes(&json!({
        "envoyDeployment": {
            "name": "edge", "replicas": 3, "strategy": {"type": "Recreate"},
            "pod": {"labels": {"team": "a", "app.kubernetes.io/name": "stolen"}, "annotations": {"prometheus.io/scrape": "false"},
                "securityContext": {"runAsUser": 1}, "affinity": {"nodeAffinity": {}}, "tolerations": [{"key": "edge"}],
                "volumes": [{"name": "tmp", "emptyDir": {}}], "imagePullSecrets": [{"name": "pull"}],
                "nodeSelector": {"edge": "true"}, "priorityClassName": "high",
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]},
            "container": {"imageRepository": "registry.example/envoy", "env": [{"name": "A", "value": "1"}],
                "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}, "securityContext": {"runAsUser": 2},
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]},
            "initContainers": [{"name": "first", "image": "x"}],
            "patch": {"value": {"spec": {"template": {"spec": {"hostNetwork": true,
                "containers": [{"name": "shutdown-manager", "image": "other"}]}}}}}},
        "envoyServiceAccount": {"name": "account"}})));
    let mut deployment = of(&objects, Kind::Deployment);
    take_bootstrap(&mut deployment);
    // What is not said here is as in the usual fleet.
    for container in deployment["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap() {
        for field in ["args", "command", "lifecycle", "livenessProbe", "readinessProbe", "ports"] {
            container.as_object_mut().unwrap().remove(field);
        }
    }
    insta::assert_yaml_snapshot!("full_deployment", deployment);
    assert_eq!(of(&objects, Kind::ServiceAccount)["metadata"]["name"], "account");
}

#[test]
fn who_scales_has_the_number_of_replicas() {
    let objects = objects(&kubernetes(&json!({
        "envoyDeployment": {"name": "edge", "replicas": 3},
        "envoyHpa": {"minReplicas": 2, "maxReplicas": 9, "name": "scaler",
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization",
            "averageUtilization": 60}}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 60}}},
        "envoyPDB": {"minAvailable": "50%", "patch": {"type": "JSONMerge",
        "value": {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}}}})));
    assert_eq!(of(&objects, Kind::Deployment)["spec"].get("replicas"), None);
    insta::assert_yaml_snapshot!("scaler", of(&objects, Kind::HorizontalPodAutoscaler)["spec"]);
    insta::assert_yaml_snapshot!("budget", of(&objects, Kind::PodDisruptionBudget)["spec"]);
}

#[test]
fn a_daemon_set_stands_in_for_the_deployment() {
    let objects = objects(&kubernetes(&json!({"envoyDaemonSet": {
        "strategy": {"type": "OnDelete"}, "pod": {"nodeSelector": {"edge": "true"}},
        "patch": {"type": "StrategicMerge", "value": {"metadata": {"labels": {"a": "b"}}}}}})));
    assert_eq!(of(&objects, Kind::Deployment), Value::Null);
    let set = of(&objects, Kind::DaemonSet);
    assert_eq!(set["spec"]["updateStrategy"]["type"], "OnDelete");
    assert_eq!(set["metadata"]["labels"]["a"], "b");
    assert_eq!(set["spec"]["template"]["spec"]["nodeSelector"], json!({"edge": "true"}));
    assert_eq!(set["spec"]["selector"]["matchLabels"], of(&objects, Kind::Service)["spec"]["selector"]);
}

#[test]
fn everything_of_a_service_can_be_said() {
    let proxy = json!({"ipFamily": "DualStack", "provider": {"type": "Kubernetes", "kubernetes": {
        "useListenerPortAsContainerPort": true,
        "envoyService": {"name": "front", "annotations": {"lb": "x"}, "labels": {"team": "a"}, "loadBalancerClass": "lb.example/a",
            "allocateLoadBalancerNodePorts": false, "loadBalancerSourceRanges": ["192.0.2.0/24"], "loadBalancerIP": "192.0.2.1",
            "externalTrafficPolicy": "Cluster",
            "patch": {"value": {"spec": {"ports": [{"port": 80, "nodePort": 30080}]}}}}}}});
    let objects = objects(&proxy);
    insta::assert_yaml_snapshot!("full_service", of(&objects, Kind::Service));
    let bootstrap = take_bootstrap(&mut of(&objects, Kind::Deployment));
    let ready = &bootstrap["static_resources"]["listeners"][0]["address"]["socket_address"];
    assert_eq!(ready, &json!({"address": "::", "ipv4_compat": true, "port_value": 19003}));
}

#[test]
fn other_types_of_service_have_no_load_balancer() {
    let service =
        |wanted: Value| of(&objects(&kubernetes(&json!({"envoyService": wanted}))), Kind::Service)["spec"].take();
    let inside = service(json!({"type": "ClusterIP", "loadBalancerClass": "a"}));
    assert_eq!(
        (&inside["type"], inside.get("externalTrafficPolicy"), inside.get("loadBalancerClass")),
        (&json!("ClusterIP"), None, None)
    );
    assert_eq!(service(json!({"type": "NodePort"}))["externalTrafficPolicy"], "Local");
}

#[test]
fn gateways_say_labels_annotations_and_addresses() {
    let more = json!({"addresses": [{"type": "IPAddress", "value": "192.0.2.7"}, {"type": "Hostname", "value": "a.example"}],
        "infrastructure": {"labels": {"team": "a", "app.kubernetes.io/name": "stolen"}, "annotations": {"note": "b"}}});
    let objects = render_all(&(class(&json!({})) + &gateway("eg", &more)), &settings()).unwrap();
    for object in &objects {
        let meta = &object.value["metadata"];
        assert_eq!((&meta["labels"]["team"], &meta["annotations"]["note"]), (&json!("a"), &json!("b")), "{object}");
        assert_eq!(meta["labels"]["app.kubernetes.io/name"], "envoy", "{object}");
    }
    let pod = &of(&objects, Kind::Deployment)["spec"]["template"]["metadata"];
    assert_eq!((&pod["labels"]["team"], &pod["annotations"]["note"]), (&json!("a"), &json!("b")));
    assert_eq!(of(&objects, Kind::Service)["spec"]["externalIPs"], json!(["192.0.2.7"]));
}

#[test]
fn merged_gateways_are_one_fleet_of_their_class() {
    let other = json!({"listeners": [{"name": "http", "protocol": "HTTP", "port": 8080}]});
    let manifests = class(&json!({"mergeGateways": true})) + &gateway("eg", &json!({})) + &gateway("other", &other);
    let settings = Settings { deploy: KubernetesDeployType::GatewayNamespace, ..settings() };
    let objects = render_all(&manifests, &settings).unwrap();
    assert_eq!(names(&objects)[3], "Service envoy-gateway-system/envoy-eg-d8c59e83");
    let service = of(&objects, Kind::Service);
    assert_eq!(service["spec"]["selector"]["gateway.envoyproxy.io/owning-gatewayclass"], "eg");
    assert_eq!(service["metadata"]["labels"].get("gateway.networking.k8s.io/gateway-name"), None);
    let ports: Vec<_> = service["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect();
    assert_eq!(ports, [53, 80, 8080, 9000]);
}

#[test]
fn in_the_gateways_namespace_objects_go_with_it() {
    let settings = Settings { deploy: KubernetesDeployType::GatewayNamespace, ..settings() };
    let objects = render_all(&(class(&json!({})) + &gateway("eg", &json!({}))), &settings).unwrap();
    for object in &objects {
        assert_eq!((&*object.namespace, &*object.name), ("default", "eg"));
        let owner = json!([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "eg", "uid": "uid-of-eg"}]);
        assert_eq!(object.value["metadata"]["ownerReferences"], owner);
    }
}

#[test]
fn the_end_takes_as_long_as_it_is_allowed_to() {
    let shutdown = json!({"drainTimeout": "10m", "minDrainDuration": "1s", "healthCheckFailureDelay": "500ms"});
    let pod = of(&objects(&json!({"shutdown": shutdown})), Kind::Deployment)["spec"]["template"]["spec"].take();
    assert_eq!(pod["terminationGracePeriodSeconds"], 630);
    let drain = pod["containers"][1]["lifecycle"]["preStop"]["exec"]["command"].as_array().unwrap();
    let drain: Vec<_> = drain.iter().filter_map(Value::as_str).collect();
    let expected =
        "portcullis envoy shutdown --drain-timeout 10m --min-drain-duration 1s --health-check-failure-delay 500ms";
    assert_eq!(drain.join(" "), expected);
}

#[test]
fn a_port_without_routes_is_there_and_leads_nowhere_else() {
    let more = json!({"listeners": [{"name": "http", "protocol": "HTTP", "port": 80},
        {"name": "tls", "protocol": "TLS", "port": 10080, "tls": {"mode": "Passthrough"}},
        {"name": "more", "protocol": "TLS", "port": 8443, "tls": {"mode": "Passthrough"}}]});
    let objects = render_all(&(class(&json!({})) + &gateway("eg", &more)), &settings()).unwrap();
    let service = of(&objects, Kind::Service);
    let ports = service["spec"]["ports"].as_array().unwrap();
    let ports: Vec<_> = ports.iter().map(|port| (port["name"].as_str().unwrap(), &port["targetPort"])).collect();
    assert_eq!(ports, [("http-80", &json!(10080)), ("tls-8443", &json!(8443))]);
}

#[test]
fn without_metrics_there_is_no_port_for_them() {
    let objects = objects(&json!({"telemetry": {"metrics": {"prometheus": {"disable": true}}}}));
    let template = of(&objects, Kind::Deployment)["spec"]["template"].take();
    assert_eq!(template["metadata"].get("annotations"), None);
    assert!(!template["spec"]["containers"][0]["ports"].to_string().contains("metrics"));
}

#[test]
fn what_cannot_be_used_says_where_it_is() {
    let error =
        |proxy: Value| render_all(&(class(&proxy) + &gateway("eg", &json!({}))), &settings()).unwrap_err().to_string();
    let patched = kubernetes(&json!({"envoyService": {"patch": {"value": {"metadata": {"name": "b"}}}}}));
    assert!(error(patched).starts_with("provider.kubernetes.envoyService.patch: "));
    let text = error(json!({"bootstrap": {"value": "a: b"}}));
    assert!(text.contains("bootstrap"), "{text}");
}

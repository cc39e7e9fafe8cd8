//! What breaks a cluster for others is done to a cluster of its own, one after the other: its resource definitions check
//! nothing, its API server is killed, its history is forgotten.

use std::net::SocketAddr;

use serde_json::json;
use testbed::cluster::Cluster;

use super::{
    admin::{Admin, config},
    house::Stay,
    malformed::{self, NAME},
    manifests::{class, config_map, gateway, http, namespace, permissive_crds, route, service},
    proxy::Line,
    room::{Controller, controller_name, of_all, sends},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_ill() {
    // The shared one stays up meanwhile for those that come after.
    let _stay = Stay::begin().await;
    let mut cluster = Cluster::api_only().start().await.unwrap();
    let kubeconfig = cluster.kubeconfig();
    let admin = Admin::new(&kubeconfig).await.unwrap();
    for name in [NAME, "poisoned-other"] {
        admin.apply(&namespace(name)).await;
    }
    // The kinds are not there yet, which is no error; they are found as their definitions come.
    let controller = of_all(&kubeconfig, &controller_name(NAME)).await.unwrap();
    let none_is_served =
        |told: &[String]| told.len() == 17 && told.iter().all(|told| told.contains("is not served by the API server"));
    controller.until_problems("17 kinds that are not served", none_is_served).await;
    cluster.apply(&permissive_crds()).await.unwrap();
    cluster.wait(&["--for=condition=Established", "crd", "--all"]).await.unwrap();
    controller.until_problems("all kinds to be served", <[String]>::is_empty).await;
    admin.apply(&class(NAME, &controller_name(NAME))).await;

    malformed::harm_only_themselves(&admin, &kubeconfig, &controller).await;
    a_server_that_is_killed(&mut cluster, &admin, &controller).await;
    a_watch_that_is_too_old(&mut cluster, &admin).await;
    drop(controller);
    cluster.stop().await.unwrap();
}

/// Nothing is lost while it is down, and what changes after is seen.
async fn a_server_that_is_killed(cluster: &mut Cluster, admin: &Admin, controller: &Controller) {
    admin.apply_all(&[gateway(NAME, "gw", NAME, http()), route(NAME, "before", "before.example", json!([]))]).await;
    controller.until_sent("before.example", true).await;
    cluster.kill_api_server().expect("the cluster does it");
    let is_told = |told: &[String]| told.iter().any(|told| told.starts_with("httproutes cannot be read just now"));
    controller.until_problems("the loss of the server", is_told).await;
    let during = controller.outlets.output.borrow().clone().expect("there is an output");
    assert!(sends(&during, "before.example"), "what was read stays in force");
    cluster.start_api_server().await.expect("the cluster does it");
    admin.apply(&route(NAME, "after", "after.example", json!([]))).await;
    let after = controller.until_sent("after.example", true).await;
    assert!(sends(&after, "before.example"));
    controller.until_problems("nothing to be wrong", <[String]>::is_empty).await;
}

/// A controller that was cut off while things changed, and whose place in history is forgotten, begins anew.
async fn a_watch_that_is_too_old(cluster: &mut Cluster, admin: &Admin) {
    let far = SocketAddr::from((cluster.net().node().0, 6443));
    let line = Line::to(far).await;
    let mut config = config(&cluster.kubeconfig()).await.expect("the cluster does it");
    config.cluster_url = format!("https://{}", line.address).parse().expect("it is a URL");
    config.tls_server_name = Some("kubernetes".to_owned());
    let text = |text: &str| config_map(NAME, "text", &[("response.body", text)]);
    admin.apply_all(&super::secrets::readers(NAME, "text", "none")).await;
    admin.apply(&text("first-text")).await;
    admin.apply_all(&service(NAME, "web", "10.9.0.1")).await;
    admin.apply(&route(NAME, "kept", "kept.example", json!([{"name": "web", "port": 80}]))).await;
    let controller = Controller::start(config, &controller_name(NAME), None).await;
    controller.until_sent("first-text", true).await;
    let place = admin.version(&route(NAME, "kept", "", json!([]))).await;
    line.cut();
    let is_told = |told: &[String]| told.iter().any(|told| told.starts_with("httproutes cannot be read just now"));
    controller.until_problems("the cut", is_told).await;
    admin.delete(&route(NAME, "before", "", json!([]))).await;
    admin.apply(&route(NAME, "after", "changed.example", json!([]))).await;
    admin.apply(&route(NAME, "new", "new.example", json!([]))).await;
    admin.apply(&text("second-text")).await;
    admin.apply_all(&service(NAME, "web", "10.9.0.2")).await;
    cluster.kill_api_server().expect("the cluster does it");
    cluster.forget_history().await.expect("the cluster does it");
    cluster.start_api_server().await.expect("the cluster does it");
    let cut_off = controller.outlets.output.borrow().clone().expect("there is an output");
    assert!(sends(&cut_off, "before.example") && sends(&cut_off, "first-text"), "what was read stays in force");
    // Its place in history is gone.
    let watch =
        format!("/apis/gateway.networking.k8s.io/v1/httproutes?watch=1&timeoutSeconds=1&resourceVersion={place}");
    let answer = cluster.kubectl(&["get", "--raw", &watch]).await;
    let answer = answer.unwrap_or_else(|error| error.to_string());
    assert!(answer.contains("too old resource version"), "{answer}");
    line.mend();
    let now = ["changed.example", "new.example", "second-text", "10.9.0.2", "kept.example"];
    let past = ["before.example", "after.example", "first-text", "10.9.0.1"];
    let found_out = |output: &controller::pipeline::Output| {
        now.iter().all(|text| sends(output, text)) && !past.iter().any(|text| sends(output, text))
    };
    controller.until("what happened meanwhile", found_out).await;
    controller.until_problems("nothing to be wrong", <[String]>::is_empty).await;
}

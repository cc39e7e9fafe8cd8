//! What the tests do beside installing: two of everything, further routes, and looks into pods.

use std::{collections::BTreeSet, net::IpAddr, time::Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{PATIENCE, load::Load, wait::wait_for};

use super::installed::{CONTROLLER, HOST, NAMESPACE, QUICKSTART, Site, TAG, get};

/// The pods of the controller, and those of Envoys, by their labels.
pub(crate) const CONTROLLERS: &str = "--selector=app.kubernetes.io/name=envoy-gateway";
pub(crate) const ENVOYS: &str = "--selector=app.kubernetes.io/component=proxy";

const TWO_ENVOYS: &str = "
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyProxy
metadata: {name: two, namespace: default}
spec: {provider: {type: Kubernetes, kubernetes: {envoyDeployment: {replicas: 2}}}}
";

impl Site {
    /// Gives the controller's configuration one more field, and starts it anew.
    pub(crate) async fn configure(&self, field: &str, value: &Value) -> Result<()> {
        let map = self.kubectl(&["get", "configmap", "envoy-gateway-config", "--output=json"]).await?;
        let map: Value = serde_json::from_str(&map)?;
        let text = map["data"]["envoy-gateway.yaml"].as_str().context("it has its configuration")?;
        let changed = json!({"data": {"envoy-gateway.yaml": format!("{text}{field}: {value}\n")}});
        self.kubectl(&["patch", "configmap", "envoy-gateway-config", "--type=merge", "--patch", &changed.to_string()])
            .await?;
        self.kubectl(&["rollout", "restart", CONTROLLER]).await?;
        self.rolled_out(CONTROLLER).await
    }

    /// A cluster in which the quickstart is served, by one controller and one Envoy.
    pub(crate) async fn serving() -> Result<(Self, IpAddr)> {
        let site = Self::start().await?;
        site.install(TAG).await?;
        let address = site.quickstart().await?;
        Ok((site, address))
    }

    /// A cluster in which the quickstart is served, by two controllers and two Envoys.
    pub(crate) async fn redundant() -> Result<(Self, IpAddr)> {
        let (site, address) = Self::serving().await?;
        site.kubectl(&["scale", CONTROLLER, "--replicas=2"]).await?;
        let proxy = "  gatewayClassName: eg\n  infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, \
                     name: two}}\n";
        let gateway = QUICKSTART.replacen("  gatewayClassName: eg\n", proxy, 1);
        site.cluster.apply(&format!("{TWO_ENVOYS}---\n{gateway}")).await?;
        site.rolled_out(CONTROLLER).await?;
        let two = async || (site.ready_pods(ENVOYS).await.ok()?.len() == 2).then_some(());
        wait_for("two Envoys", PATIENCE, two).await?;
        Ok((site, address))
    }

    /// The pods with these labels in the controller's namespace.
    pub(crate) async fn pods(&self, selector: &str) -> Result<Vec<Value>> {
        let pods = self.kubectl(&["get", "pods", selector, "--output=json"]).await?;
        let mut pods: Value = serde_json::from_str(&pods)?;
        Ok(pods["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// The names of those that are ready and stay.
    pub(crate) async fn ready_pods(&self, selector: &str) -> Result<BTreeSet<String>> {
        let is_ready = |pod: &&Value| {
            let conditions = pod["status"]["conditions"].as_array();
            let ready = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
            pod["metadata"]["deletionTimestamp"].is_null() && conditions.is_some_and(|all| all.iter().any(ready))
        };
        let pods = self.pods(selector).await?;
        Ok(pods.iter().filter(is_ready).filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect())
    }

    /// Waits until none of these pods is left.
    pub(crate) async fn gone(&self, pods: &BTreeSet<String>) -> Result<()> {
        let pods = pods.iter().map(|name| format!("pod/{name}"));
        let args: Vec<String> =
            ["wait", "--for=delete", "--timeout=120s"].map(str::to_owned).into_iter().chain(pods).collect();
        self.kubectl(&args.iter().map(String::as_str).collect::<Vec<_>>()).await.map(drop)
    }

    /// The name of the Envoys' Deployment, as kubectl is told.
    pub(crate) async fn envoys(&self) -> Result<String> {
        let name = self.kubectl(&["get", "deployments", ENVOYS, "--output=name"]).await?;
        name.lines().next().map(str::to_owned).context("there are no Envoys")
    }

    /// Adds a route for a host and waits until it is served: changes take effect. Says how long it took.
    pub(crate) async fn takes_effect(&self, address: IpAddr, name: &str) -> Result<()> {
        let began = Instant::now();
        self.cluster.apply(&route(name).to_string()).await?;
        self.answers(address, &format!("{name}.example.com"), 200).await?;
        println!("the route {name} is served after {:?}", began.elapsed());
        Ok(())
    }

    /// An object of the namespace `default` as it is.
    pub(crate) async fn object(&self, kind: &str, name: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.cluster.kubectl(&["get", kind, name, "--output=json"]).await?)?)
    }

    /// Waits until an object is as wanted.
    pub(crate) async fn until(
        &self,
        kind: &str,
        name: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let found = async || self.object(kind, name).await.ok().filter(|object| wanted(object));
        let found = wait_for(&format!("{kind} {name} {what}"), PATIENCE, found).await;
        match found {
            Ok(found) => Ok(found),
            Err(error) => Err(error.context(format!("{:#}", self.object(kind, name).await?["status"]))),
        }
    }

    /// What the pods with these labels have logged, of all their containers.
    pub(crate) async fn logs(&self, selector: &str) -> Result<String> {
        let args = ["logs", selector, "--all-containers", "--tail=-1", "--prefix"];
        self.kubectl(&args).await
    }

    /// Asks for a page that a pod serves to itself alone: from its node, in its network.
    pub(crate) async fn page(&self, pod: &Value, port: u16, path: &str) -> Result<String> {
        let container = Self::container(pod).context("it runs")?;
        let tasks = self.cluster.run("ctr", &["--namespace=k8s.io", "tasks", "list"]).await?;
        let task = tasks.lines().find(|line| line.starts_with(container)).context("it has a process")?;
        let process = task.split_whitespace().nth(1).context("it has a number")?;
        let script = r#"exec 3<>"/dev/tcp/127.0.0.1/$1"; printf '%s' "$2" >&3; cat <&3"#;
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let args = ["--target", process, "--net", "--", "bash", "-c", script, "page", &port.to_string(), &request];
        let answer = self.cluster.run("nsenter", &args).await?;
        let status = answer.lines().next().unwrap_or_default();
        anyhow::ensure!(status.contains(" 200"), "{path}: {status}");
        Ok(answer)
    }

    /// The id of a pod's container that runs.
    pub(crate) fn container(pod: &Value) -> Option<&str> {
        let status = &pod["status"]["containerStatuses"][0];
        status["containerID"].as_str()?.strip_prefix("containerd://").filter(|_| status["state"]["running"].is_object())
    }
}

/// Puts the quickstart at an address under load.
pub(crate) fn loaded(address: IpAddr) -> Load {
    Load::start(&get(address, HOST))
}

/// A route for `NAME.example.com` to the quickstart's application.
pub(crate) fn route(name: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [{"name": "eg"}], "hostnames": [format!("{name}.example.com")],
            "rules": [{"backendRefs": [{"name": "backend", "port": 3000}]}]}})
}

/// Whether a condition of a route's first parent has this status.
pub(crate) fn is(object: &Value, condition: &str, status: &str) -> bool {
    let conditions = object["status"]["parents"][0]["conditions"].as_array();
    let conditions = conditions.or_else(|| object["status"]["conditions"].as_array());
    conditions.is_some_and(|all| all.iter().any(|one| one["type"] == condition && one["status"] == status))
}

/// Many objects as one document.
pub(crate) fn list(objects: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

/// Asks for the identity of the leader.
pub(crate) const WHO_LEADS: [&str; 5] = [
    "--namespace",
    NAMESPACE,
    "get",
    "lease/5b9825d2.gateway.envoyproxy.io",
    "--output=jsonpath={.spec.holderIdentity}",
];

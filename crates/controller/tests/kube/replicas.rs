//! Two processes of the real program on one cluster: both serve, one writes, and when that one is killed the other one does. And
//! nothing that either of them shows holds a secret.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{
    PATIENCE,
    client::Request,
    pki::{Ca, Identity},
    planted::forms,
    process::{Process, Spec},
    wait::wait_for,
};

use super::{
    admin::Admin,
    house::Stay,
    manifests::{
        EXTENSIONS, GATEWAY_API, backend, certificate, class, gateway, https, namespace, object, route, secret, service,
    },
    room::controller_name,
    secrets::first_line,
};

const NAME: &str = "replicas";
const CANARY: &str = "canary-7f3a9c";

/// A process of the program.
struct Replica {
    process: Process,
    dir: TempDir,
}

impl Replica {
    async fn start(stay: &Stay) -> Self {
        let dir = TempDir::with_prefix("kube-").expect("a directory");
        let config = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyGateway",
            "gateway": {"controllerName": controller_name(NAME)},
            "provider": {"type": "Kubernetes", "kubernetes": {
                "watch": {"type": "Namespaces", "namespaces": [NAME]},
                "leaderElection": {"leaseDuration": "3s", "renewDeadline": "2s", "retryPeriod": "500ms"},
                "listen": {"health": "127.0.0.1:0", "metrics": "127.0.0.1:0"},
            }},
            "admin": {"address": {"host": "127.0.0.1", "port": 0}},
            "extensionApis": {"enableBackend": true},
            "rateLimit": {"service": {"host": "limits.example"}, "configAddress": "127.0.0.1:0"},
        });
        let file = dir.path().join("config.yaml");
        fs::write(&file, config.to_string()).expect("it can be written");
        let spec = Spec::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["server", "--xds-address", "127.0.0.1:0", "--log-level", "debug", "--config-path"])
            .arg(file)
            .env("KUBECONFIG", stay.cluster().kubeconfig())
            .env("ENVOY_GATEWAY_NAMESPACE", NAME)
            .env("TMPDIR", dir.path());
        Self { process: spec.start().expect("it was built"), dir }
    }

    fn socket(&self) -> PathBuf {
        let entries = fs::read_dir(self.dir.path()).into_iter().flatten().flatten();
        let runtime = entries.map(|entry| entry.path()).find(|path| path.join("admin.sock").exists());
        runtime.unwrap_or_default().join("admin.sock")
    }

    async fn text(&self, path: &str) -> Option<String> {
        let answer = Request::get(&format!("http://localhost{path}")).to(self.socket()).send().await.ok()?;
        Some(answer.text())
    }

    /// What Envoys get, without the number of the change, which each process counts for itself.
    async fn dump(&self) -> Option<Value> {
        let mut dump: Value = serde_json::from_str(&self.text("/config_dump").await?).ok()?;
        for fleet in dump.as_array_mut()? {
            fleet.as_object_mut()?.remove("revision");
        }
        Some(dump)
    }

    async fn until_served(&self, text: &str) -> Value {
        let dump = async || self.dump().await.filter(|dump| dump.to_string().contains(text));
        let found = wait_for(&format!("{text} to be served"), PATIENCE, dump).await;
        found.unwrap_or_else(|error| panic!("{error:#}\n{}", self.process.tail()))
    }

    /// Everything that it shows.
    async fn shown(&self) -> String {
        let mut all = self.process.log();
        for page in [
            "/",
            "/api/resources",
            "/api/problems",
            "/api/gateways",
            "/api/envoys",
            "/config_dump",
            "/config",
            "/metrics",
            "/readyz",
        ] {
            all += &self.text(page).await.unwrap_or_else(|| panic!("no {page}"));
        }
        all
    }

    async fn leads(&self) -> bool {
        self.text("/metrics").await.is_some_and(|metrics| metrics.lines().any(|line| line == "portcullis_leader 1"))
    }
}

/// What both serve: with a secret in every place that may hold one, and some that are broken.
fn objects(identity: &Identity) -> Vec<Value> {
    let listeners = json!([
        {"name": "http", "port": 80, "protocol": "HTTP"},
        https("https", 443, "r.example", &json!({"name": "certificate"})),
        https("broken", 444, "broken.example", &json!({"name": "broken"})),
    ]);
    let broken =
        [("tls.crt", &*format!("{CANARY}-1")), ("tls.key", &*format!("-----BEGIN PRIVATE KEY-----\n{CANARY}-2"))];
    let target = json!([{"group": GATEWAY_API, "kind": "HTTPRoute", "name": "r"}]);
    let value = json!({"group": "", "kind": "Secret", "name": "context", "key": "key"});
    let auth = json!({"targetRefs": target, "extAuth": {"grpc": {"backendRefs": [{"name": "web", "port": 80}]},
        "contextExtensions": [{"name": "k", "type": "ValueRef", "valueRef": value}]}});
    let inject =
        json!({"credentialInjection": {"credential": {"valueRef": {"group": "", "kind": "Secret", "name": "token"}}}});
    let tls = json!({"wellKnownCACertificates": "System", "clientCertificateRef": {"name": "broken"}});
    let mut r = route(NAME, "r", "r.example", json!([{"name": "web", "port": 80}]));
    r["spec"]["rules"][0]["filters"] = json!([{"type": "ExtensionRef",
        "extensionRef": {"group": EXTENSIONS, "kind": "HTTPRouteFilter", "name": "inject"}}]);
    let mut insecure = backend(NAME, "insecure", "insecure.example");
    insecure["spec"]["tls"] = tls;
    let mut all = vec![
        class(NAME, &controller_name(NAME)),
        certificate(NAME, "certificate", identity),
        secret(NAME, "broken", &broken),
        secret(NAME, "token", &[("credential", &format!("{CANARY}-3"))]),
        secret(NAME, "context", &[("key", &format!("{CANARY}-4"))]),
        secret(NAME, "unused", &[("key", &format!("{CANARY}-5"))]),
        object(EXTENSIONS, "HTTPRouteFilter", NAME, "inject", inject),
        object(EXTENSIONS, "SecurityPolicy", NAME, "auth", auth),
        insecure,
        route(
            NAME,
            "insecure",
            "insecure.example",
            json!([{"group": EXTENSIONS, "kind": "Backend", "name": "insecure"}]),
        ),
        gateway(NAME, "gw", NAME, listeners),
        r,
    ];
    all.extend(service(NAME, "web", "10.1.0.1"));
    all
}

#[tokio::test]
async fn one_leads_and_the_other_takes_over() {
    let stay = Stay::begin().await;
    let admin = Admin::new(&stay.cluster().kubeconfig()).await.unwrap();
    admin.apply(&namespace(NAME)).await;
    let identity = Ca::new(NAME).unwrap().server(&["r.example"]).unwrap();
    let all = objects(&identity);
    admin.apply_all(&all).await;
    let replicas = [Replica::start(&stay).await, Replica::start(&stay).await];
    let mut served = Vec::new();
    for replica in &replicas {
        served.push(replica.until_served("insecure.example").await);
    }
    assert_eq!(served[0], served[1]);
    assert!(served[0].to_string().contains("[redacted]"), "there is something to hide");

    let [mut leader, mut other] = replicas;
    let one_leads =
        wait_for("a leader", PATIENCE, async || (leader.leads().await || other.leads().await).then_some(()));
    one_leads.await.unwrap();
    if other.leads().await {
        std::mem::swap(&mut leader, &mut other);
    }
    let is_told = |route: &Value| route["status"]["parents"][0]["controllerName"] == controller_name(NAME);
    let r = route(NAME, "r", "r.example", json!([]));
    admin.until("the status of the route", &r, is_told).await;
    let said = wait_for("all statuses", PATIENCE, async || said(&admin, &all).await);
    let before = said.await.unwrap();
    assert!(!other.leads().await, "one leads");

    leader.process.kill().unwrap();
    let killed = std::time::Instant::now();
    wait_for("the other one to lead", PATIENCE, async || other.leads().await.then_some(())).await.unwrap();
    println!("leader killed, the other one leads after {:?} of a lease of 3 s", killed.elapsed());
    let new = route(NAME, "new", "new.example", json!([{"name": "web", "port": 80}]));
    admin.apply(&new).await;
    admin.until("the status of a new route", &new, is_told).await;
    other.until_served("new.example").await;
    let after = self::said(&admin, &all).await.expect("they are said still");
    let same = |(before, after): (&Value, &Value)| {
        // Of the Gateway it is said how many routes there are.
        before["kind"] == "Gateway" || before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    };
    assert!(before.iter().zip(&after).all(same), "only what differs is written: {before:#?} {after:#?}");

    // A third one, that knows nothing of before, serves the very same.
    let third = Replica::start(&stay).await;
    assert_eq!(third.until_served("new.example").await, other.dump().await.unwrap());
    shows_no_secret(
        &[&leader.process.log(), &other.shown().await, &third.shown().await, &json!(after).to_string()],
        &identity,
    );
}

/// The objects with a status that have one, and the class its finalizer; `None` while one is missing.
async fn said(admin: &Admin, objects: &[Value]) -> Option<Vec<Value>> {
    let mut said = Vec::new();
    for object in objects {
        let row = api::parse::kind_of(object).expect("it is a kind");
        if row.status {
            let is_said = |now: &Value| {
                now["status"].is_object() && (row.kind != "GatewayClass" || now["metadata"]["finalizers"].is_array())
            };
            said.push(admin.get(object).await.filter(is_said)?);
        }
    }
    Some(said)
}

fn shows_no_secret(shown: &[&str], identity: &Identity) {
    let texts = (1..=5).map(|n| format!("{CANARY}-{n}")).chain([first_line(&identity.key).to_owned()]);
    for text in texts {
        for form in forms(&text) {
            assert!(shown.iter().all(|shown| !shown.contains(&form)), "{text} is shown as {form}");
        }
    }
}

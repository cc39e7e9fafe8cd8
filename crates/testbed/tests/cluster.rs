//! A real Kubernetes comes up, does what it should, and leaves nothing behind. These tests need root.

use std::fs;
use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::cluster::{Channel, Cluster, Handle, Image, is_held, sweep_all};
use testbed::process::Spec;
use testbed::wait::{wait_for, wait_until};

/// What of a cluster could be left on the machine.
struct Traces {
    name: String,
    dir: PathBuf,
    link: String,
    /// The number of the device, which no other of that name has.
    device: String,
}

impl Traces {
    fn of(cluster: &Handle) -> Self {
        let dir = cluster.logs().parent().expect("logs lie in the directory of the cluster").to_owned();
        let link = format!("portcullis{}", cluster.net().to_string().trim_start_matches("10."));
        let device = device(&link).expect("the cable is there");
        Self { name: cluster.name().to_owned(), dir, link, device }
    }

    fn has_link(&self) -> bool {
        device(&self.link).is_some_and(|device| device == self.device)
    }

    fn processes(&self) -> Vec<String> {
        processes_of(&self.dir)
    }

    /// Everything that is there, in words.
    fn found(&self) -> Vec<String> {
        let mut found: Vec<String> = self.processes().iter().map(|id| format!("process {id}")).collect();
        for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            let group = hierarchy.path().join(format!("portcullis-{}", self.name));
            found.extend(group.exists().then(|| group.display().to_string()));
        }
        let dir = self.dir.to_string_lossy();
        let mentions = |table: &str, trace: &str| {
            let there = fs::read_to_string(table).expect(table).contains(trace);
            there.then(|| format!("{trace} in {table}"))
        };
        let tables = ["/proc/net/dev", "/proc/net/route", "/proc/net/ipv6_route"];
        let network: Vec<String> = tables.iter().filter_map(|table| mentions(table, &self.link)).collect();
        // Another cluster, of another process, may have come to the same number.
        let is_anothers = device(&self.link).is_some_and(|device| device != self.device);
        found.extend(network.into_iter().filter(|_| !is_anothers));
        found.extend(mentions("/proc/mounts", &dir));
        found.extend(self.dir.exists().then(|| self.dir.display().to_string()));
        found.extend(is_held(&self.name).expect("it can be asked").then(|| "its name".to_owned()));
        found
    }
}

/// The number of the device of that name, if there is one.
fn device(link: &str) -> Option<String> {
    fs::read_to_string(format!("/sys/class/net/{link}/ifindex")).ok()
}

/// The processes that have the directory of a cluster among their arguments or in their environment. All its daemons have, and
/// what they start.
fn processes_of(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let wanted = dir.to_string_lossy().into_owned();
    let mentions = |id: &String| {
        let read = |file: &str| fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        [read("cmdline"), read("environ")].iter().any(|text| String::from_utf8_lossy(text).contains(&wanted))
    };
    ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit())).filter(mentions).collect()
}

#[tokio::test]
async fn an_api_without_a_node() {
    let cluster = Cluster::api_only().kwok().start().await.unwrap();
    let traces = Traces::of(&cluster);
    assert!(traces.processes().len() >= 4, "init, etcd, API server, controllers: {:?}", traces.processes());
    assert!(cluster.components().unwrap().iter().all(|component| component.runs));

    cluster
        .apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: colors, namespace: default}, data: {sky: blue}}")
        .await
        .unwrap();
    let stored = cluster.api().get("/api/v1/namespaces/default/configmaps/colors").await.unwrap();
    assert_eq!(stored["data"]["sky"], "blue");

    cluster.install_gateway_api(Channel::Standard).await.unwrap();
    cluster.apply(GATEWAY_CLASS).await.unwrap();
    let refused = cluster.apply(&GATEWAY_CLASS.replace("controllerName: example.com/gateway", "")).await.unwrap_err();
    assert!(refused.to_string().contains("controllerName"), "{refused}");

    // Nodes and pods that are only numbers.
    cluster.apply("{apiVersion: v1, kind: Node, metadata: {name: fake}}").await.unwrap();
    cluster.kubectl(&["create", "deployment", "web", "--image=example.com/none:1", "--replicas=20"]).await.unwrap();
    cluster.wait(&["--for=condition=Available", "deployment/web"]).await.unwrap();

    cluster.stop().await.unwrap();
    assert_eq!(traces.found(), Vec::<String>::new());
}

const GATEWAY_CLASS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: example.com/gateway}
";

/// Builds what is not in the cache, which may take minutes, so that what follows takes seconds.
async fn prepare() {
    let prepared = tokio::task::spawn_blocking(|| Cluster::api_only().prepare()).await;
    prepared.expect("it does not panic").expect("it can be built");
}

#[tokio::test]
async fn an_interrupted_start_leaves_nothing() {
    prepare().await;
    let name = format!("cut-{}", std::process::id());
    let logs = testbed::tools::cache_dir().unwrap().join("clusters").join(&name).join("log");
    let begun = wait_until("etcd to have begun", PATIENCE, async || logs.join("etcd.log").exists());
    tokio::select! {
        _ = Cluster::api_only().name(&name).start() => panic!("it should still be starting"),
        begun = begun => begun.unwrap(),
    }
    assert!(!is_held(&name).unwrap());
    assert!(!logs.exists());
    assert_eq!(processes_of(logs.parent().expect("it has one")), Vec::<String>::new());
}

/// Set for a run of this very test binary that is to be killed.
const OWNER: &str = "PORTCULLIS_TEST_OWNS_CLUSTER";

#[tokio::test]
async fn a_cluster_dies_with_its_owner() {
    if let Ok(name) = std::env::var(OWNER) {
        let _cluster = Cluster::api_only().name(&name).start().await.unwrap();
        return std::future::pending().await;
    }
    prepare().await;
    let name = format!("orphan-{}", std::process::id());
    let mut owner = Spec::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_cluster_dies_with_its_owner", "--nocapture"])
        .env(OWNER, &name)
        .start()
        .unwrap();
    let handle = wait_for("the owner's cluster", PATIENCE * 2, async || Handle::open(&name).unwrap()).await.unwrap();
    let traces = Traces::of(&handle);
    assert!(traces.processes().len() >= 4);

    owner.signal(Signal::SIGKILL).unwrap();
    owner.wait_exit(PATIENCE).await.unwrap();
    wait_until("the end of its processes", PATIENCE, async || traces.processes().is_empty()).await.unwrap();
    wait_until("the end of its network", PATIENCE, async || !traces.has_link()).await.unwrap();
    // Files are nobody's now, and go with the next cluster's start.
    sweep_all().unwrap();
    assert_eq!(traces.found(), Vec::<String>::new());
}

/// Set for a run of this very test binary in a network of its own.
const IN_NETWORK: &str = "PORTCULLIS_TEST_IS_IN_NETWORK";

#[tokio::test]
async fn a_network_that_is_in_use_is_refused() {
    if std::env::var_os(IN_NETWORK).is_some() {
        return refuses_networks_in_use().await;
    }
    prepare().await;
    let mut test = Spec::new("unshare")
        .args(["--net", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_network_that_is_in_use_is_refused", "--nocapture"])
        .env(IN_NETWORK, "yes")
        .start()
        .unwrap();
    let status = test.wait_exit(PATIENCE * 2).await.unwrap();
    assert!(status.success() && test.log().contains("1 passed"), "{}", test.log());
}

async fn refuses_networks_in_use() {
    let refused = async |net: &str| {
        let net = net.parse().expect("it is a network");
        let refused = Cluster::api_only().net(net).start().await.expect_err("the network is in use");
        format!("{refused:#}")
    };
    // By another cluster, whose cable may be gone just now.
    let address = SocketAddr::from_abstract_name("portcullis251").expect("it is a name");
    let _anothers = UnixListener::bind_addr(&address).expect("nobody has it in a new network");
    let told = refused("10.251").await;
    assert!(told.contains("the network 10.251 is in use by another cluster"), "{told}");
    // By the machine itself, in a part of it.
    let cluster = Cluster::api_only().start().await.expect("other networks are free");
    for line in ["link set lo up", "route add 10.252.7.0/24 dev lo", "-6 route add fd50:6f72:fd:7::/64 dev lo"] {
        // A node's program in this machine's network.
        let node = cluster.enter().split(' ').nth(2).map(str::to_owned).expect("it names a process");
        let args = ["--target", &node, "--mount", "--", "ip"].into_iter().chain(line.split(' '));
        assert!(Command::new("nsenter").args(args).status().expect("it is there").success(), "{line}");
    }
    for (net, route) in [("10.252", "10.252.7.0/24"), ("10.253", "fd50:6f72:fd:7::/64")] {
        let told = refused(net).await;
        assert!(told.contains(&format!("the network {net} is in use: this machine has the route {route}")), "{told}");
    }
    cluster.stop().await.expect("it ends");
}

const ECHO_IMAGE: &str = "docker.io/portcullis/portcullis-echo:dev";

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: echo
        image: docker.io/portcullis/portcullis-echo:dev
        args: ["--listen", "[::]:3000", "--name", "$(NAME)"]
        env: [{name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        ports: [{containerPort: 3000}]
        readinessProbe: {tcpSocket: {port: 3000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: 3000}]
"#;

#[tokio::test]
async fn pods_behind_a_service() {
    let image = Image::of(ECHO_IMAGE, env!("CARGO_BIN_EXE_portcullis-echo"));
    let cluster = Cluster::full().image(image).start().await.unwrap();
    let traces = Traces::of(&cluster);
    cluster.wait(&["--for=condition=Ready", "node", "--all"]).await.unwrap();
    cluster.apply(WEB).await.unwrap();
    cluster.wait(&["--for=condition=Available", "deployment/web"]).await.unwrap();

    let pods = addresses(&cluster, "/api/v1/namespaces/default/pods?labelSelector=app=web", |list| {
        list["items"][0]["status"]["podIPs"].as_array().map(|all| all.iter().map(|one| &one["ip"]).collect())
    });
    answers("a pod", &pods.await, 3000).await;
    let service = "/api/v1/namespaces/default/services/web";
    let cluster_ips =
        addresses(&cluster, service, |web| web["spec"]["clusterIPs"].as_array().map(|all| all.iter().collect()));
    answers("the Service", &cluster_ips.await, 80).await;
    let balanced = addresses(&cluster, service, |web| {
        web["status"]["loadBalancer"]["ingress"].as_array().map(|all| all.iter().map(|one| &one["ip"]).collect())
    });
    let balanced = balanced.await;
    answers("the load balancer", &balanced, 80).await;

    // From inside: by name, and by an address of the load balancer.
    for url in ["http://web/", "http://web.default.svc.cluster.local/", &url(balanced[0], 80)] {
        let answer =
            cluster.kubectl(&["exec", "deploy/web", "--", "/usr/local/bin/portcullis-echo", "--get", url]).await;
        assert!(answer.as_ref().is_ok_and(|text| text.contains(r#""pod":"web-"#)), "{url}: {answer:?}");
    }
    cluster.stop().await.unwrap();
    assert_eq!(traces.found(), Vec::<String>::new());
}

/// One address of each family, IPv4 first, as soon as they are there.
async fn addresses(
    cluster: &Cluster,
    path: &str,
    pick: impl Fn(&serde_json::Value) -> Option<Vec<&serde_json::Value>>,
) -> [IpAddr; 2] {
    let look = async || {
        let object = cluster.api().get(path).await.ok()?;
        let found: Vec<IpAddr> = pick(&object)?.into_iter().filter_map(|ip| ip.as_str()?.parse().ok()).collect();
        <[IpAddr; 2]>::try_from(found).ok()
    };
    let found = wait_for(&format!("two addresses at {path}"), PATIENCE, look).await.expect("both families");
    assert!(found[0].is_ipv4() && found[1].is_ipv6(), "{found:?}");
    found
}

fn url(address: IpAddr, port: u16) -> String {
    format!("http://{}/", std::net::SocketAddr::new(address, port))
}

/// A pod of ours answers at each address.
async fn answers(who: &str, addresses: &[IpAddr], port: u16) {
    for &address in addresses {
        let url = url(address, port);
        // kube-proxy may need a moment more than the Deployment.
        let what = format!("an answer of {who} at {url}");
        let answer = wait_for(&what, PATIENCE, async || Request::get(&url).send().await.ok()).await.expect("an answer");
        assert!(
            answer.echoed().expect("it is the echo backend").pod.starts_with("web-"),
            "{who} at {url}: {}",
            answer.text()
        );
    }
}

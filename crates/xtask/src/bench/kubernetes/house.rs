//! A cluster with one controller, its Envoy, and routes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use testbed::client::{Connection, Request};
use testbed::cluster::{Calls, Cluster};

use super::contender::{Contender, NAMESPACE};
use super::counters::{Container, status_writes};
use super::manifests;
use super::standing::Standing;

/// How long a change may take before the benchmark gives up.
const LATEST: Duration = Duration::from_secs(60);
/// The pause between two looks at whether a change is there.
const LOOK: Duration = Duration::from_millis(1);
/// The route that nobody changes.
pub(super) const BYSTANDER: &str = "bystander";

/// A running house. Dropping it ends everything.
pub(super) struct House {
    pub(super) cluster: Cluster,
    pub(super) calls: Calls,
    pub(super) standing: Standing,
    pub(super) gateway: SocketAddr,
    pub(super) controller: Container,
    pub(super) envoy: Container,
    /// The number of the next probe: no name is used twice.
    next: usize,
}

/// Counters at one moment.
pub(super) struct Counted {
    processor: Duration,
    received: f64,
    writes: f64,
    at: Instant,
}

/// What some changes have cost.
pub(super) struct Cost {
    /// Of the controller's processor, in ms.
    pub(super) processor: f64,
    /// What Envoy was sent, in KiB.
    pub(super) sent: f64,
    /// Writes of status.
    pub(super) writes: f64,
    /// How long it took, in seconds.
    pub(super) seconds: f64,
}

impl House {
    /// Starts all and waits until the bystander is served.
    pub(super) async fn start(contender: &Contender) -> Result<Self> {
        let spec = contender.images.iter().fold(Cluster::full(), |spec, image| spec.image(image.clone()));
        let cluster = spec.start().await?;
        contender.deploy(&cluster).await?;
        let calls = cluster.api().connect().await?;
        let standing = Standing::follow(cluster.api());
        let kind = format!("gateway/{}", manifests::NAME);
        let path = "jsonpath={.status.addresses[0].value}";
        let address = cluster.kubectl(&["-n", manifests::NAMESPACE, "get", &kind, "-o", path]).await?;
        let gateway = SocketAddr::new(address.parse().context("the Gateway's address")?, 80);
        let controller = controller(&cluster).await?;
        let owned = format!("gateway.envoyproxy.io/owning-gateway-name={}", manifests::NAME);
        let envoy = Container::find(&cluster, NAMESPACE, &owned, "envoy").await?;
        let mut house = Self { cluster, calls, standing, gateway, controller, envoy, next: 0 };
        house.create(BYSTANDER, &manifests::rules("/", 0)).await?;
        house.served(BYSTANDER, "/").await?;
        Ok(house)
    }

    /// Ends all; first who would miss the API server.
    pub(super) async fn stop(self) -> Result<()> {
        drop(self.standing);
        self.cluster.stop().await
    }

    /// Makes a route.
    pub(super) async fn create(&mut self, name: &str, rules: &Value) -> Result<()> {
        self.calls.create(manifests::ROUTES, &manifests::route(name, rules)).await
    }

    /// Gives a route other rules.
    pub(super) async fn change(&mut self, name: &str, rules: &Value) -> Result<()> {
        self.calls.merge_patch(&of(name), &json!({"spec": {"rules": rules}})).await
    }

    /// Deletes a route.
    pub(super) async fn delete(&mut self, name: &str) -> Result<()> {
        self.calls.delete(&of(name)).await
    }

    /// Waits until a route is served.
    pub(super) async fn served(&self, name: &str, path: &str) -> Result<()> {
        self.answers(name, path, 200).await
    }

    async fn answers(&self, name: &str, path: &str, status: u16) -> Result<()> {
        let request = Request::get(&format!("http://{}{path}", manifests::host(name))).to(self.gateway);
        let begin = Instant::now();
        let mut connection = Connection::open(&request).await?;
        // A connection that Envoy closes is no answer.
        while !matches!(connection.send(&request).await, Ok(answer) if answer.status == status) {
            ensure!(begin.elapsed() < LATEST, "the route {name} does not answer {status} after {LATEST:?}");
            tokio::time::sleep(LOOK).await;
            if connection.is_closed() {
                connection = Connection::open(&request).await?;
            }
        }
        Ok(())
    }

    /// Adds a route and takes it away again; how long it takes from applying it to the first answer.
    pub(super) async fn probe(&mut self) -> Result<Duration> {
        let name = format!("probe{}", self.next);
        self.next += 1;
        let begin = Instant::now();
        self.create(&name, &manifests::rules("/", self.next)).await?;
        self.served(&name, "/").await?;
        let took = begin.elapsed();
        self.delete(&name).await?;
        self.answers(&name, "/", 404).await?;
        Ok(took)
    }

    /// Waits until the controller has nothing to do any more.
    pub(super) async fn settle(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let before = self.controller.processor_time()?;
            tokio::time::sleep(Duration::from_millis(500)).await;
            if self.controller.processor_time()?.saturating_sub(before) < Duration::from_millis(25) {
                return Ok(());
            }
            ensure!(begin.elapsed() < LATEST, "the controller does not come to rest");
        }
    }

    /// Reads all counters.
    pub(super) async fn count(&mut self) -> Result<Counted> {
        let received = self.envoy.received().await?;
        let writes = status_writes(&mut self.calls).await?;
        Ok(Counted { processor: self.controller.processor_time()?, received, writes, at: Instant::now() })
    }

    /// What it has cost since then.
    pub(super) async fn since(&mut self, before: &Counted) -> Result<Cost> {
        let seconds = before.at.elapsed().as_secs_f64();
        let now = self.count().await?;
        Ok(Cost {
            processor: now.processor.saturating_sub(before.processor).as_secs_f64() * 1e3,
            sent: (now.received - before.received) / 1024.0,
            writes: now.writes - before.writes,
            seconds,
        })
    }
}

async fn controller(cluster: &Cluster) -> Result<Container> {
    // Both are called alike; certgen's pod is another's.
    let path = "jsonpath={.spec.selector.matchLabels}";
    let labels = cluster.kubectl(&["-n", NAMESPACE, "get", "deployment", "envoy-gateway", "-o", path]).await?;
    let labels: std::collections::BTreeMap<String, String> = serde_json::from_str(&labels)?;
    let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Container::find(cluster, NAMESPACE, &selector.join(","), "envoy-gateway").await
}

/// Where a route is.
pub(super) fn of(name: &str) -> String {
    format!("{}/{name}", manifests::ROUTES)
}

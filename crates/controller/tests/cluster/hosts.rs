//! Two who want the same host: the older one has it, whatever their names, and who was away has lost its place.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::{PATIENCE, client::Request, wait::wait_for};

use super::{
    installed::{CONTROLLER, Site, get},
    world::list,
};

/// What two contenders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contest {
    /// Two HTTPRoutes.
    Routes,
    /// An HTTPRoute and a GRPCRoute.
    Kinds,
    /// Listeners of two ListenerSets.
    Sets,
}

/// A contest in which the first of these two comes first.
#[derive(Clone, Copy, Debug)]
struct Case {
    contest: Contest,
    order: [&'static str; 2],
}

/// Who has the host after each step.
const STEPS: [(&str, Step, Option<usize>); 7] = [
    ("the first one comes", Step::Create(0), Some(0)),
    ("the second one comes", Step::Create(1), Some(0)),
    ("the first one goes", Step::Delete(0), Some(1)),
    ("the first one comes again", Step::Create(0), Some(1)),
    ("the second one goes", Step::Delete(1), Some(0)),
    ("the second one comes again", Step::Create(1), Some(0)),
    ("the first one goes again", Step::Delete(0), Some(1)),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Create(usize),
    Delete(usize),
}

impl Case {
    fn all() -> Vec<Self> {
        let contests = [Contest::Routes, Contest::Kinds, Contest::Sets];
        contests.into_iter().flat_map(|contest| [["a", "b"], ["b", "a"]].map(|order| Self { contest, order })).collect()
    }

    fn host(self) -> String {
        format!("{:?}-{}.example.com", self.contest, self.order.concat()).to_lowercase()
    }

    fn name(self, who: usize) -> String {
        format!("{:?}-{}-{}", self.contest, self.order.concat(), self.order[who]).to_lowercase()
    }

    /// All objects of one of the two.
    fn objects(self, who: usize) -> Vec<Value> {
        let (name, host) = (self.name(who), self.host());
        match self.contest {
            Contest::Routes => vec![route(&name, &host, &json!({"name": "eg"}))],
            Contest::Kinds if self.order[who] == "a" => vec![route(&name, &host, &json!({"name": "eg"}))],
            Contest::Kinds => vec![grpc_route(&name, &host)],
            Contest::Sets => {
                let parent = json!({"group": "gateway.networking.k8s.io", "kind": "ListenerSet", "name": name});
                vec![listener_set(&name, &host), route(&name, &host, &parent)]
            }
        }
    }

    /// Who answers: an HTTPRoute says its name; a GRPCRoute has its own method and no other path.
    async fn winner(self, address: IpAddr) -> Result<Option<usize>> {
        let answer = get(address, &self.host()).send().await?;
        let said = answer.header("x-winner").unwrap_or_default();
        let named = [0, 1].into_iter().find(|who| self.name(*who) == said);
        if named.is_some() || self.contest != Contest::Kinds || answer.status != 404 {
            return Ok(named);
        }
        let method = Request::post(&format!("http://{}/of.Nobody/Call", self.host()), "");
        let answer = method.to(SocketAddr::new(address, 80)).send().await?;
        Ok(self.order.iter().position(|name| *name == "b").filter(|_| answer.status != 404))
    }
}

/// A route whose answers bear its name.
fn route(name: &str, host: &str, parent: &Value) -> Value {
    let filter = json!({"type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": "x-winner", "value": name}]}});
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [parent], "hostnames": [host],
            "rules": [{"filters": [filter], "backendRefs": [{"name": "backend", "port": 3000}]}]}})
}

fn grpc_route(name: &str, host: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [{"name": "eg"}], "hostnames": [host],
            "rules": [{"matches": [{"method": {"service": "of.Nobody"}}], "backendRefs": [{"name": "backend", "port": 3000}]}]}})
}

fn listener_set(name: &str, host: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "ListenerSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRef": {"name": "eg"}, "listeners": [
            {"name": "contested", "port": 80, "protocol": "HTTP", "hostname": host}]}})
}

impl Site {
    /// Waits until the clock of the API server, which counts seconds, has gone on: what comes now is younger.
    async fn next_second(&self) -> Result<()> {
        let args =
            ["create", "configmap", "clock", "--dry-run=server", "--output=jsonpath={.metadata.creationTimestamp}"];
        let before = self.cluster.kubectl(&args).await?;
        let later = async || self.cluster.kubectl(&args).await.ok().filter(|now| *now > before);
        wait_for("the next second", PATIENCE, later).await.map(drop)
    }

    async fn delete(&self, object: &Value) -> Result<()> {
        let kind = object["kind"].as_str().context("it has a kind")?.to_lowercase();
        let name = object["metadata"]["name"].as_str().context("it has a name")?;
        self.cluster.kubectl(&["delete", &kind, name]).await.map(drop)
    }

    async fn step(&self, cases: &[Case], step: Step) -> Result<()> {
        match step {
            Step::Create(who) => {
                let objects: Vec<Value> = cases.iter().flat_map(|case| case.objects(who)).collect();
                self.cluster.apply(&list(&objects)).await
            }
            Step::Delete(who) => {
                for object in cases.iter().flat_map(|case| case.objects(who)) {
                    self.delete(&object).await?;
                }
                Ok(())
            }
        }
    }
}

/// In each case that one has the host, now.
async fn have_won(what: &str, cases: &[Case], address: IpAddr, wanted: Option<usize>) -> Result<()> {
    for case in cases {
        assert_eq!(case.winner(address).await?, wanted, "{case:?}: {what}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_never_taken_over_from_the_older_one() -> Result<()> {
    let (site, address) = Site::serving().await?;
    let open = json!({"spec": {"allowedListeners": {"namespaces": {"from": "Same"}}}}).to_string();
    site.cluster.kubectl(&["patch", "gateway", "eg", "--type=merge", "--patch", &open]).await?;
    let cases = Case::all();
    for (number, (what, step, winner)) in STEPS.into_iter().enumerate() {
        site.next_second().await?;
        site.step(&cases, step).await?;
        // Then the step has had its effect, and a winner that is put right only later would be seen.
        site.takes_effect(address, &format!("marker-{number}")).await?;
        have_won(what, &cases, address, winner).await?;
    }
    // A controller that has seen nothing of this finds the same.
    site.step(&cases, Step::Create(0)).await?;
    site.kubectl(&["rollout", "restart", CONTROLLER]).await?;
    site.rolled_out(CONTROLLER).await?;
    site.takes_effect(address, "last").await?;
    have_won("the controller starts anew", &cases, address, Some(1)).await?;
    println!("{} contests of {} steps each: wrong winners 0", cases.len(), STEPS.len() + 1);
    site.cluster.stop().await
}

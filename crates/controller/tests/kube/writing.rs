use std::{sync::Arc, time::Duration};

use api::ObjectRef;
use controller::{
    metrics::Metrics,
    source::kube::KubeSource,
    status::{Programmed, StatusBook, Statuses},
    status_writer::StatusWriter,
};
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};
use translate::{
    Changed, Report, Reports,
    report::{Condition, ParentStatus, Status},
};

use super::{
    double::ApiServer,
    reading::{listed, route},
};

const OURS: &str = "a.example/ours";
const PATCH: &str = "PATCH /apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/r/status";

/// A writer beside an API server.
struct Desk {
    server: ApiServer,
    source: KubeSource,
    book: StatusBook,
    statuses: watch::Sender<Arc<Statuses>>,
    leads: watch::Sender<bool>,
    registry: prometheus::Registry,
}

impl Desk {
    async fn new(objects: &[Value]) -> Self {
        let server = ApiServer::new();
        objects.iter().for_each(|object| server.put(object.clone()));
        let source = KubeSource::start(&server.client(), None);
        listed(&source).await;
        let (statuses, leads) = (watch::Sender::default(), watch::Sender::new(false));
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry);
        let writer = StatusWriter::new(server.client(), OURS, source.records().clone(), metrics);
        tokio::spawn(writer.run(statuses.subscribe(), leads.subscribe()));
        Self { server, source, book: StatusBook::new(OURS), statuses, leads, registry }
    }

    /// What translation says: of `r`, and of another object so that there is always something said.
    fn say(&mut self, accepted: Option<bool>) {
        let mut reports = Reports::new();
        let mut report = |name: &str, accepted: bool| {
            let condition = match accepted {
                true => Condition::yes("Accepted", "Accepted", ""),
                false => Condition::no("Accepted", "NoMatchingParent", "no"),
            };
            let parent = serde_json::from_value(json!({"name": "eg"})).expect("it is a reference");
            let status = Status::Parents(vec![ParentStatus { parent, conditions: vec![condition] }]);
            let reference = ObjectRef::new("gateway.networking.k8s.io", "HTTPRoute", "default", name);
            reports.insert(Arc::new(reference), Arc::new(Report { generation: 1, status, fleet: None }));
        };
        report("elsewhere", true);
        if let Some(accepted) = accepted {
            report("r", accepted);
        }
        self.book.update(&reports, &Changed::All, |_, _| Programmed::Yes, "2026-01-01T00:00:00Z");
        self.statuses.send_replace(Arc::clone(self.book.statuses()));
    }

    /// Waits until the route's parents are as wanted.
    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut ticks = self.source.records().subscribe();
        let found = async {
            loop {
                ticks.mark_unchanged();
                let parents = self.server.get(&route("r", "", ""))["status"]["parents"].take();
                if wanted(&parents) {
                    return parents;
                }
                ticks.changed().await.expect("the source runs");
            }
        };
        timeout(Duration::from_secs(20), found).await.expect("it is written in time")
    }

    /// Waits until everything that happened has come back to the writer, and counts the writes up to then.
    async fn settled(&self) -> usize {
        let marker = route("marker", "marker.example", "v");
        self.server.put(marker.clone());
        let mut seen = self.source.seen();
        let reference = |seen: &controller::source::Seen| seen.resources.http_routes.get("default", "marker").is_some();
        super::reading::until(&mut seen, reference).await;
        self.server.delete(&marker);
        super::reading::until(&mut seen, |seen| !reference(seen)).await;
        self.server.asked(PATCH)
    }

    fn metrics(&self) -> String {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather()).expect("it is text")
    }
}

fn accepted(parents: &Value, status: &str) -> bool {
    let ours = parents.as_array().into_iter().flatten().find(|parent| parent["controllerName"] == OURS);
    ours.is_some_and(|ours| ours["conditions"][0]["status"] == status)
}

#[tokio::test]
async fn the_leader_writes_once_and_the_others_do_not() {
    let mut desk = Desk::new(&[route("r", "a.example", "v")]).await;
    desk.say(Some(true));
    assert_eq!(desk.settled().await, 0);
    desk.leads.send_replace(true);
    desk.until(|parents| accepted(parents, "True")).await;
    assert_eq!(desk.settled().await, 1);
    // What others change of the object is no reason to write.
    let mut changed = desk.server.get(&route("r", "", ""));
    changed["metadata"]["labels"] = json!({"a": "b"});
    desk.server.put(changed);
    assert_eq!(desk.settled().await, 1);
    desk.say(Some(false));
    desk.until(|parents| accepted(parents, "False")).await;
    assert_eq!(desk.settled().await, 2);
    let counted = r#"portcullis_status_writes_total{kind="HTTPRoute",outcome="written"} 2"#;
    assert!(desk.metrics().contains(counted), "{}", desk.metrics());
}

#[tokio::test]
async fn a_status_that_somebody_overwrites_is_written_again() {
    let mut desk = Desk::new(&[route("r", "a.example", "v")]).await;
    desk.leads.send_replace(true);
    desk.say(Some(true));
    desk.until(|parents| accepted(parents, "True")).await;
    let mut wiped = desk.server.get(&route("r", "", ""));
    wiped["status"] = json!({"parents": []});
    desk.server.put(wiped);
    desk.until(|parents| accepted(parents, "True")).await;
}

#[tokio::test]
async fn entries_of_other_controllers_stay_and_ours_go_with_the_parent() {
    let theirs = json!({"parentRef": {"name": "x"}, "controllerName": "b.example/theirs", "conditions": []});
    let mut with_theirs = route("r", "a.example", "v");
    with_theirs["status"] = json!({"parents": [theirs]});
    let mut desk = Desk::new(&[with_theirs]).await;
    desk.leads.send_replace(true);
    desk.say(Some(true));
    let parents = desk.until(|parents| accepted(parents, "True")).await;
    assert!(parents.as_array().unwrap().contains(&theirs));
    desk.say(None);
    desk.until(|parents| *parents == json!([theirs])).await;
}

#[tokio::test]
async fn a_conflict_is_no_loss() {
    let mut desk = Desk::new(&[route("r", "a.example", "v")]).await;
    desk.leads.send_replace(true);
    for round in 0..20 {
        let mut changed = desk.server.get(&route("r", "", ""));
        changed["metadata"]["labels"] = json!({"round": round.to_string()});
        desk.say(Some(round % 2 == 0));
        desk.server.put(changed);
        let status = if round % 2 == 0 { "True" } else { "False" };
        desk.until(|parents| accepted(parents, status)).await;
    }
}

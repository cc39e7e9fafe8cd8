//! References to other namespaces: without a grant nothing of them is in what Envoys get, with one it is, and when the grant is
//! taken back it goes.

use std::time::Instant;

use futures::future::join_all;
use serde_json::{Value, json};
use testbed::pki::Ca;

use super::{
    manifests::{
        EXTENSIONS, GATEWAY_API, MULTICLUSTER, backend, certificate, config_map, grant, object, route, secret, service,
        service_import,
    },
    room::{Room, sends},
    secrets::first_line,
};

const FROM: &str = "grants-from";
const TO: &str = "grants-to";
const REFERENCES: &str = include_str!("references.yaml");
const GROUND: &str = include_str!("references-ground.yaml");

/// One field that refers to another namespace.
struct Reference {
    /// Who refers.
    object: Value,
    from: String,
    /// What is referred to.
    kind: String,
    name: String,
    /// What of it Envoys get.
    mark: String,
    /// What has to be in the other namespace.
    there: Vec<Value>,
}

impl Reference {
    fn read(document: &str, ca: &Ca) -> Self {
        let line = document.lines().find_map(|line| line.strip_prefix("# from: ")).expect("it says who and what");
        let words: Vec<_> = line.split(' ').collect();
        let [from, "to:", kind, name] = words[..] else { panic!("{line}") };
        let (mark, there) = match (kind, name) {
            ("Service", "udp-route") => {
                let spec = json!({"ports": [{"name": "p", "port": 80, "protocol": "UDP"}]});
                (format!("service/{TO}/{name}/"), vec![object("", kind, TO, name, spec)])
            }
            ("Service", _) => (format!("service/{TO}/{name}/"), service(TO, name, "10.7.0.1").to_vec()),
            ("ServiceImport", _) => {
                let mark = "10.7.0.2";
                (mark.to_owned(), service_import(TO, name, mark).to_vec())
            }
            ("Backend", _) => {
                let mark = format!("{name}.mark.example");
                (mark.clone(), vec![backend(TO, name, &mark)])
            }
            ("Secret", "credential") => {
                let mark = "mark-of-the-credential".to_owned();
                (mark.clone(), vec![secret(TO, name, &[("credential", &mark)])])
            }
            ("Secret", "clients-secret") | ("ConfigMap", _) => {
                let authority = Ca::new(&format!("clients of a {kind}")).expect("an authority").pem();
                let content = [("ca.crt", authority.as_str())];
                let there = if kind == "Secret" { secret(TO, name, &content) } else { config_map(TO, name, &content) };
                (first_line(&authority).to_owned(), vec![there])
            }
            ("Secret", _) => {
                let identity = ca.server(&["mark.example"]).expect("a certificate");
                (first_line(&identity.key).to_owned(), vec![certificate(TO, name, &identity)])
            }
            // A policy that reaches into another namespace: the mark is its own, the route is there.
            (_, "ruled") => ("mark-of-the-ruler".to_owned(), Vec::new()),
            (_, "ruled-by-auth") => ("mark-of-the-authorizer".to_owned(), Vec::new()),
            (_, "ruled-by-proc") => ("mark.of.the.processor".to_owned(), Vec::new()),
            other => panic!("{other:?}"),
        };
        let referrer = serde_saphyr::from_str(document).expect("it is YAML");
        Self { object: referrer, from: from.to_owned(), kind: kind.to_owned(), name: name.to_owned(), mark, there }
    }

    /// A grant, right but for what is said otherwise.
    fn grant(&self, id: &str, wrong: Wrong) -> Value {
        let (from_kind, from_namespace) = match wrong {
            Wrong::FromKind if self.from == "GRPCRoute" => ("HTTPRoute", FROM),
            Wrong::FromKind => ("GRPCRoute", FROM),
            Wrong::FromNamespace => (self.from.as_str(), "elsewhere"),
            _ => (self.from.as_str(), FROM),
        };
        let kind = match wrong {
            Wrong::ToKind if self.kind == "Secret" => "ConfigMap",
            Wrong::ToKind => "Secret",
            _ => &self.kind,
        };
        let name = if wrong == Wrong::ToName { "another" } else { &self.name };
        let to = json!({"group": group(kind), "kind": kind, "name": name});
        grant(
            TO,
            &format!("{}-{}-{id}", self.kind.to_lowercase(), self.name),
            (group(from_kind), from_kind, from_namespace),
            to,
        )
    }
}

/// What is wrong with a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    FromKind,
    FromNamespace,
    ToKind,
    ToName,
}

const WRONG: [Wrong; 4] = [Wrong::FromKind, Wrong::FromNamespace, Wrong::ToKind, Wrong::ToName];

fn group(kind: &str) -> &'static str {
    match kind {
        "Service" | "Secret" | "ConfigMap" => "",
        "ServiceImport" => MULTICLUSTER,
        "Gateway" | "ListenerSet" => GATEWAY_API,
        kind if kind.ends_with("Route") => GATEWAY_API,
        _ => EXTENSIONS,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_crosses_a_border_without_a_grant() {
    let room = Room::with(FROM, &[TO]).await;
    let ca = Ca::new("grants").unwrap();
    let named = |text: &str| text.replace("FROM", FROM).replace("TO", TO);
    room.admin.apply(&certificate(FROM, "own", &ca.server(&["own.example"]).unwrap())).await;
    for document in named(GROUND).split("\n---\n") {
        room.admin.apply(&serde_saphyr::from_str(document).unwrap()).await;
    }
    let references: Vec<_> = named(REFERENCES).split("\n---\n").map(|text| Reference::read(text, &ca)).collect();
    for reference in &references {
        room.admin.apply_all(&reference.there).await;
        room.admin.apply(&reference.object).await;
    }
    let leaked = |output: &controller::pipeline::Output| -> Vec<String> {
        let sent = references.iter().filter(|reference| sends(output, &reference.mark));
        sent.map(|reference| format!("{} -> {} {}", reference.from, reference.kind, reference.name)).collect()
    };
    let none: Vec<String> = Vec::new();
    // Everything is read, and the contents of Secrets are: it is not for want of them that they are not sent.
    let all = |output: &controller::pipeline::Output| {
        output.resources.secrets.get(TO, "shown-by-proxy").is_some()
            && output.resources.secrets.get(TO, "credential").is_some()
    };
    room.admin.apply(&last("1")).await;
    room.controller.until_sent("last-1.example", true).await;
    assert_eq!(leaked(&*room.controller.until("the contents", all).await), none);

    let wrong = references
        .iter()
        .flat_map(|reference| WRONG.map(|wrong| reference.grant(&format!("{wrong:?}").to_lowercase(), wrong)));
    let wrong: Vec<_> = wrong.collect();
    let admin = &room.admin;
    join_all(wrong.iter().map(|grant| admin.apply(grant))).await;
    let known = |output: &controller::pipeline::Output| {
        output.resources.reference_grants.in_namespace(TO).count() == wrong.len()
    };
    assert_eq!(leaked(&*room.controller.until("the wrong grants", known).await), none, "by a wrong grant");

    let mut times = Vec::new();
    for reference in &references {
        let right = reference.grant("right", Wrong::Nothing);
        admin.apply(&right).await;
        let sent = room.controller.until_sent(&reference.mark, true).await;
        let name = format!("{} -> {} {}", reference.from, reference.kind, reference.name);
        assert_eq!(leaked(&sent), std::slice::from_ref(&name));
        let revoked = Instant::now();
        admin.delete(&right).await;
        room.controller.until_sent(&reference.mark, false).await;
        times.push((revoked.elapsed(), name));
    }
    times.sort();
    let (median, (worst, of)) = (times[times.len() / 2].0, &times[times.len() - 1]);
    println!("{} references: leaks 0; from revoke to removal: median {median:?}, worst {worst:?} ({of})", times.len());
}

/// A route that comes after all else.
fn last(round: &str) -> Value {
    route(FROM, &format!("last-{round}"), &format!("last-{round}.example"), json!([{"name": "own", "port": 80}]))
}

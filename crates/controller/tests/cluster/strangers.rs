//! Who connects to the controller without being an Envoy of the fleet that it asks for gets nothing of that fleet.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use controller::authority::{Authority, Holder, Issued};
use envoy::{
    Message as _,
    core::Node,
    discovery::{DeltaDiscoveryRequest, DiscoveryRequest},
    service::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
    type_url::{CLUSTER, LISTENER, SECRET},
};
use kit::{
    net::Address,
    reload::Reloading,
    tls::{ClientSettings, PeerPolicy, Protocols, client_config},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::{
    PATIENCE,
    client::GrpcRequest,
    pki::{Ca, Identity},
};
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use super::{
    installed::{NAMESPACE, Site},
    world::{CONTROLLERS, list},
};

/// The fleet that has something to hide, and one that has something else.
const FLEET: &str = "default/eg";
const OTHER: &str = "default/other";

/// The names that Envoys know the two keys by: they are no secret.
const GUESSES: [&str; 2] = ["certificate/default/key-of-eg", "certificate/default/key-of-other"];

/// How one asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    StateOfTheWorld,
    Delta,
}

/// Who asks.
struct Asker {
    what: &'static str,
    settings: ClientSettings,
}

/// What is asked: resources of a type that a fleet has.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    way: Way,
    fleet: &'a str,
    type_url: &'a str,
}

/// Everything of a Secret, in files.
async fn files(site: &Site, namespace: &str, name: &str, dir: &Path) -> Result<()> {
    let secret = site.cluster.kubectl(&["--namespace", namespace, "get", "secret", name, "--output=json"]).await?;
    let secret: Value = serde_json::from_str(&secret)?;
    fs::create_dir_all(dir)?;
    for (file, content) in secret["data"].as_object().context("it has files")? {
        fs::write(dir.join(file), BASE64_STANDARD.decode(content.as_str().unwrap_or_default())?)?;
    }
    Ok(())
}

/// The files of an identity in a directory, with the authority that the controller's own certificate is of.
fn settings(dir: &Path, name: &str, identity: Option<Issued>) -> Result<ClientSettings> {
    let own = dir.join(name);
    fs::create_dir_all(&own)?;
    let file = |file: &str, text: &str| fs::write(own.join(file), text).map(|()| own.join(file));
    let (cert, key) = identity.map(|identity| (identity.certificate, identity.key)).unzip();
    Ok(ClientSettings {
        ca: dir.join("authority/tls.crt"),
        cert: cert.map(|text| file("tls.crt", &text)).transpose()?,
        key: key.map(|text| file("tls.key", &text)).transpose()?,
        allowed_servers: PeerPolicy { dns: vec!["portcullis".to_owned()], ..PeerPolicy::default() },
    })
}

impl Question<'_> {
    /// The first answer as text, or why there is none. The question is the only one, and the stream stays open after it.
    async fn ask(self, address: &str, asker: &ClientSettings) -> Result<String, Status> {
        let internal = |error: &dyn std::fmt::Display| Status::internal(error.to_string());
        let tls = client_config(asker, Protocols::Http2).map_err(|error| internal(&error))?;
        let channel = kit::grpc::channel(&Address::Tcp(address.to_owned()), Some(Reloading::fixed(tls)));
        let mut client = AggregatedDiscoveryServiceClient::new(channel.map_err(|error| internal(&error))?);
        let answer = async {
            let message = match self.way {
                Way::StateOfTheWorld => {
                    let requests = tokio_stream::once(self.state_of_the_world()).chain(tokio_stream::pending());
                    let mut answers = client.stream_aggregated_resources(requests).await?.into_inner();
                    answers.message().await?.map(|answer| answer.encode_to_vec())
                }
                Way::Delta => {
                    let requests = tokio_stream::once(self.delta()).chain(tokio_stream::pending());
                    let mut answers = client.delta_aggregated_resources(requests).await?.into_inner();
                    answers.message().await?.map(|answer| answer.encode_to_vec())
                }
            };
            let message = message.ok_or_else(|| Status::aborted("the stream ends"))?;
            Ok(String::from_utf8_lossy(&message).into_owned())
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")))
    }

    fn state_of_the_world(self) -> DiscoveryRequest {
        let (node, type_url) = (self.node(), self.type_url.to_owned());
        DiscoveryRequest { node, type_url, resource_names: self.names(), ..Default::default() }
    }

    fn delta(self) -> DeltaDiscoveryRequest {
        let (node, type_url) = (self.node(), self.type_url.to_owned());
        DeltaDiscoveryRequest { node, type_url, resource_names_subscribe: self.names(), ..Default::default() }
    }

    fn node(self) -> Option<Node> {
        Some(Node { id: "stranger".to_owned(), cluster: self.fleet.to_owned(), ..Node::default() })
    }

    fn names(self) -> Vec<String> {
        if self.type_url == SECRET { GUESSES.map(str::to_owned).to_vec() } else { Vec::new() }
    }
}

/// Two Gateways, each with a key of its own.
fn objects(identities: &[(&str, &Identity)]) -> Vec<Value> {
    let mut all = Vec::new();
    for (name, identity) in identities {
        let data = json!({"tls.crt": BASE64_STANDARD.encode(&identity.cert), "tls.key": BASE64_STANDARD.encode(&identity.key)});
        all.push(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("key-of-{name}"),
            "namespace": "default"},
            "data": data}));
        all.push(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"gatewayClassName": "eg", "listeners": [
                {"name": "http", "port": 80, "protocol": "HTTP"},
                {"name": "https", "port": 443, "protocol": "HTTPS",
                 "tls": {"certificateRefs": [{"name": format!("key-of-{name}")}]}}]}}));
    }
    all
}

/// Those who are not of the fleet, each with what it has.
fn strangers(dir: &Path, ours: &Authority) -> Result<Vec<Asker>> {
    let (_, issued) = Authority::make(1)?;
    let home = settings(dir, "others", Some(issued))?.cert.context("it was given")?;
    let others = Authority::load(home.parent().context("it's in a directory")?)?;
    let of = |authority: &Authority, holder: Holder<'_>| authority.issue(holder, 1).map(Some);
    let mut askers = Vec::new();
    for (what, identity) in [
        ("no certificate", None),
        ("this fleet by another authority", of(&others, Holder::Fleet(FLEET))?),
        ("any fleet by another authority", of(&others, Holder::AnyFleet)?),
        ("another fleet", of(ours, Holder::Fleet(OTHER))?),
        ("a fleet of a like name", of(ours, Holder::Fleet("default/eg2"))?),
        ("a server", of(ours, Holder::Server(&[]))?),
    ] {
        askers.push(Asker { what, settings: settings(dir, what, identity)? });
    }
    Ok(askers)
}

/// Whether an answer shows the key.
fn shows(answer: &str, identity: &Identity) -> bool {
    identity.key.lines().nth(1).is_some_and(|line| answer.contains(line))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_of_a_fleet_gets_nothing_of_it() -> Result<()> {
    let (site, address) = Site::serving().await?;
    let ca = Ca::new("strangers")?;
    let (eg, other) = (ca.server(&["eg.example.com"])?, ca.server(&["other.example.com"])?);
    site.cluster.apply(&list(&objects(&[("eg", &eg), ("other", &other)]))).await?;
    site.cluster.wait(&["--for=condition=Programmed", "gateway/eg", "gateway/other"]).await?;
    site.takes_effect(address, "strangers").await?;
    let dir = TempDir::with_prefix("strangers-")?;
    files(&site, NAMESPACE, "envoy-gateway-ca", &dir.path().join("authority")).await?;
    let ours = Authority::load(&dir.path().join("authority"))?;
    let service = site.kubectl(&["get", "service", "envoy-gateway", "--output=jsonpath={.spec.clusterIP}"]).await?;
    let server = format!("{service}:18000");

    let own = settings(dir.path(), "own", Some(ours.issue(Holder::Fleet(FLEET), 1)?))?;
    let strangers = strangers(dir.path(), &ours)?;
    let (mut asked, mut leaks) = (0, Vec::new());
    for way in [Way::StateOfTheWorld, Way::Delta] {
        let secrets = Question { way, fleet: FLEET, type_url: SECRET };
        // Whoever is of the fleet gets its key and no other: it is not for want of it that others get none.
        let answer = secrets.ask(&server, &own).await?;
        assert!(shows(&answer, &eg) && !shows(&answer, &other), "{way:?} {answer}");
        let refused = Question { fleet: OTHER, ..secrets }.ask(&server, &own).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        for asker in &strangers {
            for fleet in [FLEET, "", "eg", "default", "default/EG", "default/eg/", "default//eg"] {
                for type_url in [SECRET, CLUSTER, LISTENER] {
                    let question = Question { way, fleet, type_url };
                    let answer = question.ask(&server, &asker.settings).await;
                    asked += 1;
                    leaks.extend(answer.ok().map(|_| format!("{} asks {question:?}", asker.what)));
                }
            }
        }
    }
    println!("{asked} questions of strangers: foreign resources {}", leaks.len());
    assert_eq!(leaks, Vec::<String>::new());
    let log = site.logs(CONTROLLERS).await?;
    assert!(log.contains(&format!("does not name spiffe://portcullis/fleet/{FLEET}")), "who was refused is told");
    nobody_answers_without_tls(&server).await;
    site.cluster.stop().await
}

async fn nobody_answers_without_tls(server: &str) {
    let service = "envoy.service.discovery.v3.AggregatedDiscoveryService";
    for method in ["StreamAggregatedResources", "DeltaAggregatedResources"] {
        let answer = GrpcRequest::new(&format!("http://{server}/{service}/{method}")).send().await;
        assert!(answer.is_err(), "{method}: {answer:?}");
    }
    let secrets = format!("http://{server}/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets");
    let answer = GrpcRequest::new(&secrets).send().await;
    assert!(answer.is_err(), "{answer:?}");
}

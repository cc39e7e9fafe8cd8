//! What a change costs, and what it leaves alone.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::*;
use crate::{config, source::file::read_once};

const GATEWAY: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: eg}\nspec: {controllerName: \
     gateway.envoyproxy.io/gatewayclass-controller}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: \
     {name: eg}\nspec:\n  gatewayClassName: eg\n  listeners:\n  - {name: http, protocol: HTTP, port: 80}\n";

fn service(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n---\napiVersion: \
         discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}\n\
         addressType: IPv4\nports: [{{name: \"\", port: 8080}}]\nendpoints: [{{addresses: [{address}]}}]\n"
    )
}

fn route(name: &str, path: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}}}\nspec:\n  parentRefs: \
         [{{name: eg}}]\n  hostnames: [{name}.example]\n  rules:\n  - matches: [{{path: {{value: {path}}}}}]\n    backendRefs: \
         [{{name: {name}, port: 80}}]\n"
    )
}

/// A state, and resources that change in it as files do.
struct Bench {
    dir: TempDir,
    source: crate::source::file::TestSource,
    state: State,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let source = crate::source::file::TestSource::new(dir.path());
        Self { dir, source, state: State::new(config::pipeline_settings(&config::offline(), Vec::new())) }
    }

    fn write(&mut self, files: &[(&str, &str)]) -> Output {
        for (name, text) in files {
            fs::write(self.dir.path().join(name), text).unwrap();
        }
        let seen = self.source.read();
        assert_eq!(*seen.problems, []);
        compile(&seen.resources, &mut self.state)
    }

    fn start() -> (Self, Output) {
        let mut bench = Self::new();
        let output = bench.write(&[
            ("gateway.yaml", GATEWAY),
            ("a.yaml", &(service("a", "10.0.0.1") + &route("a", "/"))),
            ("b.yaml", &(service("b", "10.0.0.2") + &route("b", "/"))),
        ]);
        (bench, output)
    }
}

fn only(output: &Output) -> &Arc<Fleet> {
    assert_eq!(output.fleets.len(), 1);
    output.fleets.values().next().unwrap()
}

/// The types whose resources differ, with the names of those that do.
fn changed(before: &Output, after: &Output) -> Vec<String> {
    let (before, after) = (&only(before).snapshot, &only(after).snapshot);
    let names = |(url, resources): (&xds::TypeUrl, &xds::Resources)| {
        let names = before.resources(url).changed(resources);
        let kind = url.rsplit('.').next().unwrap().to_owned();
        names.into_iter().map(move |name| format!("{kind} {name}")).collect::<Vec<_>>()
    };
    after.types().flat_map(names).collect()
}

#[test]
fn an_endpoint_takes_the_short_way() {
    let (mut bench, before) = Bench::start();
    let after = bench.write(&[("a.yaml", &(service("a", "10.0.0.9") + &route("a", "/")))]);
    let found = changed(&before, &after);
    assert!(found.len() == 1 && found[0].starts_with("ClusterLoadAssignment "), "{found:?}");
    assert_eq!(after.changed, Changed::default());
    assert!(Arc::ptr_eq(&only(&before).lowered, &only(&after).lowered));
    assert!(only(&after).snapshot.revision() > only(&before).snapshot.revision());
}

#[test]
fn a_route_changes_its_table_and_nothing_else() {
    let (mut bench, before) = Bench::start();
    let after = bench.write(&[("a.yaml", &(service("a", "10.0.0.1") + &route("a", "/other")))]);
    let found = changed(&before, &after);
    assert!(!found.is_empty() && found.iter().all(|name| name.contains("Route")), "{found:?}");
    assert!(
        only(&before)
            .snapshot
            .resources(type_url::CLUSTER)
            .is_same(&only(&after).snapshot.resources(type_url::CLUSTER))
    );
}

#[test]
fn what_changes_nothing_is_not_sent() {
    let (mut bench, before) = Bench::start();
    let after = bench.write(&[("c.yaml", &service("unused", "10.0.0.3"))]);
    assert!(Arc::ptr_eq(&only(&before).snapshot, &only(&after).snapshot));
    assert!(after.revision > before.revision);
}

#[test]
fn a_new_backend_gets_its_endpoints_with_its_cluster() {
    let (mut bench, before) = Bench::start();
    let after = bench.write(&[("c.yaml", &(service("c", "10.0.0.3") + &route("c", "/")))]);
    let found = changed(&before, &after);
    for kind in ["Cluster ", "ClusterLoadAssignment "] {
        assert!(found.iter().any(|name| name.starts_with(kind)), "{found:?}");
    }
    let (clusters, endpoints) = (type_url::CLUSTER, type_url::ENDPOINT);
    assert_eq!(only(&after).snapshot.resources(clusters).len(), only(&after).snapshot.resources(endpoints).len());
}

#[test]
fn what_was_before_does_not_matter() {
    let (mut bench, _) = Bench::start();
    let after = bench.write(&[("a.yaml", &(service("a", "10.0.0.7") + &route("a", "/x")))]);
    let once = read_once(&[PathBuf::from(bench.dir.path())]).unwrap();
    let fresh =
        compile(&once.seen.resources, &mut State::new(config::pipeline_settings(&config::offline(), Vec::new())));
    assert_eq!(changed(&after, &fresh), Vec::<String>::new());
}

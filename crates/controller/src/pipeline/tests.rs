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
        let resources = self.read(files);
        self.compile(&resources)
    }

    fn read(&mut self, files: &[(&str, &str)]) -> Resources {
        for (name, text) in files {
            fs::write(self.dir.path().join(name), text).unwrap();
        }
        let seen = self.source.read();
        assert_eq!(*seen.problems, []);
        seen.resources
    }

    fn compile(&mut self, resources: &Resources) -> Output {
        compile(resources, &mut self.state)
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

/// The class of [`GATEWAY`] with settings.
fn with_settings(merge: bool) -> [(&'static str, String); 2] {
    let reference =
        "parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: settings, namespace: default}";
    let class = GATEWAY.replacen("gatewayclass-controller}", &format!("gatewayclass-controller, {reference}}}"), 1);
    let settings = format!(
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {{name: settings}}\nspec: {{mergeGateways: \
         {merge}}}\n"
    );
    [("gateway.yaml", class), ("settings.yaml", settings)]
}

fn settings() -> api::ObjectRef {
    api::ObjectRef::new("gateway.envoyproxy.io", "EnvoyProxy", "default", "settings")
}

impl Bench {
    /// As [`Bench::start`], with settings; the resources come back.
    fn start_with_settings(merge: bool) -> (Self, Resources) {
        let (mut bench, _) = Self::start();
        let good = bench.read(&with_settings(merge).each_ref().map(|(name, text)| (*name, text.as_str())));
        (bench, good)
    }
}

/// A fleet stays as it is but for its end points.
fn assert_stays(bench: &mut Bench, name: &str, before: &Output, resources: &Resources, what: &str) {
    let lost = bench.compile(resources);
    assert!(lost.staying.contains(name), "{what}: {:?}", lost.staying);
    assert!(Arc::ptr_eq(&only(before).snapshot, &only(&lost).snapshot), "{what}");
    let mut moved = resources.clone();
    moved.endpoint_slices = bench.read(&[("a.yaml", &(service("a", "10.0.0.9") + &route("a", "/")))]).endpoint_slices;
    let found = changed(before, &bench.compile(&moved));
    assert!(found.len() == 1 && found[0].starts_with("ClusterLoadAssignment "), "{what}: {found:?}");
    // To one that has not seen it before it is not there, and not to be taken away.
    let fresh = Bench::new().compile(resources);
    assert!(fresh.fleets.is_empty() && fresh.staying.contains(name), "{what}");
}

#[test]
fn a_fleet_of_which_nobody_can_say_what_it_is_to_be_stays() {
    for (merge, name) in [(false, "default/eg"), (true, "eg")] {
        let (mut bench, good) = Bench::start_with_settings(merge);
        for lost in ["EnvoyProxy", "GatewayClass", "Gateway"] {
            let before = bench.compile(&good);
            assert!(before.fleets.contains_key(name) && before.staying.is_empty());
            let reference = match lost {
                "EnvoyProxy" => settings(),
                "Gateway" => api::ObjectRef::new("gateway.networking.k8s.io", lost, "default", "eg"),
                _ => api::ObjectRef::new("gateway.networking.k8s.io", lost, "", "eg"),
            };
            let mut unreadable = good.clone();
            unreadable.insert_unreadable(reference.clone(), "spec: invalid type", None);
            assert_stays(&mut bench, name, &before, &unreadable, &format!("{reference} cannot be read"));
            bench.compile(&good);
            let mut gone = good.clone();
            gone.remove(&reference);
            if lost == "EnvoyProxy" {
                let before = bench.compile(&good);
                assert_stays(&mut bench, name, &before, &gone, "the settings are gone");
            } else {
                // Who takes away the Gateway, or its class, wants the end of its fleet.
                let after = bench.compile(&gone);
                assert!(after.fleets.is_empty() && after.staying.is_empty(), "{reference}: {:?}", after.staying);
            }
        }
    }
}

#[test]
fn a_merged_fleet_goes_with_its_last_gateway_even_without_settings() {
    let (mut bench, good) = Bench::start_with_settings(true);
    bench.compile(&good);
    let mut gone = good.clone();
    gone.remove(&settings());
    assert!(!bench.compile(&gone).fleets.is_empty());
    gone.remove(&api::ObjectRef::new("gateway.networking.k8s.io", "Gateway", "default", "eg"));
    let after = bench.compile(&gone);
    assert!(after.fleets.is_empty() && after.staying.is_empty(), "{:?}", after.staying);
}

/// What nobody refers to any more is kept aside by its source, and is still in use where a fleet stays.
#[test]
fn a_fleet_that_stays_keeps_end_points_that_nobody_else_refers_to() {
    let (mut bench, good) = Bench::start_with_settings(false);
    let before = bench.compile(&good);
    let mut lost = good.clone();
    lost.remove(&settings());
    bench.compile(&lost);
    for (group, kind) in
        [("", "Service"), ("discovery.k8s.io", "EndpointSlice"), ("gateway.networking.k8s.io", "HTTPRoute")]
    {
        lost.remove(&api::ObjectRef::new(group, kind, "default", "a"));
    }
    let after = bench.compile(&lost);
    assert_eq!(changed(&before, &after), Vec::<String>::new());
}

#[test]
fn settings_that_one_gateway_of_many_lacks_keep_no_other_from_changing() {
    let (mut bench, _) = Bench::start();
    let [(class, text), settings] = with_settings(true);
    let own = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: other}\nspec:\n  gatewayClassName: eg\n  \
               infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: none}}\n  listeners:\n  - \
               {name: http, protocol: HTTP, port: 81}\n";
    let before = bench.write(&[(class, &(text + own)), (settings.0, &settings.1)]);
    assert!(before.staying.is_empty(), "{:?}", before.staying);
    let after = bench.write(&[("a.yaml", &(service("a", "10.0.0.1") + &route("a", "/other")))]);
    assert!(!changed(&before, &after).is_empty());
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

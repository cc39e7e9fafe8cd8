//! Envoys in the cluster: what is written for them is kept as it should be, whoever else writes, and goes with its Gateway.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use controller::{
    infra::kube::{
        Kind, Plan, Runner, Scope, States, Wanted,
        render::{INSTANCE, Identity, RateLimitService, Settings, XdsAddress},
    },
    pipeline::Output,
};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
    core::DynamicObject,
};
use serde_json::{Value, json};
use testbed::{PATIENCE, wait::wait_for};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{
    manifests::{EXTENSIONS, class, gateway, http, namespace, object, route, service},
    room::{Room, controller_name},
};

/// A Room with what runs the Envoys of its Gateways. There is no node: of the Envoys there are only the objects.
struct Yard {
    room: Room,
    leads: watch::Sender<bool>,
    states: watch::Receiver<States>,
    _tasks: JoinSet<()>,
}

impl Yard {
    /// Objects are put into the namespace `objects`.
    async fn new(name: &str, objects: &str) -> Self {
        Self::with(name, objects, None).await
    }

    /// The same, with a rate limit service to run when it's needed.
    async fn with(name: &str, objects: &str, service: Option<RateLimitService>) -> Self {
        Self::of(Room::new(name).await, objects, service)
    }

    /// Everything that runs is another that knows nothing; what is in the cluster stays.
    async fn restarted(self, objects: &str, service: Option<RateLimitService>) -> Self {
        let Self { mut room, mut _tasks, .. } = self;
        _tasks.shutdown().await;
        room.restart().await;
        Self::of(room, objects, service)
    }

    fn of(room: Room, objects: &str, service: Option<RateLimitService>) -> Self {
        let settings = settings(objects, &room.name);
        let client = room.admin.client.clone();
        let runner = Runner::new(client, &Scope::Namespaces(vec![objects.to_owned()]), &settings.instance);
        let identity = Identity { authorities: "CA".into(), certificate: "CERTIFICATE".into(), key: "KEY".into() };
        let identity = Arc::new(identity);
        let identify = Box::new(move |_: &_| Arc::clone(&identity));
        let service = service.map(|service| service.render(&settings).expect("it can be rendered"));
        let mut plan = Plan::new(settings, identify, service);
        let (wanted, heard) = watch::channel::<Option<Wanted>>(None);
        let (states, seen) = watch::channel(States::default());
        let (leads, mut outputs) = (watch::Sender::new(true), room.controller.outlets.output.subscribe());
        let mut tasks = JoinSet::new();
        tasks.spawn(runner.run(heard, leads.subscribe(), states, std::future::pending()));
        tasks.spawn(async move {
            loop {
                let output: Option<Arc<Output>> = outputs.borrow_and_update().clone();
                if let Some(output) = output {
                    wanted.send_replace(Some(plan.make(&output)));
                }
                if outputs.changed().await.is_err() {
                    return;
                }
            }
        });
        Self { room, leads, states: seen, _tasks: tasks }
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.room.admin.client.clone(), &self.room.name, &kind.resource())
    }

    /// The objects of all fleets, as `Kind/name`.
    async fn objects(&self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        for kind in Kind::ALL {
            let listed = self.api(kind).list(&kube::api::ListParams::default().labels(INSTANCE)).await;
            let listed = listed.expect("they can be listed").items.into_iter();
            all.extend(listed.map(|object| format!("{kind}/{}", object.metadata.name.unwrap_or_default())));
        }
        all
    }

    async fn until_objects(&self, what: &str, wanted: impl Fn(&BTreeSet<String>) -> bool) -> BTreeSet<String> {
        let found = wait_for(what, PATIENCE, async || Some(self.objects().await).filter(&wanted)).await;
        match found {
            Ok(found) => found,
            Err(error) => panic!("{error:#}: {:?} {:?}", self.objects().await, self.states.borrow()),
        }
    }

    /// Waits until an object is as wanted.
    async fn until(&self, what: &str, kind: Kind, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = async || self.get(kind, name).await.filter(&wanted);
        match wait_for(what, PATIENCE, found).await {
            Ok(found) => found,
            Err(error) => panic!("{error:#}: {:#}", self.get(kind, name).await.unwrap_or_default()),
        }
    }

    async fn get(&self, kind: Kind, name: &str) -> Option<Value> {
        let object = self.api(kind).get_opt(name).await.expect("it can be read")?;
        Some(serde_json::to_value(object).expect("an object is JSON"))
    }

    /// Somebody else changes an object.
    async fn change(&self, kind: Kind, name: &str, patch: Value) {
        let by = PatchParams { field_manager: Some("others".to_owned()), ..PatchParams::default() };
        self.api(kind).patch(name, &by, &Patch::Merge(patch)).await.expect("it can be changed");
    }

    /// Somebody else says that an object's fields are theirs.
    async fn claim(&self, kind: Kind, name: &str, mut fields: Value) {
        let resource = kind.resource();
        fields["apiVersion"] = json!(resource.api_version);
        fields["kind"] = json!(resource.kind);
        let by = PatchParams::apply("others").force();
        self.api(kind).patch(name, &by, &Patch::Apply(fields)).await.expect("it can be applied");
    }
}

fn settings(namespace: &str, instance: &str) -> Settings {
    Settings {
        namespace: namespace.to_owned(),
        instance: instance.to_owned(),
        deploy: api::config::KubernetesDeployType::ControllerNamespace,
        envoy_image: "envoy.example/envoy:1".to_owned(),
        controller_image: "portcullis.example/portcullis:1".to_owned(),
        shutdown_manager: api::config::ShutdownManager::default(),
        xds: XdsAddress { host: "xds.example".to_owned(), port: 18000, server_name: "portcullis".to_owned() },
    }
}

fn image(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]["image"]
}

/// The name that all objects of the only fleet have.
fn name_of(objects: &BTreeSet<String>) -> String {
    let names: BTreeSet<_> = objects.iter().filter_map(|object| object.split_once('/')).map(|(_, name)| name).collect();
    let [name] = names.into_iter().collect::<Vec<_>>()[..] else { panic!("{objects:?}") };
    name.to_owned()
}

const OWNED: [Kind; 4] = [Kind::ServiceAccount, Kind::Secret, Kind::Deployment, Kind::Service];

#[tokio::test]
async fn what_others_change_is_set_back_and_what_they_add_stays() {
    let yard = Yard::new("drift", "drift").await;
    yard.room.admin.apply(&yard.room.gateway()).await;
    let name = name_of(&yard.until_objects("the objects", |objects| objects.len() == OWNED.len()).await);
    let wanted = json!("envoy.example/envoy:1");
    let patch = json!({"spec": {"replicas": 3, "template": {"spec": {
        "containers": [{"name": "envoy", "image": "evil.example/envoy:1"}], "terminationGracePeriodSeconds": 1}}},
        "metadata": {"annotations": {"others": "their own"}, "labels": {"app.kubernetes.io/name": "other"}}});
    yard.change(Kind::Deployment, &name, patch).await;
    let is_repaired = |deployment: &Value| *image(deployment) == wanted;
    let repaired = yard.until("the image to be ours", Kind::Deployment, &name, is_repaired).await;
    assert_eq!(repaired["metadata"]["labels"]["app.kubernetes.io/name"], "envoy");
    assert_ne!(repaired["spec"]["template"]["spec"]["terminationGracePeriodSeconds"], 1);
    // What we do not say is not ours: how many there are, and what others note down.
    assert_eq!(repaired["spec"]["replicas"], 3);
    assert_eq!(repaired["metadata"]["annotations"]["others"], "their own");

    // A label by which it is found: without it it's nobody's, until it's taken back.
    yard.change(Kind::Service, &name, json!({"metadata": {"labels": {INSTANCE: null}}})).await;
    let is_found = |service: &Value| service["metadata"]["labels"][INSTANCE] == "drift";
    yard.until("the label", Kind::Service, &name, is_found).await;
    yard.change(Kind::Secret, &name, json!({"data": {"tls.key": "b3RoZXI="}})).await;
    let key = |secret: &Value| secret["data"]["tls.key"] == "S0VZ";
    yard.until("the key", Kind::Secret, &name, key).await;

    for kind in OWNED {
        let uid = yard.get(kind, &name).await.unwrap()["metadata"]["uid"].clone();
        yard.api(kind).delete(&name, &DeleteParams::default()).await.unwrap();
        let is_another =
            |object: &Value| object["metadata"]["uid"] != uid && object["metadata"]["deletionTimestamp"].is_null();
        yard.until(&format!("another {kind}"), kind, &name, is_another).await;
    }
}

#[tokio::test]
async fn field_managers_that_meet_do_not_stop_us() {
    let yard = Yard::new("managers", "managers").await;
    yard.room.admin.apply(&yard.room.gateway()).await;
    let name = name_of(&yard.until_objects("the objects", |objects| objects.len() == OWNED.len()).await);
    for round in 0..5 {
        let deployment = yard.get(Kind::Deployment, &name).await.unwrap();
        let theirs = json!({"metadata": {"name": name, "labels": {"round": format!("r{round}")}},
            "spec": {"selector": {"matchLabels": deployment["spec"]["selector"]["matchLabels"]},
                "template": {"spec": {"containers": [{"name": "envoy", "image": format!("evil.example/envoy:{round}")}]}}}});
        yard.claim(Kind::Deployment, &name, theirs).await;
        let is_ours = |deployment: &Value| *image(deployment) == json!("envoy.example/envoy:1");
        let ours = yard.until("the image to be ours again", Kind::Deployment, &name, is_ours).await;
        assert_eq!(ours["metadata"]["labels"]["round"], format!("r{round}"), "what is theirs alone stays");
    }
    let states = yard.states.borrow().clone();
    assert!(states.values().all(|state| state.error.is_none()), "{states:?}");
}

#[tokio::test]
async fn only_the_leader_writes_and_it_repairs_what_happened_before() {
    let yard = Yard::new("leaders", "leaders").await;
    yard.leads.send_replace(false);
    yard.room.admin.apply(&yard.room.gateway()).await;
    let fleet = yard.room.controller.until("the fleet", |output| !output.fleets.is_empty()).await;
    let mut states = yard.states.clone();
    // It knows of the fleet, and that nothing of it is there.
    let are_known = states.wait_for(|states| states.len() == fleet.fleets.len());
    let told = timeout(PATIENCE, are_known).await.expect("it is told").unwrap().clone();
    assert!(told.values().all(|state| state.addresses.is_empty()), "{told:?}");
    assert_eq!(yard.objects().await, BTreeSet::new());
    yard.leads.send_replace(true);
    let name = name_of(&yard.until_objects("the objects", |objects| objects.len() == OWNED.len()).await);
    yard.leads.send_replace(false);
    let patch = json!({"spec": {"externalTrafficPolicy": "Cluster"}, "metadata": {"annotations": {"seen": "1"}}});
    yard.change(Kind::Service, &name, patch).await;
    yard.leads.send_replace(true);
    let is_local = |service: &Value| service["spec"]["externalTrafficPolicy"] == "Local";
    yard.until("the policy of the Service", Kind::Service, &name, is_local).await;
}

#[tokio::test]
async fn with_a_gateway_go_its_objects_and_no_others() {
    let yard = Yard::new("gone", "gone").await;
    let second = gateway("gone", "second", "gone", http());
    yard.room.admin.apply_all(&[yard.room.gateway(), second.clone()]).await;
    let both = yard.until_objects("both fleets", |objects| objects.len() == 2 * OWNED.len()).await;
    // One that looks like ours and is another installation's, and one that nobody labelled.
    for (name, labels) in [("foreign", json!({INSTANCE: "another"})), ("plain", json!({}))] {
        let mut labels = labels;
        for (key, value) in [("component", "proxy"), ("managed-by", "envoy-gateway"), ("name", "envoy")] {
            labels[format!("app.kubernetes.io/{key}")] = json!(value);
        }
        let fields = json!({"metadata": {"name": name, "labels": labels}});
        yard.claim(Kind::ServiceAccount, name, fields).await;
    }
    yard.room.admin.delete(&yard.room.gateway()).await;
    let foreign = "ServiceAccount/foreign".to_owned();
    let is_one = |objects: &BTreeSet<String>| objects.len() == OWNED.len() + 1;
    let left = yard.until_objects("the end of the first fleet", is_one).await;
    assert!(left.contains(&foreign) && left.iter().all(|object| both.contains(object) || *object == foreign));
    yard.room.admin.delete(&second).await;
    yard.until_objects("the end of the second", |objects| *objects == BTreeSet::from([foreign.clone()])).await;
    assert!(yard.get(Kind::ServiceAccount, "plain").await.is_some());
}

/// A reference to what [`noted`] makes.
static SETTINGS: LazyLock<Value> =
    LazyLock::new(|| json!({"group": EXTENSIONS, "kind": "EnvoyProxy", "name": "settings"}));

/// Settings by which the Service of a fleet can be told.
fn noted(name: &str, note: &str) -> Value {
    let kubernetes = json!({"envoyService": {"annotations": {"note": note}}});
    object(
        EXTENSIONS,
        "EnvoyProxy",
        name,
        "settings",
        json!({"provider": {"type": "Kubernetes", "kubernetes": kubernetes}}),
    )
}

#[tokio::test]
async fn a_fleet_whose_settings_are_gone_stays_as_it_is() {
    let name = "lost";
    let mut yard = Yard::new(name, name).await;
    let mut class = class("lost-settings", &controller_name(name));
    class["spec"]["parametersRef"] =
        json!({"group": EXTENSIONS, "kind": "EnvoyProxy", "name": "settings", "namespace": name});
    let settled = gateway(name, "settled", "lost-settings", http());
    let mut own = yard.room.gateway();
    own["metadata"]["name"] = json!("own");
    own["spec"]["infrastructure"] = json!({"parametersRef": *SETTINGS});
    yard.room.admin.apply_all(&[noted(name, "first"), class, settled.clone(), own]).await;
    let both = yard.until_objects("both fleets", |objects| objects.len() == 2 * OWNED.len()).await;
    let services: Vec<String> =
        both.iter().filter_map(|object| object.strip_prefix("Service/")).map(str::to_owned).collect();
    let is_noted = |note: &'static str| move |service: &Value| service["metadata"]["annotations"]["note"] == note;
    let mut uids = Vec::new();
    for service in &services {
        uids.push(
            yard.until("the settings", Kind::Service, service, is_noted("first")).await["metadata"]["uid"].clone(),
        );
    }

    // Gone; then there, and nobody can read it. What comes meanwhile shows that what nobody wants was looked for.
    let unreadable = object(EXTENSIONS, "EnvoyProxy", name, "settings", json!({"provider": 7}));
    yard.room.admin.delete(&noted(name, "")).await;
    for (turn, more) in ["second", "third", "fourth"].into_iter().enumerate() {
        let more = gateway(name, more, name, http());
        yard.room.admin.apply(&more).await;
        yard.until_objects("another fleet", |objects| objects.len() == 3 * OWNED.len()).await;
        yard.room.admin.delete(&more).await;
        assert_eq!(yard.until_objects("its end", |objects| objects.len() <= 2 * OWNED.len()).await, both);
        for (service, uid) in services.iter().zip(&uids) {
            let service = yard.get(Kind::Service, service).await.expect("it is there");
            assert!(service["metadata"]["uid"] == *uid && is_noted("first")(&service), "{service:#}");
        }
        match turn {
            0 => drop(yard.room.admin.apply(&unreadable).await),
            _ => yard = yard.restarted(name, None).await,
        }
    }
    // Where they are reached is known all the same.
    let mut states = yard.states.clone();
    let are_known = |states: &States| states.values().filter(|state| !state.addresses.is_empty()).count() == 2;
    timeout(PATIENCE, states.wait_for(are_known)).await.expect("it is told").expect("it runs");

    // The settings are back. And what is not wanted any more goes even without them.
    yard.room.admin.apply(&noted(name, "last")).await;
    for service in &services {
        yard.until("the new settings", Kind::Service, service, is_noted("last")).await;
    }
    yard.room.admin.delete(&noted(name, "")).await;
    yard.room.controller.until("the settings to be gone", |output| !output.staying.is_empty()).await;
    yard.room.admin.delete(&settled).await;
    yard.until_objects("the end of one", |objects| objects.len() == OWNED.len()).await;
}

/// The objects of the rate limit service.
const LIMITER: [&str; 4] = [
    "Deployment/envoy-ratelimit",
    "PodDisruptionBudget/envoy-ratelimit",
    "Service/envoy-ratelimit",
    "ServiceAccount/envoy-ratelimit",
];

/// A rate limit service, and whether what asks it is refused while it's not there.
fn limiter(fail_closed: bool) -> Option<RateLimitService> {
    let config = json!({"backend": {"type": "Redis", "redis": {"url": "redis:6379"}}, "failClosed": fail_closed});
    let kubernetes = json!({"rateLimitPDB": {"minAvailable": 1}});
    let read = "it is a configuration";
    RateLimitService::of(
        Some(&serde_json::from_value(config).expect(read)),
        &serde_json::from_value(kubernetes).expect(read),
    )
}

#[tokio::test]
async fn the_rate_limit_service_comes_and_goes_with_the_policies_that_need_it() {
    let mut yard = Yard::with("limits", "limits", limiter(false)).await;
    let backends = json!([{"name": "app", "port": 80}]);
    let [app, slice] = service("limits", "app", "192.0.2.1");
    let route = route("limits", "app", "app.example", backends);
    let mut own = yard.room.gateway();
    own["spec"]["infrastructure"] = json!({"parametersRef": *SETTINGS});
    yard.room.admin.apply_all(&[noted("limits", "any"), own, app, slice, route]).await;
    let fleet = yard.until_objects("the fleet", |objects| objects.len() == OWNED.len()).await;
    let limit = json!({"global": {"rules": [{"limit": {"requests": 3, "unit": "Hour"}}]}});
    let target = json!([{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "app"}]);
    let policy = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "BackendTrafficPolicy",
        "metadata": {"name": "limits", "namespace": "limits"}, "spec": {"targetRefs": target, "rateLimit": limit}});
    yard.room.admin.apply(&policy).await;
    let all: BTreeSet<String> = LIMITER.map(str::to_owned).into_iter().chain(fleet.clone()).collect();
    yard.until_objects("the service", |objects| *objects == all).await;

    let name = "envoy-ratelimit";
    let image =
        |deployment: &Value| image(deployment).as_str().is_some_and(|image| image.contains("portcullis-ratelimit"));
    let evil =
        json!({"spec": {"template": {"spec": {"containers": [{"name": name, "image": "evil.example/limits:1"}]}}}});
    yard.change(Kind::Deployment, name, evil).await;
    yard.until("the image to be ours", Kind::Deployment, name, image).await;
    yard.api(Kind::Service).delete(name, &DeleteParams::default()).await.unwrap();
    yard.until_objects("another Service", |objects| *objects == all).await;

    // A fleet that nobody can say anything of may need it, if nobody has seen it before.
    yard.room.admin.delete(&noted("limits", "any")).await;
    yard = yard.restarted("limits", limiter(false)).await;
    let other = gateway("limits", "other", "limits", http());
    yard.room.admin.apply(&other).await;
    yard.until_objects("another fleet", |objects| objects.len() == all.len() + OWNED.len()).await;
    yard.room.admin.delete(&other).await;
    let left = yard.until_objects("its end", |objects| objects.len() <= all.len()).await;
    assert_eq!(left, all);
    yard.room.admin.apply(&noted("limits", "any")).await;
    yard.room.controller.until("the settings", |output| output.staying.is_empty()).await;

    yard.room.admin.delete(&policy).await;
    yard.until_objects("the end of the service", |objects| *objects == fleet).await;
}

#[tokio::test]
async fn what_would_refuse_all_requests_while_it_is_not_there_is_there_before() {
    let yard = Yard::with("closed", "closed", limiter(true)).await;
    yard.until_objects("the service", |objects| *objects == LIMITER.map(str::to_owned).into()).await;
}

#[tokio::test]
async fn what_belongs_to_others_is_not_taken_over() {
    let yard = Yard::new("theirs", "theirs").await;
    yard.room.admin.apply(&yard.room.gateway()).await;
    let first = name_of(&yard.until_objects("the objects", |objects| objects.len() == OWNED.len()).await);
    // An application's, and another fleet's.
    let ports = json!([{"name": "theirs", "port": 1}]);
    let fields = json!({"metadata": {"name": "shop"}, "spec": {"ports": ports, "selector": {"app": "shop"}}});
    yard.claim(Kind::Service, "shop", fields).await;
    for (gateway_name, taken) in [("greedy", "shop"), ("envious", &*first)] {
        let before = yard.get(Kind::Service, taken).await.unwrap();
        let named = json!({"type": "Kubernetes", "kubernetes": {"envoyService": {"name": taken}}});
        let proxy = json!({"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy",
            "metadata": {"name": gateway_name, "namespace": "theirs"}, "spec": {"provider": named}});
        let mut other = gateway("theirs", gateway_name, "theirs", http());
        other["spec"]["infrastructure"] =
            json!({"parametersRef": {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": gateway_name}});
        yard.room.admin.apply_all(&[proxy, other.clone()]).await;
        let fleet = format!("theirs/{gateway_name}");
        let mut states = yard.states.clone();
        let is_told = |states: &States| states.get(&*fleet).is_some_and(|state| state.error.is_some());
        let told = tokio::time::timeout(PATIENCE, states.wait_for(is_told)).await.expect("it is told").unwrap().clone();
        let told = told[&*fleet].error.clone().unwrap();
        assert!(told.contains(&format!("{taken} is there already and belongs to somebody else")), "{told}");
        yard.room.admin.delete(&other).await;
        yard.until_objects("the end of its fleet", |objects| objects.iter().all(|object| object.ends_with(&first)))
            .await;
        let after = yard.get(Kind::Service, taken).await.expect("it is still there");
        assert_eq!((&after["spec"], &after["metadata"]["uid"]), (&before["spec"], &before["metadata"]["uid"]));
    }
}

#[tokio::test]
async fn objects_that_cannot_be_written_are_told_and_written_as_soon_as_they_can() {
    let yard = Yard::new("refused", "refused-home").await;
    yard.room.admin.apply(&yard.room.gateway()).await;
    let mut states = yard.states.clone();
    let is_told = |states: &States| states.values().any(|state| state.error.is_some());
    let told = timeout(PATIENCE, states.wait_for(is_told)).await.expect("it is told").unwrap().clone();
    let told = told.values().find_map(|state| state.error.clone()).unwrap();
    assert!(told.ends_with("the namespace is missing"), "{told}");
    yard.room.admin.apply(&namespace("refused-home")).await;
    let is_good = |states: &States| states.values().all(|state| state.error.is_none());
    timeout(PATIENCE, states.wait_for(is_good)).await.expect("it is tried again").unwrap();
}

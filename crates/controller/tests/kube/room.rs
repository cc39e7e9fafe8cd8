//! A controller in this process, with all parts of the real one but its sockets: reads a cluster, makes what Envoys get, and
//! writes statuses when it leads.

use std::{path::Path, sync::Arc};

use anyhow::Result;
use api::config::{ClientRateLimit, Watch, WatchType};
use controller::{
    api_server::ApiServer,
    engine::{Engine, Outlets},
    metrics::Metrics,
    pipeline::{Output, Settings, State},
    source::{Seen, kube::KubeSource},
    status_writer::{StatusWriter, finalizer},
};
use kube::Config;
use serde_json::{Value, json};
use testbed::PATIENCE;
use tokio::{sync::watch, task::JoinSet, time::timeout};
use xds::{Ledger, LedgerBook};

use super::{
    admin::{Admin, config},
    house::Stay,
    manifests::{class, gateway, http, namespace},
};

/// A controller and whoever gives it something to do. Named by the namespace that is its own.
pub(crate) struct Room {
    pub(crate) admin: Admin,
    pub(crate) controller: Controller,
    /// The namespace, the class, and the name of the controller.
    pub(crate) name: String,
    watch: Watch,
    // Last: the cluster goes after all who use it.
    pub(crate) stay: Stay,
}

impl Room {
    /// In the shared cluster, with a namespace and a class of its own; only that namespace is read.
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, &[]).await
    }

    /// The same, but further namespaces are made and read, too.
    pub(crate) async fn with(name: &str, further: &[&str]) -> Self {
        let stay = Stay::begin().await;
        let admin = Admin::new(&stay.cluster().kubeconfig()).await.expect("there is a way in");
        let namespaces: Vec<_> = further.iter().copied().chain([name]).map(str::to_owned).collect();
        for name in &namespaces {
            admin.apply(&namespace(name)).await;
        }
        admin.apply(&class(name, &controller_name(name))).await;
        let watch = Watch { r#type: WatchType::Namespaces, namespaces, namespace_selector: None };
        let config = config(&stay.cluster().kubeconfig()).await.expect("there is a way in");
        let controller = Controller::start(config, &controller_name(name), Some(&watch)).await;
        Self { admin, controller, name: name.to_owned(), watch, stay }
    }

    /// The controller is another one that has seen nothing yet.
    pub(crate) async fn restart(&mut self) {
        let config = config(&self.stay.cluster().kubeconfig()).await.expect("there is a way in");
        self.controller = Controller::start(config, &controller_name(&self.name), Some(&self.watch)).await;
    }

    /// The way to the API server for the ServiceAccount `reader` of the room's namespace, which `account` makes: that and
    /// its rights, as YAML.
    pub(crate) async fn reader(&self, account: &str) -> Config {
        let cluster = self.stay.cluster();
        cluster.apply(account).await.expect("the cluster does it");
        let namespace = format!("--namespace={}", self.name);
        let token = cluster.kubectl(&["create", "token", "reader", &namespace]).await.expect("the cluster does it");
        let mut config = config(&cluster.kubeconfig()).await.expect("there is a way in");
        config.auth_info = serde_json::from_value(json!({"token": token.trim()})).expect("it is a credential");
        config
    }

    /// A Gateway of the class, `gw`, with one HTTP listener.
    pub(crate) fn gateway(&self) -> Value {
        gateway(&self.name, "gw", &self.name, http())
    }
}

/// The name of the controller whose class has this name.
pub(crate) fn controller_name(name: &str) -> String {
    format!("test.example/{name}")
}

/// A controller that runs.
pub(crate) struct Controller {
    pub(crate) source: KubeSource,
    pub(crate) outlets: Outlets,
    pub(crate) registry: prometheus::Registry,
    /// Whether it leads.
    pub(crate) leads: watch::Sender<bool>,
    _tasks: JoinSet<()>,
    _book: LedgerBook,
}

impl Controller {
    /// Starts, and waits until everything was read.
    pub(crate) async fn start(config: Config, name: &str, namespaces: Option<&Watch>) -> Self {
        let controller = Self::begin(config, name, namespaces).expect("it can be configured");
        controller.until("the first output", |_| true).await;
        controller
    }

    /// Starts.
    pub(crate) fn begin(config: Config, name: &str, namespaces: Option<&Watch>) -> Result<Self> {
        let registry = prometheus::Registry::new();
        let metrics = Metrics::register(&registry);
        let server = ApiServer::new(config, ClientRateLimit::default(), &metrics)?;
        let source = KubeSource::start(&server.client, namespaces);
        let (outlets, book, leads) = (Outlets::default(), LedgerBook::default(), watch::Sender::new(false));
        let translate = translate::Options {
            controller_name: name.to_owned(),
            enable_backend: true,
            rate_limit_service: Some(translate::ServiceAddress {
                host: "limits.example".to_owned(),
                port: 8081,
                certified_name: None,
            }),
            ..translate::Options::default()
        };
        let state = State::new(Settings { translate, ..Settings::default() });
        let engine = Engine::new(state, name, outlets.clone(), metrics.clone(), None);
        let (seen, ledger, mut listed) = (source.seen(), book.watch(), source.listed());
        let (records, client) = (source.records().clone(), server.client);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if listed.wait_for(|listed| *listed).await.is_ok() {
                std::thread::spawn(move || run(engine, seen, ledger));
            }
        });
        let writer = StatusWriter::new(client.clone(), name, records.clone(), metrics);
        tasks.spawn(writer.run(outlets.statuses.subscribe(), leads.subscribe()));
        let output = outlets.output.subscribe();
        tasks.spawn(finalizer::keep(client, name.to_owned(), records, output, leads.subscribe()));
        Ok(Self { source, outlets, registry, leads, _tasks: tasks, _book: book })
    }

    /// Waits for an output.
    pub(crate) async fn until(&self, what: &str, mut wanted: impl FnMut(&Output) -> bool) -> Arc<Output> {
        let mut output = self.outlets.output.subscribe();
        let found = timeout(PATIENCE, output.wait_for(|output| output.as_deref().is_some_and(&mut wanted))).await;
        let found = found
            .unwrap_or_else(|_| panic!("waited in vain for {what}: {:#?} {:#?}", self.problems(), self.refusals()));
        found.expect("the engine runs").clone().expect("it is what was waited for")
    }

    /// Waits until these bytes are, or are not, in what Envoys get.
    pub(crate) async fn until_sent(&self, text: &str, sent: bool) -> Arc<Output> {
        self.until(&format!("{text} to be sent: {sent}"), |output| sends(output, text) == sent).await
    }

    /// Waits until what is wrong is as wanted.
    pub(crate) async fn until_problems(&self, what: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut seen = self.source.seen();
        let told = |seen: &Seen| seen.problems.iter().map(ToString::to_string).collect::<Vec<_>>();
        match timeout(PATIENCE, seen.wait_for(|seen| wanted(&told(seen)))).await {
            Ok(seen) => told(&seen.expect("the source runs")),
            Err(_) => panic!("waited in vain for {what}: {:#?}", self.problems()),
        }
    }

    /// The statuses that say no to something.
    fn refusals(&self) -> Vec<String> {
        let statuses = self.outlets.statuses.borrow().clone().unwrap_or_default();
        let told = statuses.into_iter().map(|(reference, said)| format!("{reference}: {}", said.status()));
        told.filter(|told| told.contains(r#""status":"False""#)).collect()
    }

    /// What is wrong with documents.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.source.seen().borrow().problems.iter().map(ToString::to_string).collect()
    }

    /// A count among the metrics; nothing where there is none.
    pub(crate) fn counted(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let families = self.registry.gather();
        let metrics = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let fits = |metric: &&prometheus::proto::Metric| {
            let has = |(name, value): &(&str, &str)| {
                metric.get_label().iter().any(|label| label.name() == *name && label.value() == *value)
            };
            labels.iter().all(has)
        };
        metrics.filter(fits).map(|metric| metric.get_counter().get_value()).sum()
    }
}

/// Runs the engine until its source ends, which may be after the runtime of the test.
fn run(engine: Engine, seen: watch::Receiver<Seen>, ledger: watch::Receiver<Arc<Ledger>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
    let runtime = runtime.expect("there is room for a thread");
    let _within = runtime.enter();
    engine.run(seen, ledger);
}

/// Whether these bytes are in what Envoys get.
pub(crate) fn sends(output: &Output, text: &str) -> bool {
    let resources = output.fleets.values().flat_map(|fleet| fleet.snapshot.types());
    let mut bodies = resources.flat_map(|(_, resources)| resources.iter().map(|(_, one)| one.body().clone()));
    bodies.any(|body| body.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
}

/// A controller of a kubeconfig that reads all namespaces.
pub(crate) async fn of_all(kubeconfig: &Path, name: &str) -> Result<Controller> {
    Ok(Controller::start(config(kubeconfig).await?, name, None).await)
}

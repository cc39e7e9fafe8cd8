//! `portcullis server`: all parts put together, and their orderly end.
//!
//! ```text
//! Origin (files, API server) ─▶ Engine ─▶ Cache ─▶ xDS server ◀── Envoys ◀── Host
//!      ▲                          ▲  └──▶ Outlets ─▶ admin page            │
//!      └── statuses ── leader ────┼──────────┘                             │
//!                                 └────── LedgerBook ◀─────────────────────┘
//! ```

use std::{
    net::{IpAddr, UdpSocket},
    path::PathBuf,
    sync::Arc,
};

use api::config::{Custom, EnvoyGateway, HostInfrastructure, ProviderType};
use kit::{
    Kit,
    admin::Part,
    net::{Address, Purpose},
    tasks::BoxError,
};
use tokio::sync::watch;
use xds::LedgerBook;

use crate::{
    admin::{self, View},
    config,
    engine::{Engine, Outlets},
    infra::{
        self, Planner,
        cluster::Fleets,
        host::{Host, Plan, RuntimeDir, States, Wanted, default_runtime_dir, find_envoy},
    },
    metrics::Metrics,
    not_accepted::NotAccepted,
    origin::{Origin, Source},
    pipeline::{self, State},
    pod,
    services::{self, Listen},
    status::Statuses,
    xds_server::{self, Network},
};

/// The admin page and how to move it.
const ADMIN: Purpose = Purpose { name: "admin", setting: "the field admin.address" };
/// Sockets in the runtime directory.
const SOCKET: Purpose = Purpose { name: "socket", setting: "the field provider.custom.infrastructure.host.runtimeDir" };

/// What the command line adds to the configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The file of the configuration.
    pub config_path: PathBuf,
    /// The Envoy binary to use.
    pub envoy_path: Option<PathBuf>,
    /// Where Envoys of other machines get their configuration.
    pub network: Option<Network>,
    /// The directory of the authority that signs the certificates of Envoys in the cluster.
    pub authority: Option<PathBuf>,
}

/// What has to be right before anything is started.
#[derive(Debug)]
pub struct Prepared {
    config: EnvoyGateway,
    origin: Origin,
    runtime: Arc<RuntimeDir>,
    envoy: Option<PathBuf>,
    network: Option<Network>,
    services: Listen,
    authority: Option<PathBuf>,
}

/// Where Envoys that others start get their configuration, unless it is said.
const XDS: &str = "127.0.0.1:18000";

/// Checks what the configuration asks for against this machine.
///
/// # Errors
/// A path is missing, there is no Envoy, or the runtime directory cannot be used.
pub fn prepare(config: EnvoyGateway, options: &Options) -> Result<Prepared, BoxError> {
    let file = &options.config_path;
    let wrong = |field: &str, what: String| BoxError::from(config::wrong_here(file, field, what));
    let (origin, host) = match (config.provider.r#type, &config.provider.custom) {
        (ProviderType::Custom, Some(custom)) => (files(custom, &wrong)?, host_of(custom)),
        _ => (Origin::Cluster(Box::new(config.provider.kubernetes.clone().unwrap_or_default())), None),
    };
    let directory = config.provider.custom.as_ref().map_or_else(default_runtime_dir, runtime_dir);
    let runtime = RuntimeDir::open(&directory)
        .map_err(|error| wrong("provider.custom.infrastructure.host.runtimeDir", error.to_string()))?;
    let envoy = match &host {
        Some(host) => Some(find_envoy(options.envoy_path.as_deref(), host.data_home.as_deref())?),
        None => None,
    };
    let nobody_starts_envoys = host.is_none().then(|| Network { address: XDS.to_owned(), certificates: None });
    let network = options.network.clone().or(nobody_starts_envoys);
    network.as_ref().map_or(Ok(()), Network::check).map_err(|error| format!("--xds-address {error}"))?;
    let services = listen(&config, &runtime, network.as_ref());
    services.network.as_ref().map_or(Ok(()), Network::check).map_err(|error| wrong(address_field(&config), error))?;
    let authority = options.authority.clone();
    Ok(Prepared { config, origin, runtime: Arc::new(runtime), envoy, network, services, authority })
}

/// Where the services get their configuration that Envoys ask.
fn listen(config: &EnvoyGateway, runtime: &RuntimeDir, xds: Option<&Network>) -> Listen {
    let limits = config.rate_limit.as_ref().map(|_| runtime.rate_limit_socket());
    let logins = config.single_sign_on.as_ref().map(|_| runtime.single_sign_on_socket());
    let sockets: Vec<PathBuf> = limits.into_iter().chain(logins).collect();
    let network = if sockets.is_empty() { None } else { services_network(config, xds) };
    Listen { sockets, network }
}

/// The field that says where, by the network.
fn address_field(config: &EnvoyGateway) -> &'static str {
    let limits = config.rate_limit.as_ref().and_then(|limits| limits.config_address.as_ref());
    if limits.is_some() || config.single_sign_on.is_none() {
        "rateLimit.configAddress"
    } else {
        "singleSignOn.configAddress"
    }
}

/// Where they get it by the network; with the certificates of the xDS server.
fn services_network(config: &EnvoyGateway, xds: Option<&Network>) -> Option<Network> {
    let certificates = xds.and_then(|network| network.certificates.clone());
    let of_cluster = (config.provider.r#type == ProviderType::Kubernetes)
        .then(|| if certificates.is_some() { "0.0.0.0:18001" } else { "127.0.0.1:18001" }.to_owned());
    let limits = config.rate_limit.as_ref().and_then(|limits| limits.config_address.clone());
    let logins = config.single_sign_on.as_ref().and_then(|logins| logins.config_address.clone());
    let address = limits.or(logins).or(of_cluster)?;
    Some(Network { address, certificates })
}

/// The files that a configuration names.
fn files(custom: &Custom, wrong: &impl Fn(&str, String) -> BoxError) -> Result<Origin, BoxError> {
    let paths = custom.resource.file.iter().flat_map(|files| files.paths.clone()).collect::<Vec<_>>();
    for (index, path) in paths.iter().enumerate() {
        if !path.exists() {
            let field = format!("provider.custom.resource.file.paths[{index}]");
            return Err(wrong(&field, format!("{} does not exist", path.display())));
        }
    }
    Ok(Origin::Files(paths))
}

/// Where Envoys are run on this machine; `None` where others start them.
fn host_of(custom: &Custom) -> Option<HostInfrastructure> {
    custom.infrastructure.as_ref().map(|infrastructure| infrastructure.host.clone().unwrap_or_default())
}

/// The runtime directory that a configuration asks for.
pub fn runtime_dir(custom: &Custom) -> PathBuf {
    let host = custom.infrastructure.as_ref().and_then(|infrastructure| infrastructure.host.as_ref());
    host.and_then(|host| host.runtime_dir.clone()).unwrap_or_else(default_runtime_dir)
}

/// Runs the server until the process is to end.
///
/// # Errors
/// Something cannot be started, such as a port that is in use.
pub async fn serve(kit: Kit, prepared: Prepared) -> Result<(), BoxError> {
    let Prepared { config, origin, runtime, envoy, network, services, authority } = prepared;
    for ignored in config.without_effect() {
        tracing::warn!("the configuration asks for what has no effect: {ignored}");
    }
    let (outlets, book) = (Outlets::default(), LedgerBook::default());
    let metrics = Metrics::register(kit.metrics.registry());
    let states = watch::Sender::new(States::new());
    let ready = kit.gates.gate("resources");
    let source = origin.start(&metrics).await?;
    let view = View {
        controller: config.gateway.controller_name.clone(),
        seen: source.seen(),
        output: outlets.output.subscribe(),
        statuses: outlets.statuses.subscribe(),
        ledger: book.watch(),
        states: states.subscribe(),
    };
    serve_admin(&kit, &config, &runtime, view).await?;
    pod::serve(&kit, &config, network.as_ref()).await?;
    xds_server::serve(&kit, &runtime.xds_socket(), network.as_ref(), &outlets.cache, &book).await?;
    let refused_logins = services::serve(&kit, services, outlets.output.subscribe(), &metrics).await?;
    observe(&kit, metrics.clone(), &book, source.seen(), states.subscribe());
    observe_statuses(&kit, metrics.clone(), outlets.statuses.subscribe());
    if kit.shutdown.unless_stopping(source.listed(&ready)).await.is_none() {
        return Ok(());
    }
    let wanted = watch::Sender::new(None);
    // Before the engine runs: what it wants first must not be missed.
    let on_host = wanted.subscribe();
    let planner = envoy.is_some().then(|| Planner::Host(Plan::new(Arc::clone(&runtime)), wanted));
    let fleets = run_in_cluster(&kit, &source, &config, authority, &metrics).await?;
    let settings = settings(&config, &source, fleets.is_some());
    let (planner, states_in_cluster) = match fleets {
        Some(Fleets { planner, states }) => (Some(planner), Some(states)),
        None => (planner, None),
    };
    let controller = &config.gateway.controller_name;
    let engine = Engine::new(State::new(settings), controller, outlets.clone(), metrics.clone(), planner);
    let mut engine = engine.with_refused_logins(refused_logins);
    if let Some(states) = states_in_cluster {
        engine = engine.with_fleets(states);
    }
    let (seen, ledger) = (source.seen(), book.watch());
    let mut output = outlets.output.subscribe();
    let running = tokio::task::spawn_blocking(move || engine.run(seen, ledger));
    source.write_statuses(&kit, &config.gateway.controller_name, &outlets, &metrics);
    if let Some(envoy) = envoy {
        run_on_host(&kit, Host::new(Arc::clone(&runtime), &envoy), on_host, states);
        tracing::info!(component = "infrastructure", envoy = %envoy.display(), runtime = %runtime.path().display(),
            "Envoys run on this machine");
    }
    // The engine ends with its source, and only so.
    let _ = kit.shutdown.unless_stopping(output.wait_for(Option::is_some)).await;
    ready.open();
    kit.shutdown.stopping().await;
    drop(source);
    running.await?;
    Ok(())
}

/// Runs the Envoys that are wanted on this machine.
fn run_on_host(kit: &Kit, host: Host, wanted: watch::Receiver<Option<Wanted>>, states: watch::Sender<States>) {
    let (stop, force) = (kit.shutdown.clone(), kit.shutdown.clone());
    kit.tasks.spawn("envoys", async move {
        host.run(wanted, states, async move { stop.stopping().await }, async move { force.forced().await }).await;
        Ok::<(), BoxError>(())
    });
}

async fn serve_admin(kit: &Kit, config: &EnvoyGateway, runtime: &RuntimeDir, view: View) -> Result<(), BoxError> {
    let shown = serde_json::to_value(config)?;
    if config.admin.enable_dump_config {
        tracing::info!(config = %shown, "configuration");
    }
    kit.admin.show_config(move || shown.clone());
    kit.admin.add_routes(admin::routes(view, &kit.shutdown));
    let at = &config.admin.address;
    let host = if at.host.contains(':') { format!("[{}]", at.host) } else { at.host.clone() };
    kit.admin.listen(&Address::Tcp(format!("{host}:{}", at.port)), ADMIN, Part::All).await?;
    kit.admin.listen(&Address::Unix(runtime.admin_socket()), SOCKET, Part::All).await?;
    Ok(())
}

/// Keeps the metrics of what others do.
fn observe(
    kit: &Kit,
    metrics: Metrics,
    book: &LedgerBook,
    mut seen: watch::Receiver<crate::source::Seen>,
    mut states: watch::Receiver<States>,
) {
    let (mut events, mut ledger) = (book.events(), book.watch());
    let shutdown = kit.shutdown.clone();
    crate::source::tell_problems(&seen.borrow(), &crate::source::Seen::default());
    metrics.problems(&seen.borrow().problems);
    let watching = async move {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => metrics.answered(&event),
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
                },
                Ok(()) = ledger.changed() => metrics.connected(&ledger.borrow_and_update()),
                Ok(()) = seen.changed() => metrics.problems(&seen.borrow_and_update().problems),
                Ok(()) = states.changed() => {
                    for (fleet, state) in &*states.borrow_and_update() {
                        metrics.restarts(fleet, state.restarts);
                    }
                }
            }
        }
    };
    kit.tasks.spawn("metrics", async move {
        shutdown.unless_stopping(watching).await;
        Ok::<(), BoxError>(())
    });
}

/// Keeps the metrics of what statuses say.
fn observe_statuses(kit: &Kit, metrics: Metrics, mut statuses: watch::Receiver<Option<Arc<Statuses>>>) {
    let shutdown = kit.shutdown.clone();
    let watching = async move {
        let mut not_accepted = NotAccepted::default();
        while statuses.changed().await.is_ok() {
            let now = statuses.borrow_and_update().clone().unwrap_or_default();
            metrics.not_accepted(&not_accepted.hear(&now));
        }
    };
    kit.tasks.spawn("metrics of statuses", async move {
        shutdown.unless_stopping(watching).await;
        Ok::<(), BoxError>(())
    });
}

/// Keeps the metrics of the fleets in the cluster.
fn observe_fleets(kit: &Kit, metrics: Metrics, mut states: watch::Receiver<infra::kube::States>) {
    let shutdown = kit.shutdown.clone();
    let watching = async move {
        while states.changed().await.is_ok() {
            metrics.fleets(&states.borrow_and_update());
        }
    };
    kit.tasks.spawn("metrics of fleets", async move {
        shutdown.unless_stopping(watching).await;
        Ok::<(), BoxError>(())
    });
}

/// Envoys in the cluster, where resources come from there and there is an authority for their certificates.
async fn run_in_cluster(
    kit: &Kit,
    source: &Source,
    config: &EnvoyGateway,
    authority: Option<PathBuf>,
    metrics: &Metrics,
) -> Result<Option<Fleets>, BoxError> {
    let Source::Cluster(cluster) = source else { return Ok(None) };
    let Some(authority) = authority else {
        tracing::warn!(
            component = "infrastructure",
            "no Envoys and no rate limit service are run: that takes --authority"
        );
        return Ok(None);
    };
    let leads = cluster.leads.subscribe();
    let fleets = infra::cluster::run(kit, &cluster.server, config, authority, leads).await?;
    observe_fleets(kit, metrics.clone(), fleets.states.clone());
    Ok(Some(fleets))
}

/// What the configuration decides of translation, here. `runs`: whether we run Envoys in the cluster.
fn settings(config: &EnvoyGateway, source: &Source, runs: bool) -> pipeline::Settings {
    let mut settings = config::pipeline_settings(config, addresses(source));
    settings.lower.in_pod = runs;
    settings.translate.in_pod = runs;
    let namespace = match source {
        Source::Cluster(cluster) if runs => Some(&*cluster.server.namespace),
        _ => None,
    };
    let service = config.rate_limit.as_ref().and_then(|limit| config::rate_limit_service(limit, namespace));
    settings.translate.rate_limit_service = service;
    let service = config.single_sign_on.as_ref().and_then(|service| config::single_sign_on(service, namespace));
    settings.translate.single_sign_on = service;
    settings
}

/// The addresses at which Envoys of this machine are reached: those from which it would reach others. Nothing is sent.
fn addresses(source: &Source) -> Vec<IpAddr> {
    if matches!(source, Source::Cluster(_)) {
        return Vec::new();
    }
    let towards = |local: &str, documentation: &str| {
        let socket = UdpSocket::bind(local).ok()?;
        socket.connect(documentation).ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let found = [towards("0.0.0.0:0", "192.0.2.1:9"), towards("[::]:0", "[2001:db8::1]:9")];
    let found: Vec<_> = found.into_iter().flatten().filter(|address| !address.is_unspecified()).collect();
    if found.is_empty() { vec![IpAddr::from([127, 0, 0, 1])] } else { found }
}

//! What a fleet's routes use: back ends and key material, counted, so that a changed route costs the work of one route.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ir::{
    Cluster, ClusterName, Discovery, DnsEndpoint, Secret, Telemetry, UpstreamProtocol, UpstreamTls,
    tls::{TlsParameters, TlsVersion, Trust},
};

use crate::{
    Options, ServiceAddress,
    plan::Plan,
    routes::{Attachment, Outcome, RouteScope},
    standing::Change,
    telemetry,
};

/// Things by name, shared with what was put together from them.
type Shared<T> = Arc<BTreeMap<Arc<str>, Arc<T>>>;

/// What one fleet uses.
#[derive(Debug)]
pub(crate) struct Usage {
    clusters: Counted<Cluster>,
    secrets: Counted<Secret>,
    /// How many routes have a limit that a service counts.
    limited: usize,
    pub(crate) telemetry: Telemetry,
    rate_limit: Option<Arc<Cluster>>,
}

/// Things that are used so and so often.
#[derive(Debug)]
struct Counted<T> {
    uses: BTreeMap<Arc<str>, (Arc<T>, usize)>,
    /// The same without the counts; nothing when it has to be made anew.
    built: Option<Shared<T>>,
}

impl<T> Counted<T> {
    /// What is used whatever routes there are.
    fn of(fixed: BTreeMap<Arc<str>, Arc<T>>) -> Self {
        Self { uses: fixed.into_iter().map(|(name, item)| (name, (item, 1))).collect(), built: None }
    }

    fn take(&mut self, name: &Arc<str>, item: &Arc<T>) {
        if let Some((_, count)) = self.uses.get_mut(name) {
            *count += 1;
            return;
        }
        self.uses.insert(Arc::clone(name), (Arc::clone(item), 1));
        self.built = None;
    }

    fn leave(&mut self, name: &str) {
        let Some((_, count)) = self.uses.get_mut(name) else { return };
        *count -= 1;
        if *count == 0 {
            self.uses.remove(name);
            self.built = None;
        }
    }

    fn built(&mut self) -> Shared<T> {
        let uses = &self.uses;
        let made = || Arc::new(uses.iter().map(|(name, (item, _))| (Arc::clone(name), Arc::clone(item))).collect());
        Arc::clone(self.built.get_or_insert_with(made))
    }
}

impl Usage {
    /// What a fleet uses whatever routes there are.
    pub(crate) fn new(scope: RouteScope<'_>, fleet: usize) -> Self {
        let mut clusters = BTreeMap::new();
        let mut secrets = scope.plan.fleets[fleet].secrets.clone();
        let telemetry = telemetry::telemetry(scope, fleet, &mut clusters, &mut secrets);
        Self {
            clusters: Counted::of(clusters),
            secrets: Counted::of(secrets),
            limited: 0,
            telemetry,
            rate_limit: rate_limit_cluster(scope.options),
        }
    }

    /// The clusters.
    pub(crate) fn clusters(&mut self) -> Shared<Cluster> {
        self.clusters.built()
    }

    /// The certificates and authorities.
    pub(crate) fn secrets(&mut self) -> Shared<Secret> {
        self.secrets.built()
    }

    /// The rate limit service, where a route needs it and there is one.
    pub(crate) fn rate_limit_service(&self) -> Option<ClusterName> {
        self.rate_limit.as_ref().filter(|_| self.limited > 0).map(|cluster| Arc::clone(&cluster.name))
    }

    fn take(&mut self, attachment: &Attachment) {
        let used = &attachment.compiled.used;
        used.clusters.iter().for_each(|cluster| self.clusters.take(&cluster.name, cluster));
        used.secrets.iter().for_each(|(name, secret)| self.secrets.take(name, secret));
        if is_limited(attachment) {
            self.limited += 1;
            if let (1, Some(cluster)) = (self.limited, &self.rate_limit) {
                self.clusters.take(&cluster.name, cluster);
            }
        }
    }

    fn leave(&mut self, attachment: &Attachment) {
        let used = &attachment.compiled.used;
        used.clusters.iter().for_each(|cluster| self.clusters.leave(&cluster.name));
        used.secrets.keys().for_each(|name| self.secrets.leave(name));
        if is_limited(attachment) {
            self.limited -= 1;
            if let (0, Some(cluster)) = (self.limited, &self.rate_limit) {
                self.clusters.leave(&cluster.name);
            }
        }
    }
}

/// Notes in all fleets what changed.
pub(crate) fn note(usages: &mut [Usage], plan: &Plan, changes: &[Change]) {
    let served = |outcome: &Option<Arc<Outcome>>, note: &mut dyn FnMut(usize, &Attachment)| {
        for attachment in outcome.iter().flat_map(|outcome| outcome.attachments()) {
            let listener = &plan.listeners[attachment.listener];
            if listener.served() {
                note(listener.fleet, attachment);
            }
        }
    };
    // What a route goes on using must not be let go of in between: it would be made anew.
    for change in changes {
        served(&change.after, &mut |fleet, attachment| usages[fleet].take(attachment));
        served(&change.before, &mut |fleet, attachment| usages[fleet].leave(attachment));
    }
}

fn is_limited(attachment: &Attachment) -> bool {
    attachment.compiled.entries.iter().any(|entry| entry.route.features.rate_limit.is_some())
}

/// The cluster of the rate limit service.
fn rate_limit_cluster(options: &Options) -> Option<Arc<Cluster>> {
    let address = options.rate_limit_service.as_ref()?;
    Some(Arc::new(service_cluster("rate-limit-service", address)))
}

/// The cluster of one of the services that Envoys ask.
pub(crate) fn service_cluster(name: &str, address: &ServiceAddress) -> Cluster {
    let ServiceAddress { host: hostname, port, certified_name } = address.clone();
    let endpoint = DnsEndpoint { hostname, port, zone: None, priority: 0, weight: None };
    Cluster {
        name: name.into(),
        discovery: Discovery::Dns { endpoints: vec![endpoint], family: None },
        protocol: UpstreamProtocol::Http2,
        tls: certified_name.map(certified),
        connect_timeout: Duration::from_secs(1),
        ejects_failing: false,
        sources: Vec::new(),
    }
}

/// TLS to a service that knows Envoys by the certificates that they have for the controller.
fn certified(name: String) -> UpstreamTls {
    UpstreamTls {
        sni: Some(name),
        auto_sni: false,
        trust: Trust::Fleet,
        subject_alt_names: Vec::new(),
        client_certificate: None,
        alpn: vec!["h2".to_owned()],
        // Envoy would offer less than our services take, unless it's told.
        parameters: TlsParameters {
            min: Some(TlsVersion::V1_3),
            max: Some(TlsVersion::V1_3),
            ..TlsParameters::default()
        },
    }
}

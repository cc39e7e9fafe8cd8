//! Where access logs, metrics and traces go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    Stored,
    ext::{
        EnvoyProxy,
        common::BackendRef,
        envoy_proxy::{
            access_log::AccessLogSink,
            telemetry::Telemetry as Settings,
            tracing::{TracingProvider, TracingProviderType},
        },
    },
};
use ir::{Cluster, ClusterName, Discovery, DnsEndpoint, Secret, SecretName, Telemetry, UpstreamProtocol};

use crate::{
    backends::{Scope, Usage, named},
    grants::Referrer,
    plan::Fleet,
    problem::Problem,
    routes::RouteScope,
    rules::Used,
};

/// Where a fleet's telemetry goes, with what that needs, and what does not resolve.
#[derive(Debug, Default)]
pub(crate) struct Sinks {
    telemetry: Telemetry,
    used: Used,
    pub(crate) problems: Vec<Problem>,
}

/// A fleet's telemetry. The clusters and key material that it uses are added to the fleet's.
pub(crate) fn telemetry(
    scope: RouteScope<'_>,
    fleet_index: usize,
    clusters: &mut BTreeMap<ClusterName, Arc<Cluster>>,
    secrets: &mut BTreeMap<SecretName, Arc<Secret>>,
) -> Telemetry {
    scope.plan.fleets[fleet_index].telemetry.put_into(clusters, secrets)
}

impl Sinks {
    /// The telemetry; what it uses is added to what there is.
    pub(crate) fn put_into(
        &self,
        clusters: &mut BTreeMap<ClusterName, Arc<Cluster>>,
        secrets: &mut BTreeMap<SecretName, Arc<Secret>>,
    ) -> Telemetry {
        clusters.extend(self.used.clusters.iter().map(|cluster| (Arc::clone(&cluster.name), Arc::clone(cluster))));
        secrets.extend(self.used.secrets.clone());
        self.telemetry.clone()
    }
}

/// Follows the references of a fleet's telemetry settings. A sink that does not resolve is left out and told: no request
/// fails for want of its log line.
pub(crate) fn follow(scope: RouteScope<'_>, fleet: &Fleet) -> Sinks {
    let (Some(settings), Some(gateway)) = (&fleet.proxy.spec.telemetry, fleet.gateways.first().copied()) else {
        return Sinks::default();
    };
    let RouteScope { resources, options, plan } = scope;
    let scope = Scope { resources, options, plan, gateway, redirects_from: None, passthrough: false };
    let from = Referrer { group: EnvoyProxy::GROUP, kind: EnvoyProxy::KIND, namespace: fleet.proxy.namespace() };
    let mut follower = Follower { scope, from, used: Used::default(), problems: Vec::new() };
    let telemetry = follower.all(settings);
    Sinks { telemetry, used: follower.used, problems: follower.problems }
}

struct Follower<'a> {
    scope: Scope<'a>,
    from: Referrer<'a>,
    used: Used,
    problems: Vec<Problem>,
}

impl Follower<'_> {
    fn all(&mut self, settings: &Settings) -> Telemetry {
        let logs = settings.access_log.iter().flat_map(|log| &log.settings).enumerate();
        let access_logs = logs.map(|(index, setting)| {
            let sinks = setting.sinks.iter().enumerate();
            let field = |sink: usize| format!("accessLog.settings[{index}].sinks[{sink}]");
            sinks.map(|(sink, item)| self.log_sink(&field(sink), item)).collect()
        });
        let access_logs = access_logs.collect();
        let metrics = settings.metrics.iter().flat_map(|metrics| &metrics.sinks).enumerate();
        let metrics = metrics.map(|(index, item)| {
            let otel = item.open_telemetry.as_ref()?;
            let field = format!("metrics.sinks[{index}].openTelemetry");
            self.sink(&field, (otel.host.as_ref(), otel.port), &otel.backend_refs, Usage::Grpc)
        });
        let metrics = metrics.collect();
        let tracing = settings.tracing.as_ref().and_then(|tracing| self.tracing(&tracing.provider));
        Telemetry { access_logs, metrics, tracing }
    }

    fn log_sink(&mut self, field: &str, item: &AccessLogSink) -> Option<ClusterName> {
        match (&item.als, &item.open_telemetry) {
            (Some(als), _) => self.sink(&format!("{field}.als"), (None, 0), &als.backend_refs, Usage::Grpc),
            (_, Some(otel)) => {
                let host = (otel.host.as_ref(), otel.port);
                self.sink(&format!("{field}.openTelemetry"), host, &otel.backend_refs, Usage::Grpc)
            }
            _ => None,
        }
    }

    fn tracing(&mut self, provider: &TracingProvider) -> Option<ClusterName> {
        let usage = match provider.r#type {
            TracingProviderType::OpenTelemetry => Usage::Grpc,
            TracingProviderType::Zipkin | TracingProviderType::Datadog => Usage::Http,
        };
        self.sink("tracing.provider", (provider.host.as_ref(), provider.port), &provider.backend_refs, usage)
    }

    /// The cluster of one sink, by its references or else by its host and port.
    fn sink(
        &mut self,
        field: &str,
        (host, port): (Option<&String>, i32),
        references: &[BackendRef],
        usage: Usage,
    ) -> Option<ClusterName> {
        if let (true, Some(host)) = (references.is_empty(), host) {
            return Some(self.used.note_cluster(by_name(host, port, usage)));
        }
        match named(self.scope, self.from, references, usage, &mut self.used) {
            Ok((cluster, _)) => Some(cluster),
            Err(Problem { reason, message }) => {
                self.problems.push(Problem::new(reason, format!("telemetry.{field} is left out: {message}")));
                None
            }
        }
    }
}

/// A sink that is named by host and port.
fn by_name(host: &str, port: i32, usage: Usage) -> Arc<Cluster> {
    let hostname = host.to_owned();
    let endpoint =
        DnsEndpoint { hostname, port: u16::try_from(port).unwrap_or_default(), zone: None, priority: 0, weight: None };
    let (suffix, protocol) = match usage {
        Usage::Grpc => ("grpc", UpstreamProtocol::Http2),
        _ => ("http", UpstreamProtocol::Http1),
    };
    Arc::new(Cluster {
        name: format!("telemetry/{host}/{port}/{suffix}").into(),
        discovery: Discovery::Dns { endpoints: vec![endpoint], family: None },
        protocol,
        tls: None,
        connect_timeout: Duration::from_secs(5),
        ejects_failing: false,
        sources: Vec::new(),
    })
}

//! Where access logs, metrics and traces go.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{
    Stored,
    ext::{
        EnvoyProxy,
        common::BackendRef,
        envoy_proxy::{access_log::AccessLogSink, tracing::TracingProviderType},
    },
};
use ir::{Cluster, ClusterName, Discovery, DnsEndpoint, Secret, SecretName, Telemetry, UpstreamProtocol};

use crate::{
    backends::{Scope, Usage, named},
    grants::Referrer,
    routes::RouteScope,
    rules::Used,
};

/// Follows the references of a fleet's telemetry settings. A sink that does not resolve is left out: no request fails
/// for want of its log line.
pub(crate) fn telemetry(
    scope: RouteScope<'_>,
    fleet_index: usize,
    clusters: &mut BTreeMap<ClusterName, Arc<Cluster>>,
    secrets: &mut BTreeMap<SecretName, Arc<Secret>>,
) -> Telemetry {
    let fleet = &scope.plan.fleets[fleet_index];
    let (Some(settings), Some(gateway)) = (&fleet.proxy.spec.telemetry, fleet.gateways.first().copied()) else {
        return Telemetry::default();
    };
    let scope = Scope {
        resources: scope.resources,
        options: scope.options,
        plan: scope.plan,
        gateway,
        redirect_port: None,
        passthrough: false,
    };
    let from = Referrer { group: EnvoyProxy::GROUP, kind: EnvoyProxy::KIND, namespace: &fleet.proxy.namespace };
    let mut used = Used::default();
    let mut sink = |host: Option<&String>, port: i32, references: &[BackendRef], usage| {
        if references.is_empty() {
            return host.map(|host| used.note_cluster(by_name(host, port, usage)));
        }
        named(scope, from, references, usage, &mut used).ok().map(|(cluster, _)| cluster)
    };
    let mut log_sink = |item: &AccessLogSink| match (&item.als, &item.open_telemetry) {
        (Some(als), _) => sink(None, 0, &als.backend_refs, Usage::Grpc),
        (_, Some(otel)) => sink(otel.host.as_ref(), otel.port, &otel.backend_refs, Usage::Grpc),
        _ => None,
    };
    let access_logs = settings.access_log.iter().flat_map(|log| &log.settings);
    let access_logs = access_logs.map(|setting| setting.sinks.iter().map(&mut log_sink).collect()).collect();
    let metrics = settings.metrics.iter().flat_map(|metrics| &metrics.sinks);
    let metrics = metrics.map(|item| {
        let otel = item.open_telemetry.as_ref()?;
        sink(otel.host.as_ref(), otel.port, &otel.backend_refs, Usage::Grpc)
    });
    let metrics = metrics.collect();
    let tracing = settings.tracing.as_ref().and_then(|tracing| {
        let provider = &tracing.provider;
        let usage = match provider.r#type {
            TracingProviderType::OpenTelemetry => Usage::Grpc,
            TracingProviderType::Zipkin | TracingProviderType::Datadog => Usage::Http,
        };
        sink(provider.host.as_ref(), provider.port, &provider.backend_refs, usage)
    });
    clusters.extend(used.clusters);
    secrets.extend(used.secrets);
    Telemetry { access_logs, metrics, tracing }
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

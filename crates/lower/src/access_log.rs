//! Access logs: of requests, of connections that are passed on as bytes, of connections that no chain takes, and of tries.

mod format;
mod sink;

use envoy::{
    accesslog::{
        AccessLog, AccessLogFilter, AndFilter, ExtensionFilter, ResponseFlagFilter, access_log::ConfigType,
        access_log_filter::FilterSpecifier, extension_filter,
    },
    ext::access_log::cel_filter::ExpressionFilter,
};
use ir::{
    ClusterName,
    api::ext::envoy_proxy::access_log::{AccessLogFormat, AccessLogSetting, AccessLogSink, AccessLogType, AlsType},
};

use crate::scope::Scope;

/// What writes a record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// The connection manager, of requests.
    Requests,
    /// The proxy of connections.
    Connections,
    /// The listener.
    Listener,
    /// The router, of tries.
    Tries,
}

/// Of requests.
pub(crate) fn of_requests(scope: &Scope<'_>) -> Vec<AccessLog> {
    logs(scope, Writer::Requests)
}

/// Of connections that are passed on as bytes.
pub(crate) fn of_connections(scope: &Scope<'_>) -> Vec<AccessLog> {
    logs(scope, Writer::Connections)
}

/// Of connections that no chain takes.
pub(crate) fn of_listener(scope: &Scope<'_>) -> Vec<AccessLog> {
    logs(scope, Writer::Listener)
}

/// Of tries, where a setting asks for them.
pub(crate) fn of_tries(scope: &Scope<'_>) -> Vec<AccessLog> {
    logs(scope, Writer::Tries)
}

/// Whether a service gets records, which say by what TLS a client comes.
pub(crate) fn tells_fingerprints(scope: &Scope<'_>) -> bool {
    let log = scope.telemetry().and_then(|telemetry| telemetry.access_log.as_ref());
    log.is_some_and(|log| log.disable != Some(true))
        && settings(scope).iter().flat_map(|setting| &setting.sinks).any(|sink| sink.als.is_some())
}

/// Whether a log asks for what a route was made from.
pub(crate) fn reads_route_metadata(scope: &Scope<'_>) -> bool {
    let asks = |text: &String| text.contains("METADATA(ROUTE:") || text.contains("xds.route_metadata");
    let of_format = |format: &AccessLogFormat| {
        format.text.iter().any(asks) || format.json.iter().flat_map(|fields| fields.values()).any(asks)
    };
    settings(scope).iter().any(|setting| setting.format.iter().any(of_format) || setting.matches.iter().any(asks))
}

/// Whether a service is told of requests, and with them what their routes promise.
pub(crate) fn tells_objectives(scope: &Scope<'_>) -> bool {
    let service = |sink: &AccessLogSink| sink.als.as_ref().is_some_and(|als| als.r#type == AlsType::HTTP);
    settings(scope).iter().any(|setting| setting.sinks.iter().any(service))
}

fn settings<'a>(scope: &Scope<'a>) -> &'a [AccessLogSetting] {
    let log = scope.telemetry().and_then(|telemetry| telemetry.access_log.as_ref());
    log.map(|log| log.settings.as_slice()).unwrap_or_default()
}

fn logs(scope: &Scope<'_>, writer: Writer) -> Vec<AccessLog> {
    let log = scope.telemetry().and_then(|telemetry| telemetry.access_log.as_ref());
    match log {
        Some(log) if log.disable == Some(true) => Vec::new(),
        Some(log) if !log.settings.is_empty() => {
            let settings = log.settings.iter().enumerate().filter(|(_, setting)| writes(setting, writer));
            settings.flat_map(|(index, setting)| of_setting(scope, index, setting, writer)).collect()
        }
        _ if writer == Writer::Tries => Vec::new(),
        _ => vec![with_filter(sink::stdout(), filter(&AccessLogSetting::default(), writer))],
    }
}

/// Whether a setting is for this writer: without a type, for requests, connections and listeners.
fn writes(setting: &AccessLogSetting, writer: Writer) -> bool {
    match setting.r#type {
        None => writer != Writer::Tries,
        Some(AccessLogType::Listener) => writer == Writer::Listener,
        Some(AccessLogType::Route) => matches!(writer, Writer::Requests | Writer::Connections),
        Some(AccessLogType::Upstream) => writer == Writer::Tries,
    }
}

fn of_setting(scope: &Scope<'_>, index: usize, setting: &AccessLogSetting, writer: Writer) -> Vec<AccessLog> {
    let clusters: &[Option<ClusterName>] =
        scope.gateway.telemetry.access_logs.get(index).map(Vec::as_slice).unwrap_or_default();
    let sinks = setting.sinks.iter().enumerate();
    let lowered = sinks.filter_map(|(index, sink): (usize, &AccessLogSink)| {
        let cluster = clusters.get(index).and_then(Option::as_ref);
        sink::lower(&scope.gateway.name, setting.format.as_ref(), sink, cluster, writer)
    });
    lowered.map(|log| with_filter(log, filter(setting, writer))).collect()
}

fn with_filter(log: AccessLog, filter: Option<AccessLogFilter>) -> AccessLog {
    AccessLog { filter, ..log }
}

/// All expressions must hold. A listener's record, where nobody asked for the listener's own, is for what no chain has taken:
/// the others have their record from the chain.
fn filter(setting: &AccessLogSetting, writer: Writer) -> Option<AccessLogFilter> {
    let expressions = setting.matches.iter().map(|expression| {
        let config = ExpressionFilter { expression: expression.clone(), ..Default::default() };
        FilterSpecifier::ExtensionFilter(ExtensionFilter {
            name: "envoy.access_loggers.extension_filters.cel".to_owned(),
            config_type: Some(extension_filter::ConfigType::TypedConfig(envoy::any(&config))),
        })
    });
    let untaken = writer == Writer::Listener && setting.r#type.is_none();
    let untaken =
        untaken.then(|| FilterSpecifier::ResponseFlagFilter(ResponseFlagFilter { flags: vec!["NR".to_owned()] }));
    let mut filters: Vec<AccessLogFilter> =
        expressions.chain(untaken).map(|specifier| AccessLogFilter { filter_specifier: Some(specifier) }).collect();
    match filters.len() {
        0 | 1 => filters.pop(),
        _ => Some(AccessLogFilter { filter_specifier: Some(FilterSpecifier::AndFilter(AndFilter { filters })) }),
    }
}

fn log<M: envoy::Message + envoy::Name>(name: &str, config: &M) -> AccessLog {
    AccessLog { name: name.to_owned(), filter: None, config_type: Some(ConfigType::TypedConfig(envoy::any(config))) }
}

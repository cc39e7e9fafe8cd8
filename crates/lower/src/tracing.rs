//! Traces of requests.

use envoy::{
    core::TypedExtensionConfig,
    ext::tracer::samplers::{AlwaysOnSamplerConfig, ParentBasedSamplerConfig, TraceIdRatioBasedSamplerConfig},
    hcm::http_connection_manager::Tracing,
    trace::{
        DatadogConfig, OpenTelemetryConfig, ZipkinConfig,
        tracing::{Http, http::ConfigType},
        zipkin_config::CollectorEndpointVersion,
    },
    tracing_tags::{CustomTag, custom_tag},
    types::{FractionalPercent, Percent, fractional_percent::DenominatorType},
};
use ir::{
    ClusterName,
    api::ext::{
        common::Fraction,
        envoy_proxy::tracing::{
            CustomTag as TagSettings, CustomTagType, NamedTag, OpenTelemetryTracing, Sampler, SamplerType,
            Tracing as Settings, TracingProvider, TracingProviderType,
        },
    },
};

use crate::{convert::grpc_service, scope::Scope, telemetry};

/// All requests.
const ALL: Fraction = Fraction { numerator: 100, denominator: 100 };

/// Of requests; `None` where nobody collects them.
pub(crate) fn of_requests(scope: &Scope<'_>) -> Option<Tracing> {
    let settings = scope.telemetry()?.tracing.as_ref()?;
    let cluster = scope.gateway.telemetry.tracing.as_ref()?;
    let Settings {
        provider,
        sampling_rate,
        sampling_fraction,
        client_sampling_fraction,
        overall_sampling_fraction,
        custom_tags,
        tags,
        span_name,
    } = settings;
    let rate = sampling_rate.map(|numerator| Fraction { numerator, denominator: 100 });
    let older =
        custom_tags.iter().map(|(name, settings)| CustomTag { tag: name.clone(), r#type: Some(older_tag(settings)) });
    let tags = tags
        .iter()
        .map(|(name, value)| CustomTag { tag: name.clone(), r#type: Some(custom_tag::Type::Value(value.clone())) });
    Some(Tracing {
        random_sampling: Some(percent(sampling_fraction.or(rate).unwrap_or(ALL))),
        client_sampling: Some(percent(client_sampling_fraction.unwrap_or(ALL))),
        overall_sampling: Some(percent(overall_sampling_fraction.unwrap_or(ALL))),
        custom_tags: older.chain(tags).collect(),
        provider: Some(self::provider(&scope.gateway.name, provider, cluster)),
        // The try at the back end is a span of its own.
        spawn_upstream_span: Some(true),
        operation: span_name.as_ref().map(|name| name.server.clone()).unwrap_or_default(),
        upstream_operation: span_name.as_ref().map(|name| name.client.clone()).unwrap_or_default(),
        ..Default::default()
    })
}

fn percent(share: Fraction) -> Percent {
    Percent { value: f64::from(share.numerator) * 100.0 / f64::from(share.denominator.max(1)) }
}

fn older_tag(settings: &TagSettings) -> custom_tag::Type {
    let named = |named: &Option<NamedTag>| {
        named.as_ref().map(|tag| (tag.name.clone(), tag.default_value.clone().unwrap_or_default())).unwrap_or_default()
    };
    match settings.r#type {
        CustomTagType::Literal => {
            let value = settings.literal.as_ref().map(|literal| literal.value.clone()).unwrap_or_default();
            custom_tag::Type::Literal(custom_tag::Literal { value })
        }
        CustomTagType::Environment => {
            let (name, default_value) = named(&settings.environment);
            custom_tag::Type::Environment(custom_tag::Environment { name, default_value })
        }
        CustomTagType::RequestHeader => {
            let (name, default_value) = named(&settings.request_header);
            custom_tag::Type::RequestHeader(custom_tag::Header { name, default_value })
        }
    }
}

fn provider(gateway: &str, provider: &TracingProvider, cluster: &ClusterName) -> Http {
    let service_name = provider.service_name.clone().unwrap_or_else(|| gateway.to_owned());
    let (name, config) = match provider.r#type {
        TracingProviderType::OpenTelemetry => {
            let OpenTelemetryTracing { headers, resource_attributes, sampler } =
                provider.open_telemetry.clone().unwrap_or_default();
            let mut service = grpc_service(cluster, "", None);
            service.initial_metadata = telemetry::call_headers(&headers);
            let config = OpenTelemetryConfig {
                grpc_service: Some(service),
                service_name,
                resource_detectors: telemetry::resource(&resource_attributes),
                sampler: sampler.as_ref().map(self::sampler),
                ..Default::default()
            };
            ("envoy.tracers.opentelemetry", envoy::any(&config))
        }
        TracingProviderType::Zipkin => {
            let zipkin = provider.zipkin.unwrap_or_default();
            let config = ZipkinConfig {
                collector_cluster: cluster.to_string(),
                collector_endpoint: "/api/v2/spans".to_owned(),
                collector_endpoint_version: CollectorEndpointVersion::HttpJson.into(),
                trace_id_128bit: zipkin.enable_128_bit_trace_id.unwrap_or_default(),
                shared_span_context: zipkin.disable_shared_span_context.map(|disabled| !disabled),
                ..Default::default()
            };
            ("envoy.tracers.zipkin", envoy::any(&config))
        }
        TracingProviderType::Datadog => {
            let config = DatadogConfig { collector_cluster: cluster.to_string(), service_name, ..Default::default() };
            ("envoy.tracers.datadog", envoy::any(&config))
        }
    };
    Http { name: name.to_owned(), config_type: Some(ConfigType::TypedConfig(config)) }
}

fn sampler(settings: &Sampler) -> TypedExtensionConfig {
    let always = || envoy::extension("envoy.tracers.opentelemetry.samplers.always_on", &AlwaysOnSamplerConfig {});
    let ratio = |share: Fraction| {
        let config = TraceIdRatioBasedSamplerConfig { sampling_percentage: Some(millionths(share)) };
        envoy::extension("envoy.tracers.opentelemetry.samplers.trace_id_ratio_based", &config)
    };
    let by_parent = |wrapped| {
        let config = ParentBasedSamplerConfig { wrapped_sampler: Some(wrapped) };
        envoy::extension("envoy.tracers.opentelemetry.samplers.parent_based", &config)
    };
    let share = settings.sampling_percentage.unwrap_or(ALL);
    // Envoy has no sampler that takes nothing: it is the share of nothing.
    let nothing = Fraction { numerator: 0, denominator: 1 };
    match settings.r#type {
        SamplerType::AlwaysOn => always(),
        SamplerType::AlwaysOff => ratio(nothing),
        SamplerType::TraceIdRatio => ratio(share),
        SamplerType::ParentBasedAlwaysOn => by_parent(always()),
        SamplerType::ParentBasedAlwaysOff => by_parent(ratio(nothing)),
        SamplerType::ParentBasedTraceIdRatio => by_parent(ratio(share)),
    }
}

fn millionths(share: Fraction) -> FractionalPercent {
    let (numerator, denominator) = (i64::from(share.numerator), i64::from(share.denominator.max(1)));
    let numerator = u32::try_from(numerator * 1_000_000 / denominator).unwrap_or_default();
    FractionalPercent { numerator, denominator: DenominatorType::Million.into() }
}

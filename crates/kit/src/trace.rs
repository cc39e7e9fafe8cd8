//! Traces by OpenTelemetry, sent over OTLP/gRPC. With `b3` and `otlp` the only file that names the OpenTelemetry crates.

mod b3;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use opentelemetry::propagation::{Injector, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::{Deserialize, Serialize};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::grpc;
use crate::redact::Redacted;

/// Where traces go, as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The collector's OTLP/gRPC endpoint: `http://collector:4317`, or `https://` with the system's authorities.
    pub endpoint: String,
    /// The share of new traces that is sampled, from 0 to 1; traces begun elsewhere follow what was decided there. Default 1.
    #[serde(default = "all")]
    pub sampling_ratio: f64,
    /// Headers of every export, such as a token.
    #[serde(default)]
    pub headers: BTreeMap<String, Redacted<String>>,
    /// How long an export may take. Default 10s.
    #[serde(default = "export_timeout", with = "crate::duration")]
    pub timeout: Duration,
    /// More attributes of the resource, beside `service.name` and `service.version`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl Settings {
    /// Traces to an endpoint, with all else as usual.
    pub fn to(endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            sampling_ratio: all(),
            headers: BTreeMap::new(),
            timeout: export_timeout(),
            attributes: BTreeMap::new(),
        }
    }
}

fn all() -> f64 {
    1.0
}

fn export_timeout() -> Duration {
    Duration::from_secs(10)
}

/// Why traces cannot be exported. Mended by the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A header that HTTP does not allow.
    #[error("the header `{0}` is not valid")]
    Header(String),
    /// The ratio is not a share.
    #[error("samplingRatio is {0}, allowed: 0 to 1")]
    Ratio(f64),
    /// The exporter refuses its settings.
    #[error(transparent)]
    Exporter(#[from] ExporterBuildError),
}

/// The running export of traces.
#[derive(Debug)]
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
    service: String,
}

impl Exporter {
    /// Starts exporting in batches. Needs a running runtime, which has to run until [`Exporter::finish`] returns.
    pub(crate) fn start(service: &str, version: &str, settings: &Settings) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&settings.sampling_ratio) {
            return Err(Error::Ratio(settings.sampling_ratio));
        }
        let mut builder = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&settings.endpoint)
            .with_timeout(settings.timeout)
            .with_metadata(grpc::metadata(&settings.headers).map_err(Error::Header)?);
        if settings.endpoint.starts_with("https:") {
            builder = builder.with_tls_config(grpc::public_tls());
        }
        let attributes = settings.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder()
            .with_service_name(service.to_owned())
            .with_attribute(KeyValue::new("service.version", version.to_owned()))
            .with_attributes(attributes)
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.sampling_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(builder.build()?)
            .with_resource(resource)
            .with_sampler(sampler)
            .build();
        Ok(Self { provider, service: service.to_owned() })
    }

    /// The layer that turns spans into traces: those at info and above, except the exporter's own.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        let own = ["h2", "hyper", "opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "tonic", "tower"];
        let filter =
            Targets::new().with_default(LevelFilter::INFO).with_targets(own.map(|target| (target, LevelFilter::OFF)));
        tracing_opentelemetry::layer().with_tracer(self.provider.tracer(self.service.clone())).with_filter(filter)
    }

    /// Sends what is waiting; blocks for five seconds at most.
    pub(crate) fn finish(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(Duration::from_secs(5)) {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// Makes `span` a child of the trace that a request carries: W3C (`traceparent`, `tracestate`), else B3 (`b3`, or
/// `x-b3-traceid` and its likes). `get` finds a header by its name in lower case. Without traces configured, or without these
/// headers, nothing happens.
pub fn adopt_parent<'a>(span: &Span, get: impl Fn(&str) -> Option<&'a str>) {
    let propagator = TraceContextPropagator::new();
    let headers: HashMap<String, String> =
        propagator.fields().filter_map(|name| Some((name.to_owned(), get(name)?.to_owned()))).collect();
    let parent = if headers.is_empty() {
        b3::extract(get).map(|parent| Context::new().with_remote_span_context(parent))
    } else {
        Some(propagator.extract(&headers))
    };
    if let Some(parent) = parent {
        // The only errors are that traces are off, or that the span has begun already with its own parent.
        let _ = span.set_parent(parent);
    }
}

/// Gives the trace of `span` on: `set` takes the headers of the request to send.
pub fn pass_on(span: &Span, set: impl FnMut(&str, String)) {
    struct Headers<F>(F);
    impl<F: FnMut(&str, String)> Injector for Headers<F> {
        fn set(&mut self, key: &str, value: String) {
            (self.0)(key, value);
        }
    }
    TraceContextPropagator::new().inject_context(&span.context(), &mut Headers(set));
}

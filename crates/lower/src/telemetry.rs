//! What logs, metrics and traces share.

use std::collections::BTreeMap;

use envoy::{
    core::{HeaderValue, TypedExtensionConfig},
    ext::tracer::resource_detectors::StaticConfigResourceDetectorConfig,
};
use ir::api::ext::common::Header;

/// Attributes of the sender, as OpenTelemetry's exporters take them.
pub(crate) fn resource(attributes: &BTreeMap<String, String>) -> Vec<TypedExtensionConfig> {
    let detector = StaticConfigResourceDetectorConfig { attributes: attributes.clone() };
    let name = "envoy.tracers.opentelemetry.resource_detectors.static_config";
    (!attributes.is_empty()).then(|| envoy::extension(name, &detector)).into_iter().collect()
}

/// Headers sent with each export, as metadata of the call.
pub(crate) fn call_headers(headers: &[Header]) -> Vec<HeaderValue> {
    let header =
        |header: &Header| HeaderValue { key: header.name.clone(), value: header.value.clone(), ..Default::default() };
    headers.iter().map(header).collect()
}

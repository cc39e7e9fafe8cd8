//! `envoy.filters.http.ext_proc`: services see and change requests and answers. One instance for each processor of each
//! resource.

use std::time::Duration;

use envoy::{
    core::{GrpcService, HeaderValue},
    ext::http::ext_proc::{
        ExtProcOverrides, ExtProcPerRoute, ExternalProcessor, MetadataOptions, ProcessingMode,
        ext_proc_per_route::Override,
        external_processor::RouteCacheAction,
        metadata_options::MetadataNamespaces,
        processing_mode::{BodySendMode, HeaderSendMode},
    },
    types::HttpStatus,
};
use ir::{
    api::ext::envoy_extension_policy::ext_proc::{self as settings, BodyMode, MessageMode},
    features::ExtProc,
};

use super::instance_name;
use crate::{
    convert::grpc_service,
    http_filters::{Chain, Instance},
};

const NAME: &str = "envoy.filters.http.ext_proc";

/// The metadata of every call that says through which Gateway a request came, as namespace/name, or the class of merged ones.
const GATEWAY: &str = "portcullis-gateway";

/// How long one message may take unless set, as Envoy has it.
const MESSAGE_TIMEOUT: Duration = Duration::from_millis(200);

/// The resource, as part of names.
pub(super) fn source_name(processor: &ExtProc) -> String {
    instance_name(NAME, &processor.source)
}

/// The name of the instance; says where it was asked for, see [`super::ext_authz::name`].
pub(super) fn name(processor: &ExtProc) -> String {
    format!("{}/{}", source_name(processor), processor.index)
}

/// Whether the service is told what the route was made from.
pub(super) fn reads_route_metadata(processor: &ExtProc) -> bool {
    let mode = processor.settings.processing_mode.as_ref();
    let request = mode.and_then(|mode| mode.request.as_ref());
    let response = mode.and_then(|mode| mode.response.as_ref());
    request
        .into_iter()
        .chain(response)
        .flat_map(|mode| &mode.attributes)
        .any(|name| name.starts_with("xds.route_metadata"))
}

/// What a route says to its instances: nothing but that they are on.
pub(super) fn per_route() -> ExtProcPerRoute {
    ExtProcPerRoute { r#override: Some(Override::Overrides(ExtProcOverrides::default())) }
}

/// Off but for the routes that are processed; in the order in which their sources list them.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let processors = chain.needs.ext_proc.values();
    processors
        .map(|processor| Instance::off(name(processor), &filter(chain, processor)).from(&processor.source))
        .collect()
}

fn filter(chain: &Chain<'_>, processor: &ExtProc) -> ExternalProcessor {
    let ExtProc { source: _, index: _, cluster, authority, settings } = processor;
    let settings::ExtProc {
        backend_refs: _,
        message_timeout,
        fail_open,
        processing_mode,
        metadata,
        shadow_mode,
        status_on_error,
    } = settings;
    let mode = processing_mode.clone().unwrap_or_default();
    let attributes = |mode: &Option<MessageMode>| mode.as_ref().map(|mode| mode.attributes.clone()).unwrap_or_default();
    let timeout = message_timeout.as_ref().and_then(|timeout| timeout.parse().ok()).unwrap_or(MESSAGE_TIMEOUT);
    ExternalProcessor {
        grpc_service: Some(service(chain, grpc_service(cluster, authority, None))),
        failure_mode_allow: *fail_open,
        request_attributes: attributes(&mode.request),
        response_attributes: attributes(&mode.response),
        allow_mode_override: mode.allow_mode_override.unwrap_or_default(),
        message_timeout: Some(envoy::duration(timeout)),
        processing_mode: Some(processing(&mode)),
        metadata_options: metadata.as_ref().map(|metadata| MetadataOptions {
            forwarding_namespaces: namespaces(&metadata.accessible_namespaces),
            receiving_namespaces: namespaces(&metadata.writable_namespaces),
            ..Default::default()
        }),
        observability_mode: shadow_mode.unwrap_or_default(),
        status_on_error: status_on_error.map(|status| HttpStatus { code: status.code().into() }),
        // What a processor changes may not move a request to a route with other policies behind their backs.
        route_cache_action: RouteCacheAction::Retain.into(),
        ..Default::default()
    }
}

/// The service, told which Gateway this is: attributes do not say it.
fn service(chain: &Chain<'_>, service: GrpcService) -> GrpcService {
    let gateway =
        HeaderValue { key: GATEWAY.to_owned(), value: chain.scope.gateway.name.to_string(), ..Default::default() };
    GrpcService { initial_metadata: vec![gateway], ..service }
}

fn namespaces(names: &[String]) -> Option<MetadataNamespaces> {
    (!names.is_empty()).then(|| MetadataNamespaces { untyped: names.to_vec(), typed: Vec::new() })
}

fn processing(mode: &settings::ProcessingMode) -> ProcessingMode {
    let headers =
        |message: &Option<MessageMode>| if message.is_some() { HeaderSendMode::Send } else { HeaderSendMode::Skip };
    let full = |message: &Option<MessageMode>| body(message) == BodySendMode::FullDuplexStreamed;
    // With bodies in full duplex, Envoy demands that trailers are sent too.
    let trailers = |message| if full(message) { HeaderSendMode::Send } else { HeaderSendMode::Skip };
    ProcessingMode {
        request_header_mode: headers(&mode.request).into(),
        response_header_mode: headers(&mode.response).into(),
        request_body_mode: body(&mode.request).into(),
        response_body_mode: body(&mode.response).into(),
        request_trailer_mode: trailers(&mode.request).into(),
        response_trailer_mode: trailers(&mode.response).into(),
    }
}

fn body(message: &Option<MessageMode>) -> BodySendMode {
    match message.as_ref().and_then(|message| message.body) {
        None => BodySendMode::None,
        Some(BodyMode::Streamed) => BodySendMode::Streamed,
        Some(BodyMode::Buffered) => BodySendMode::Buffered,
        Some(BodyMode::BufferedPartial) => BodySendMode::BufferedPartial,
        Some(BodyMode::FullDuplexStreamed) => BodySendMode::FullDuplexStreamed,
    }
}

//! The pipeline without a server: what commands and tests make of files.

use std::{collections::BTreeMap, path::Path};

use api::{ObjectRef, config::EnvoyGateway};
use envoy::Message as _;
use lower::bootstrap::{Address, Xds};
use serde_json::{Value, json};

use crate::{
    admin, config,
    infra::host,
    pipeline::{Output, State, compile},
    source::{Seen, file::Once},
};

/// The port of the admin interface of an Envoy of another machine, as Envoy Gateway has it.
const ADMIN: u16 = 19000;

/// What becomes of the resources under a configuration.
pub fn translate(seen: &Seen, settings: &EnvoyGateway) -> Output {
    compile(&seen.resources, &mut State::new(config::pipeline_settings(settings, Vec::new())))
}

/// Every Envoy resource as a document `{gateway, type, name, resource}`, by gateway, type and name; after those of a gateway
/// what the services are told that its Envoys ask.
pub fn xds(output: &Output, show_secrets: bool) -> Vec<Value> {
    let mut documents = Vec::new();
    let mut add = |gateway: &str, url: &str, name: &str, body: &[u8]| {
        let mut value = envoy::json::to_json(url, body).unwrap_or_else(|error| json!({"error": error.to_string()}));
        if !show_secrets {
            admin::redact(&mut value);
        }
        let kind = envoy::type_url::message_name(url);
        documents.push(json!({"gateway": gateway, "type": kind, "name": name, "resource": value}));
    };
    for (gateway, fleet) in &output.fleets {
        for (url, resources) in fleet.snapshot.types() {
            resources.iter().for_each(|(name, resource)| add(gateway, url, name, resource.body()));
        }
        for profile in lower::login_profiles(&fleet.gateway) {
            add(gateway, envoy::type_url::EXTENSION_CONFIG, &profile.name, &profile.encode_to_vec());
        }
        for config in lower::rate_limit_config(&fleet.gateway) {
            add(gateway, envoy::type_url::RATE_LIMIT_CONFIG, &config.name, &config.encode_to_vec());
        }
    }
    documents
}

/// The resources as they are written, with their status filled in. Conditions have no times, as nothing has happened.
pub fn status(once: &Once, output: &Output, settings: &EnvoyGateway) -> Vec<Value> {
    let statuses = statuses(output, settings);
    let documents = once.originals.iter().map(|original| {
        let mut document = original.value.clone();
        match statuses.get(&original.reference) {
            Some(status) => document["status"] = status.clone(),
            None => drop(document.as_object_mut().and_then(|fields| fields.remove("status"))),
        }
        document
    });
    documents.collect()
}

/// The status of every resource that has one, as it is once Envoy has accepted everything.
pub fn statuses(output: &Output, settings: &EnvoyGateway) -> BTreeMap<ObjectRef, Value> {
    let controller = &settings.gateway.controller_name;
    (&output.reports)
        .into_iter()
        .map(|(reference, report)| (ObjectRef::clone(reference), report.to_json(controller)))
        .collect()
}

/// The bootstrap of each fleet's Envoy: as the server would write it into this runtime directory or, where `remote` says
/// where the server is, for an Envoy of another machine.
///
/// # Errors
/// An EnvoyProxy's own bootstrap does not fit.
pub fn bootstraps(output: &Output, runtime: &Path, remote: Option<&Xds>) -> Result<Vec<Value>, lower::BootstrapError> {
    let bootstrap = |(name, fleet): (&std::sync::Arc<str>, &std::sync::Arc<crate::pipeline::Fleet>)| {
        let (admin, xds) = (host::envoy_admin_socket(runtime, name), host::xds_socket(runtime));
        let mut settings = host::settings(&admin, &xds, name);
        if let Some(remote) = remote {
            settings.xds = remote.clone();
            settings.admin = Address::Ip(std::net::SocketAddr::from(([127, 0, 0, 1], ADMIN)));
        }
        lower::bootstrap(&fleet.gateway, &settings)
    };
    output.fleets.iter().map(bootstrap).collect()
}

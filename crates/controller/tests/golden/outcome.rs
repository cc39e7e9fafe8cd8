//! What comes of a text of resources.

use std::collections::BTreeMap;

use api::{ObjectRef, config::EnvoyGateway};
use controller::{
    config, offline,
    pipeline::{Output, State, compile},
    source::file::{Once, read_once},
};
use serde_json::Value;

/// What comes of a text of resources, by the way of `portcullis translate`; there are a rate limit and a single
/// sign-on service.
pub(crate) struct Outcome {
    pub(crate) output: Output,
    pub(crate) once: Once,
    settings: EnvoyGateway,
}

impl Outcome {
    /// Goes all the way.
    pub(crate) fn of(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("in.yaml"), text).unwrap();
        let once = read_once(&[directory.path().to_owned()]).unwrap();
        let settings = config::offline();
        let mut pipeline = config::pipeline_settings(&settings, Vec::new());
        pipeline.translate.rate_limit_service =
            Some(translate::ServiceAddress { host: "ratelimit.internal".to_owned(), port: 8081, certified_name: None });
        pipeline.translate.single_sign_on =
            Some(translate::ServiceAddress { host: "oidc.internal".to_owned(), port: 9191, certified_name: None });
        Self { output: compile(&once.seen.resources, &mut State::new(pipeline)), once, settings }
    }

    /// What is wrong with documents, without the file and line.
    pub(crate) fn problems(&self) -> Vec<String> {
        let problems = self.once.seen.problems.iter();
        let words = |problem: &controller::source::Problem| {
            let parts = [&problem.object, &problem.field, &problem.what].into_iter().filter(|part| !part.is_empty());
            parts.cloned().collect::<Vec<_>>().join(": ")
        };
        problems.map(words).collect()
    }

    /// The status of every resource.
    pub(crate) fn statuses(&self) -> BTreeMap<ObjectRef, Value> {
        offline::statuses(&self.output, &self.settings)
    }

    /// Envoy's resources, without secrets.
    pub(crate) fn xds(&self) -> Vec<Value> {
        offline::xds(&self.output, false)
    }

    /// What each fleet's Envoy is started with, and why it cannot be.
    pub(crate) fn start(&self) -> Result<Vec<Value>, String> {
        offline::bootstraps(&self.output, std::path::Path::new("/run/portcullis"), None)
            .map_err(|error| error.to_string())
    }

    /// Everything that people may see.
    pub(crate) fn shown(&self) -> String {
        let statuses: Vec<Value> = self.statuses().into_values().collect();
        format!("{}{}", Value::from(statuses), Value::from(self.xds()))
    }

    /// What Envoy is asked about: everything of each fleet in place, and what it is started with.
    pub(crate) fn bootstraps(&self) -> Vec<Value> {
        let complete = self.output.fleets.values().map(|fleet| {
            let endpoints = fleet.snapshot.resources(envoy::type_url::ENDPOINT);
            let endpoints =
                endpoints.iter().map(|(name, resource)| (name.to_string(), resource.body().clone())).collect();
            lower::static_bootstrap(&fleet.lowered, &endpoints).unwrap()
        });
        complete.chain(self.start().unwrap_or_default()).collect()
    }

    /// All bytes that Envoys get, by fleet, type and name, and all words that users get.
    pub(crate) fn fingerprint(&self) -> (BTreeMap<String, bytes::Bytes>, BTreeMap<ObjectRef, Value>) {
        let mut bytes = BTreeMap::new();
        for (fleet, content) in &self.output.fleets {
            for (url, resources) in content.snapshot.types() {
                let named = resources.iter().map(|(name, resource)| (name.to_string(), resource.body().clone()));
                bytes.extend(named.map(|(name, body)| (format!("{fleet} {url} {name}"), body)));
            }
        }
        (bytes, self.statuses())
    }
}

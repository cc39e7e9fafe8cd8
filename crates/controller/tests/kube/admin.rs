//! Whoever manages resources: creates, changes and deletes them, as kubectl does.

use std::path::Path;

use anyhow::{Context, Result};
use api::Kind;
use controller::api_server::{code, path};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
    core::{
        Request,
        params::{DeleteParams, GetParams, Patch, PatchParams},
    },
};
use serde_json::Value;
use testbed::{PATIENCE, wait::wait_for};

/// The way to the API server of a kubeconfig.
pub(crate) async fn config(kubeconfig: &Path) -> Result<Config> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    Ok(Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?)
}

/// An administrator.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) client: Client,
}

impl Admin {
    pub(crate) async fn new(kubeconfig: &Path) -> Result<Self> {
        Ok(Self { client: Client::try_from(config(kubeconfig).await?)? })
    }

    /// Creates an object, or makes it so.
    pub(crate) async fn apply(&self, object: &Value) -> Value {
        self.try_apply(object).await.unwrap_or_else(|error| panic!("{error:#}: {object}"))
    }

    pub(crate) async fn try_apply(&self, object: &Value) -> Result<Value> {
        let parameters = PatchParams::apply("test").force();
        let request = Request::new(collection(object)).patch(name(object), &parameters, &Patch::Apply(object))?;
        Ok(self.client.request(request).await?)
    }

    pub(crate) async fn apply_all(&self, objects: &[Value]) {
        for object in objects {
            self.apply(object).await;
        }
    }

    /// Changes fields of an object by a merge patch.
    pub(crate) async fn patch(&self, object: &Value, patch: &Value) -> Value {
        let request = Request::new(collection(object));
        let request = request.patch(name(object), &PatchParams::default(), &Patch::Merge(patch));
        self.client.request(request.expect("it is a request")).await.expect("it can be changed")
    }

    /// Sets a status, as another controller does.
    pub(crate) async fn patch_status(&self, object: &Value, status: &Value) {
        let patch = Patch::Merge(serde_json::json!({ "status": status }));
        let parameters = PatchParams { field_manager: Some("others".to_owned()), ..PatchParams::default() };
        let request = Request::new(collection(object)).patch_subresource("status", name(object), &parameters, &patch);
        let answer: Result<Value, _> = self.client.request(request.expect("it is a request")).await;
        answer.expect("the status can be set");
    }

    pub(crate) async fn delete(&self, object: &Value) {
        let request = Request::new(collection(object)).delete(name(object), &DeleteParams::default());
        let answer: Result<Value, _> = self.client.request(request.expect("it is a request")).await;
        answer.unwrap_or_else(|error| panic!("{error:#}: {object}"));
    }

    /// The object as it is; `None` when there is none.
    pub(crate) async fn get(&self, object: &Value) -> Option<Value> {
        let request = Request::new(collection(object)).get(name(object), &GetParams::default());
        match self.client.request(request.expect("it is a request")).await {
            Ok(object) => Some(object),
            Err(error) if code(&error) == Some(404) => None,
            Err(error) => panic!("{error:#}"),
        }
    }

    /// Waits until the object is as wanted.
    pub(crate) async fn until(&self, what: &str, object: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = wait_for(what, PATIENCE, async || self.get(object).await.filter(&wanted)).await;
        match found {
            Ok(found) => found,
            Err(error) => panic!("{error:#}: {:#}", self.get(object).await.unwrap_or_default()),
        }
    }

    /// The state of an object that this is.
    pub(crate) async fn version(&self, object: &Value) -> String {
        let object = self.get(object).await.context("it is there").expect("it is there");
        object["metadata"]["resourceVersion"].as_str().expect("it has a version").to_owned()
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("it has a name")
}

fn collection(object: &Value) -> String {
    let row: &Kind = api::parse::kind_of(object).expect("it is a kind");
    let version =
        object["apiVersion"].as_str().and_then(|version| version.rsplit('/').next()).expect("it has a version");
    path(row, version, object["metadata"]["namespace"].as_str())
}

//! The single sign-on service. Its configuration is a Secret, for it may have some; what of it the controller does not say is the
//! operator's.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use api::config::{Kubernetes, SingleSignOn};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use serde_json::{Map, Value, json};

use super::{
    Error, Object, Settings,
    asked::{self, Asked, AskedService, Files, Run},
    names::Place,
    object,
};
use crate::{
    authority::SERVER_NAME,
    config::SINGLE_SIGN_ON_PORT,
    infra::kube::Kind,
    install::{NAME, RATE_LIMIT_PORT, SINGLE_SIGN_ON_IMAGE, SINGLE_SIGN_ON_NAME, SINGLE_SIGN_ON_SECRET},
};

/// Where pages of its own are, and back-channel logout.
const HTTP: u16 = 9192;
const ADMIN: u16 = 9193;
/// Where its configuration is.
const CONFIG: &str = "/etc/portcullis";
const FILE: &str = "oidc.yaml";

/// The single sign-on service as it is wanted.
#[derive(Clone, Debug)]
pub struct SingleSignOnService {
    settings: Map<String, Value>,
    kubernetes: Kubernetes,
}

impl SingleSignOnService {
    /// What a configuration wants; nothing where it wants none.
    pub fn of(config: Option<&SingleSignOn>, kubernetes: &Kubernetes) -> Option<Self> {
        let run = config?.run.as_ref()?;
        Some(Self { settings: run.settings.clone(), kubernetes: kubernetes.clone() })
    }

    /// The service with its objects.
    ///
    /// # Errors
    /// A patch in the configuration cannot be used.
    pub fn render(&self, settings: &Settings) -> Result<AskedService, Error> {
        let place = Place::of_single_sign_on(settings);
        let Kubernetes { single_sign_on_deployment, single_sign_on_hpa, single_sign_on_pdb, .. } = &self.kubernetes;
        let config = self.config(&place, settings)?;
        let mut objects = asked::objects(&Asked {
            place: &place,
            run: Run {
                deployment: ("singleSignOnDeployment", single_sign_on_deployment.as_ref()),
                hpa: ("singleSignOnHpa", single_sign_on_hpa.as_ref()),
                pdb: ("singleSignOnPDB", single_sign_on_pdb.as_ref()),
            },
            container: SINGLE_SIGN_ON_NAME,
            image: SINGLE_SIGN_ON_IMAGE,
            args: vec!["--config-path".to_owned(), format!("{CONFIG}/{FILE}")],
            env: Vec::new(),
            ports: vec![("grpc", SINGLE_SIGN_ON_PORT, true), ("http", HTTP, true), ("metrics", ADMIN, true)],
            metrics: Some(("/metrics", ADMIN)),
            secrets: vec![
                Files("certs", asked::CERTIFICATES, SINGLE_SIGN_ON_SECRET.to_owned()),
                Files("config", CONFIG, config.name.clone()),
            ],
            // When it has the profiles and has asked their providers once.
            ready: ("/readyz", ADMIN),
        })?;
        objects.insert(0, config);
        Ok(AskedService {
            name: "(single sign-on service)",
            in_any_case: false,
            is_needed_by: |gateway| gateway.clusters.contains_key(translate::SINGLE_SIGN_ON_CLUSTER),
            owner: place.selector,
            objects,
        })
    }

    /// Its configuration: where it listens and where its profiles are, and what the operator says.
    fn config(&self, place: &Place, settings: &Settings) -> Result<Object, Error> {
        let certs = asked::CERTIFICATES;
        let (cert, key, ca) = (format!("{certs}/tls.crt"), format!("{certs}/tls.key"), format!("{certs}/ca.crt"));
        let mut config = json!({
            "drain": { "delay": asked::DRAIN_DELAY },
            "grpc": {
                "address": format!("0.0.0.0:{SINGLE_SIGN_ON_PORT}"),
                "maxConnectionAge": asked::CONNECTION_AGE,
                "tls": { "cert": cert, "key": key, "clientCa": ca },
            },
            "http": { "address": format!("0.0.0.0:{HTTP}") },
            "admin": { "address": format!("0.0.0.0:{ADMIN}") },
            "xds": {
                "address": format!("{NAME}.{}.svc:{RATE_LIMIT_PORT}", settings.namespace),
                "tls": { "ca": ca, "cert": cert, "key": key, "allowedServers": { "dns": [SERVER_NAME] } },
            },
        });
        for (name, value) in &self.settings {
            config[name] = value.clone();
        }
        let none = BTreeMap::new();
        let secret = Secret {
            metadata: place.meta(Some(&format!("{SINGLE_SIGN_ON_NAME}-config")), &none, &none),
            data: Some(BTreeMap::from([(FILE.to_owned(), ByteString(config.to_string().into_bytes()))])),
            ..Secret::default()
        };
        object(Kind::Secret, &secret, None)
    }
}

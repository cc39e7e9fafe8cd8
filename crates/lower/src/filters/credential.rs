//! `envoy.filters.http.credential_injector`: a credential is put into the request. It has nothing to say for routes, so that
//! each resource has an instance of its own.

use envoy::{
    ext::{credential::generic::Generic, http::credential_injector::CredentialInjector},
    tls::SdsSecretConfig,
};
use ir::features::CredentialInjection;

use super::instance_name;
use crate::{
    convert::ads,
    http_filters::{Chain, Instance},
};

const NAME: &str = "envoy.filters.http.credential_injector";

/// The name of the instance.
pub(super) fn name(credential: &CredentialInjection) -> String {
    instance_name(NAME, &credential.source)
}

/// Off but for the routes whose back ends want it.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let needs = chain.needs.credential.iter();
    needs.map(|(name, credential)| Instance::off(name.as_str(), &filter(credential)).from(&credential.source)).collect()
}

fn filter(credential: &CredentialInjection) -> CredentialInjector {
    let CredentialInjection { source: _, header, overwrite, secret } = credential;
    let generic = Generic {
        credential: Some(SdsSecretConfig { name: secret.to_string(), sds_config: Some(ads()) }),
        header: header.clone(),
        ..Default::default()
    };
    CredentialInjector {
        overwrite: *overwrite,
        // Without the secret a request would reach the back end as nobody's: better not at all.
        allow_request_without_credential: false,
        credential: Some(envoy::extension("envoy.http.injected_credentials.generic", &generic)),
    }
}

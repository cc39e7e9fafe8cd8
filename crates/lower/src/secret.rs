//! Key material, delivered apart from what uses it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use envoy::{
    Message,
    core::{DataSource, data_source::Specifier},
    tls::{self, CertificateValidationContext, GenericSecret, TlsCertificate, secret::Type},
};
use ir::{Gateway, Protocol, Secret, SecretMaterial, SecretName, Transport};

/// All secrets, in the order of their names: those of the gateway, and a bundle for each listener that trusts several
/// authorities, as Envoy takes one secret for all of them.
pub(crate) fn all(gateway: &Gateway) -> Vec<Arc<Secret>> {
    let chains = gateway.listeners.iter().flat_map(|listener| match &listener.transport {
        Transport::Tcp(chains) => chains.as_slice(),
        Transport::Udp(_) => &[],
    });
    let lists = chains.filter(|chain| matches!(chain.protocol, Protocol::Http(_) | Protocol::Tcp(_)));
    let lists = lists.filter_map(|chain| chain.tls.as_ref()).map(|tls| tls.client_authorities.as_slice());
    let bundles = lists.filter(|names| names.len() > 1).filter_map(|names| bundle(gateway, names));
    let secrets = gateway.secrets.iter().map(|(name, secret)| (Arc::clone(name), Arc::clone(secret)));
    let all: BTreeMap<SecretName, Arc<Secret>> = secrets.chain(bundles).collect();
    all.into_values().collect()
}

/// The name under which a list of authorities is one secret.
pub(crate) fn bundle_name(names: &[SecretName]) -> Option<SecretName> {
    match names {
        [] => None,
        [only] => Some(Arc::clone(only)),
        several => Some(format!("bundle/{}", several.join("+")).into()),
    }
}

fn bundle(gateway: &Gateway, names: &[SecretName]) -> Option<(SecretName, Arc<Secret>)> {
    let secrets: Vec<&Arc<Secret>> = names.iter().filter_map(|name| gateway.secrets.get(name)).collect();
    let mut pem = Vec::new();
    for secret in &secrets {
        if let SecretMaterial::Authorities(authorities) = &secret.material {
            pem.extend_from_slice(authorities);
            pem.push(b'\n');
        }
    }
    let name = bundle_name(names)?;
    let source = secrets.first()?.source.clone();
    let secret = Secret { name: Arc::clone(&name), material: SecretMaterial::Authorities(pem.into()), source };
    Some((name, Arc::new(secret)))
}

/// The encoded secret.
pub(crate) fn encode(secret: &Secret) -> Bytes {
    let r#type = match &secret.material {
        SecretMaterial::Certificate { chain, key } => Type::TlsCertificate(TlsCertificate {
            certificate_chain: Some(bytes(chain)),
            private_key: Some(bytes(key)),
            ..Default::default()
        }),
        SecretMaterial::Authorities(pem) => {
            Type::ValidationContext(CertificateValidationContext { trusted_ca: Some(bytes(pem)), ..Default::default() })
        }
        SecretMaterial::Value(value) => {
            Type::GenericSecret(GenericSecret { secret: Some(bytes(value)), ..Default::default() })
        }
    };
    tls::Secret { name: secret.name.to_string(), r#type: Some(r#type) }.encode_to_vec().into()
}

fn bytes(bytes: &[u8]) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineBytes(bytes.to_vec())), ..Default::default() }
}

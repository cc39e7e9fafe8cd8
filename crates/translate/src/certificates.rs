//! Certificates and authorities that a resource refers to.

use std::sync::Arc;

use api::{
    ConfigMap, ObjectRef, Resources, Secret, Stored,
    gateway::{CaCertificateRef, SecretRef},
};
use ir::SecretMaterial;
use rustls::{
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use crate::{
    grants::{Referent, Referrer, permits, refusal},
    problem::Problem,
    secrets::{self, field},
};

/// The reasons with which a place reports bad references.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reasons {
    /// The reference does not lead to usable material.
    pub(crate) invalid: &'static str,
    /// The kind cannot be referred to.
    pub(crate) kind: &'static str,
}

/// Follows a reference to a certificate and its key.
pub(crate) fn certificate(
    resources: &Resources,
    from: Referrer<'_>,
    reference: &SecretRef,
    reason: &'static str,
) -> Result<Arc<ir::Secret>, Problem> {
    let to = Referent {
        group: reference.group.as_deref().unwrap_or_default(),
        kind: reference.kind.as_deref().unwrap_or("Secret"),
        namespace: reference.namespace.as_deref().unwrap_or(from.namespace),
        name: &reference.name,
    };
    let held = secrets::secret(resources, from, to, Reasons { invalid: reason, kind: reason })?;
    let (chain, key) = (held.field("tls.crt")?, held.field("tls.key")?);
    check_pair(&chain, &key).map_err(|error| held.bad(&error))?;
    Ok(Arc::new(ir::Secret {
        name: format!("certificate/{}/{}", to.namespace, to.name).into(),
        material: SecretMaterial::Certificate { chain, key },
        source: held.secret.reference(),
    }))
}

/// Follows a reference to certificates of authorities.
pub(crate) fn authorities(
    resources: &Resources,
    from: Referrer<'_>,
    reference: &CaCertificateRef,
    reasons: Reasons,
) -> Result<Arc<ir::Secret>, Problem> {
    let to = Referent {
        group: &reference.group,
        kind: &reference.kind,
        namespace: reference.namespace.as_deref().unwrap_or(from.namespace),
        name: &reference.name,
    };
    if !to.group.is_empty() || ![ConfigMap::KIND, Secret::KIND].contains(&to.kind) {
        let message =
            format!("{} {} cannot hold certificates of authorities; use a ConfigMap or a Secret", to.kind, to.name);
        return Err(Problem::new(reasons.kind, message));
    }
    if !permits(resources, from, to) {
        return Err(Problem::new("RefNotPermitted", refusal(from, to)));
    }
    let bad = |what: &str| Problem::new(reasons.invalid, format!("{} {}/{} {what}", to.kind, to.namespace, to.name));
    let pem = if to.kind == Secret::KIND {
        let secret = resources.secrets.get(to.namespace, to.name).ok_or_else(|| bad("does not exist"))?;
        field(secret, "ca.crt")
    } else {
        let map = resources.config_maps.get(to.namespace, to.name).ok_or_else(|| bad("does not exist"))?;
        map.data.as_ref().and_then(|data| data.get("ca.crt")).map(|text| text.as_bytes().into())
    };
    let pem = pem.ok_or_else(|| bad("has no ca.crt"))?;
    parse_chain(&pem).map_err(|error| bad(&format!("has no certificate in ca.crt: {error}")))?;
    Ok(Arc::new(ir::Secret {
        name: format!("ca/{}/{}/{}", to.kind.to_lowercase(), to.namespace, to.name).into(),
        material: SecretMaterial::Authorities(pem),
        source: ObjectRef::new(to.group, to.kind, to.namespace, to.name),
    }))
}

/// Several lists of authorities as one; `None` when there are none.
pub(crate) fn bundle(mut lists: Vec<Arc<ir::Secret>>) -> Option<Arc<ir::Secret>> {
    if lists.len() < 2 {
        return lists.pop();
    }
    let mut pem = Vec::new();
    for list in &lists {
        if let SecretMaterial::Authorities(authorities) = &list.material {
            pem.extend_from_slice(authorities);
            pem.push(b'\n');
        }
    }
    let names: Vec<&str> = lists.iter().map(|list| &*list.name).collect();
    let material = SecretMaterial::Authorities(pem.into());
    Some(Arc::new(ir::Secret { name: names.join("+").into(), material, source: lists[0].source.clone() }))
}

fn parse_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("no PEM certificate found".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(error.to_string()),
    }
}

/// Envoy would refuse a pair that does not fit, and with it everything that came along: so it is looked at here.
fn check_pair(chain: &[u8], key: &[u8]) -> Result<(), String> {
    let chain = parse_chain(chain).map_err(|error| format!("has no certificate in tls.crt: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("has no private key in tls.key: {error}"))?;
    match CertifiedKey::from_der(chain, key, &default_provider()) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("has a certificate and a key that do not fit: {error}")),
    }
}

//! Who the Envoys of each fleet are: certificates of our authority, kept in the fleet's Secret and replaced in good time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::ListParams};
use x509_parser::prelude::{FromDer as _, Pem, X509Certificate};

use super::{
    Scope,
    render::{self, Identity},
};
use crate::{
    api_server::{Backoff, code},
    authority::{Authority, Error, Holder, fleet_id},
};

/// How long a certificate is valid, in days.
const VALID: u16 = 90;
/// A certificate with less than this left is replaced.
const LEFT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How often the Secrets of an earlier controller are asked for.
const TRIES: usize = 6;

/// How often the authority is read again, at the most: when there is something to plan, which there is as often by itself.
const READ_AGAIN: Duration = Duration::from_secs(600);

/// Knows and makes the fleets' certificates.
#[derive(Debug)]
pub struct Identities {
    directory: PathBuf,
    authority: Authority,
    /// When the authority was read.
    read: Instant,
    known: BTreeMap<Arc<str>, Known>,
    /// Those of an earlier controller, by the id in the certificate.
    kept: BTreeMap<String, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    identity: Arc<Identity>,
    until: SystemTime,
}

impl Identities {
    /// The authority in a directory; nothing is made yet.
    ///
    /// # Errors
    /// There is none.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        let authority = Authority::load(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            authority,
            read: Instant::now(),
            known: BTreeMap::new(),
            kept: BTreeMap::new(),
        })
    }

    /// Takes over what an earlier controller has made, so that a restart changes nothing. What cannot be read is made anew.
    /// `own` is the controller's namespace.
    pub async fn take_over(&mut self, client: &Client, scope: &Scope, instance: &str, own: &str) {
        let apis: Vec<Api<Secret>> = match scope {
            Scope::All => vec![Api::all(client.clone())],
            Scope::Namespaces(names) => names.iter().map(|name| Api::namespaced(client.clone(), name)).collect(),
        };
        let ours = ListParams::default().labels(&format!("{}={instance}", render::INSTANCE));
        for api in apis {
            match listed(&api, &ours).await {
                Ok(secrets) => self.kept.extend(secrets.iter().filter_map(|secret| kept(secret, own))),
                Err(error) => tracing::warn!(
                    component = "infrastructure",
                    %error,
                    "the certificates of Envoys that run cannot be read: they get new ones"
                ),
            }
        }
    }

    /// The identity of a fleet: the same until it has to be replaced.
    pub fn of(&mut self, fleet: &Arc<str>) -> Arc<Identity> {
        if self.read.elapsed() > READ_AGAIN {
            self.refresh();
        }
        let now = SystemTime::now();
        let good =
            |known: &&Known| known.until > now + LEFT && known.identity.authorities == self.authority.certificate();
        let known = self.known.get(fleet).or_else(|| self.kept.get(&fleet_id(fleet))).filter(good);
        let known = match known {
            Some(known) => known.clone(),
            None => self.make(fleet, now),
        };
        let identity = Arc::clone(&known.identity);
        self.known.insert(Arc::clone(fleet), known);
        identity
    }

    /// Reads the authority again, which may have been replaced. The old one goes on where that fails.
    fn refresh(&mut self) {
        self.read = Instant::now();
        match Authority::load(&self.directory) {
            Ok(authority) => self.authority = authority,
            Err(error) => {
                tracing::warn!(component = "infrastructure", %error, "the authority cannot be read again");
            }
        }
    }

    fn make(&self, fleet: &str, now: SystemTime) -> Known {
        let issued = self.authority.issue(Holder::Fleet(fleet), VALID);
        let issued = issued.expect("the names of Kubernetes objects can stand in a certificate");
        let identity = Identity {
            authorities: self.authority.certificate().to_owned(),
            certificate: issued.certificate,
            key: issued.key,
        };
        Known { identity: Arc::new(identity), until: now + Duration::from_secs(24 * 60 * 60) * VALID.into() }
    }
}

/// Asks some times: without an answer all Envoys would get new certificates for a moment's trouble.
async fn listed(api: &Api<Secret>, ours: &ListParams) -> Result<Vec<Secret>, kube::Error> {
    let mut backoff = Backoff::default();
    for _ in 1..TRIES {
        match api.list(ours).await {
            // What is forbidden stays so.
            Err(error) if code(&error) != Some(403) => tokio::time::sleep(backoff.wait()).await,
            answer => return answer.map(|list| list.items),
        }
    }
    api.list(ours).await.map(|list| list.items)
}

/// The identity in a Secret of ours, by its id. It counts in our namespace and in the fleet's own only: elsewhere anybody may
/// have written it.
fn kept(secret: &Secret, own: &str) -> Option<(String, Known)> {
    let text = |name: &str| String::from_utf8(secret.data.as_ref()?.get(name)?.0.clone()).ok();
    let identity = Identity { authorities: text("ca.crt")?, certificate: text("tls.crt")?, key: text("tls.key")? };
    let pem = Pem::iter_from_buffer(identity.certificate.as_bytes()).next()?.ok()?;
    let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
    let until = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    let until = SystemTime::UNIX_EPOCH + Duration::from_secs(until);
    let id = kit::tls::Identity::of_certificate(&pem.contents).spiffe_id()?.to_owned();
    let fleets_own = id.strip_prefix(&fleet_id(""))?.split_once('/').map(|(namespace, _)| namespace);
    let namespace = secret.metadata.namespace.as_deref()?;
    if namespace != own && Some(namespace) != fleets_own {
        return None;
    }
    Some((id, Known { identity: Arc::new(identity), until }))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::ObjectMeta};

    use super::*;

    fn open(dir: &Path, own: &crate::authority::Issued) -> Identities {
        std::fs::write(dir.join("tls.crt"), &own.certificate).unwrap();
        std::fs::write(dir.join("tls.key"), &own.key).unwrap();
        Identities::open(dir).unwrap()
    }

    #[test]
    fn a_certificate_stays_while_it_is_good() {
        let dir = tempfile::tempdir().unwrap();
        let (_, own) = Authority::make(365).unwrap();
        let fleet: Arc<str> = "default/eg".into();
        let mut identities = open(dir.path(), &own);
        let first = identities.of(&fleet);
        assert!(Arc::ptr_eq(&first, &identities.of(&fleet)));
        // The next controller takes it over from the Secret.
        let pem = [("ca.crt", &first.authorities), ("tls.crt", &first.certificate), ("tls.key", &first.key)];
        let data = pem.map(|(name, text)| (name.to_owned(), ByteString(text.clone().into_bytes())));
        let metadata = |namespace: &str| ObjectMeta { namespace: Some(namespace.to_owned()), ..ObjectMeta::default() };
        let secret = Secret { data: Some(data.into()), metadata: metadata("system"), ..Secret::default() };
        let of = |namespace: &str| kept(&Secret { metadata: metadata(namespace), ..secret.clone() }, "system");
        assert!(of("default").is_some());
        assert!(of("strangers").is_none(), "anybody could write that");
        let mut next = open(dir.path(), &own);
        next.kept.extend(of("system"));
        assert_eq!(next.of(&fleet), first);
        assert_ne!(next.of(&"default/other".into()), first);
        // Another authority, or one that is near its end, is replaced.
        next.known.values_mut().for_each(|known| known.until = SystemTime::now() + LEFT / 2);
        assert_ne!(next.of(&fleet), first);
        let (_, own) = Authority::make(365).unwrap();
        let current = next.of(&fleet);
        open(dir.path(), &own);
        next.refresh();
        assert_ne!(next.of(&fleet).authorities, current.authorities);
    }
}

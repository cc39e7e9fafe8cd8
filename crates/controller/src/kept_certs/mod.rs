//! The certificates of an installation, kept in Secrets of the controller's namespace.
//!
//! ```text
//! envoy-gateway-ca   tls.crt tls.key         the authority; signs the server's certificate here, and Envoys' in the controller
//! envoy-gateway      tls.crt tls.key ca.crt  the server's certificate
//! envoy-rate-limit   tls.crt tls.key ca.crt  the rate limit service's
//! portcullis-oidc    tls.crt tls.key ca.crt  the single sign-on service's
//! ```
//!
//! Only what we have made is ever renewed: Secrets of cert-manager, or by hand, are theirs to keep.

mod leaf;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client};

use crate::{
    api_server::{code, words, writes},
    authority::{self, Authority, Holder, Issued, SINGLE_SIGN_ON_NAME},
    install::{AUTHORITY, NAME, RATE_LIMIT_NAME, RATE_LIMIT_SECRET, SINGLE_SIGN_ON_SECRET},
};
use leaf::Leaf;

/// Who has made a Secret.
const MADE_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "portcullis-certgen");
/// How long an authority lasts: whoever trusts it is told of another one by hand.
const AUTHORITY_DAYS: u16 = 3650;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it's tried again when somebody else has written meanwhile.
const TRIES: usize = 5;

/// What certificates are wanted.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The namespace.
    pub namespace: String,
    /// Names of the server beside those of its Service.
    pub names: Vec<String>,
    /// How long a certificate lasts.
    pub days: u16,
    /// Whether what is there is replaced in any case.
    pub force: bool,
}

/// Why the certificates are not as wanted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server did not do it.
    #[error("{what}: {}{}", words(error), mend(error))]
    Server {
        /// The object.
        what: String,
        /// What it said.
        error: Box<kube::Error>,
    },
    /// Others wrote again and again.
    #[error("the Secret {0} is written by others all the time; nothing was changed")]
    Busy(String),
    /// A Secret cannot be used.
    #[error(
        "the Secret {0} holds no certificate and key in tls.crt and tls.key: {1}; mend it, or replace it with --force"
    )]
    Foreign(String, authority::Error),
    /// It is not known who has issued a certificate.
    #[error("the Secret {0} has no ca.crt, the authority of its certificate; add it")]
    NoAuthority(String),
    /// A certificate cannot be made.
    #[error(transparent)]
    Authority(#[from] authority::Error),
}

fn mend(error: &kube::Error) -> &'static str {
    match code(error) {
        Some(403) => "; allow it to the account that runs this",
        Some(404) => "; create it first",
        _ => "",
    }
}

/// Makes what is missing and renews what is due. Tells what was done, a line for each Secret.
///
/// # Errors
/// The API server refuses something, or a Secret of others cannot be used.
pub async fn keep(client: &Client, wish: &Wish) -> Result<Vec<String>, Error> {
    let secrets = Api::<Secret>::namespaced(client.clone(), &wish.namespace);
    let (own, first) = settle(&secrets, AUTHORITY, |there| authority_wanted(there, wish)).await?;
    let authority = Authority::of(&own).map_err(|error| Error::Foreign(AUTHORITY.to_owned(), error))?;
    let mut done = vec![first];
    for (secret, names, holder) in leaves(wish) {
        let wanted = |there: Option<&Secret>| leaf_wanted(there, &authority, wish, &names, holder);
        done.push(settle(&secrets, secret, wanted).await?.1);
    }
    Ok(done)
}

/// Puts the authority into all webhooks of a configuration. Tells what was done.
///
/// # Errors
/// There is no such configuration, or the API server refuses.
pub async fn trust(client: &Client, namespace: &str, configuration: &str) -> Result<String, Error> {
    let what = format!("ValidatingWebhookConfiguration {configuration}");
    let failed = |error| Error::Server { what: what.clone(), error: Box::new(error) };
    let of_secret = |error| Error::Server { what: format!("Secret {NAME}"), error: Box::new(error) };
    let secret = Api::<Secret>::namespaced(client.clone(), namespace).get(NAME).await.map_err(of_secret)?;
    // The authority of the certificate that the webhook shows, which others may have issued.
    let bundle = ByteString(text(&secret, "ca.crt").into_bytes());
    if bundle.0.is_empty() {
        return Err(Error::NoAuthority(NAME.to_owned()));
    }
    let webhooks = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    let mut there = webhooks.get(configuration).await.map_err(failed)?;
    let mut changed = false;
    for webhook in there.webhooks.iter_mut().flatten() {
        changed |= webhook.client_config.ca_bundle.as_ref() != Some(&bundle);
        webhook.client_config.ca_bundle = Some(bundle.clone());
    }
    if !changed {
        return Ok(format!("{what} trusts the authority already"));
    }
    webhooks.replace(configuration, &writes(), &there).await.map_err(failed)?;
    Ok(format!("{what} trusts the authority"))
}

/// What is to happen to a Secret.
#[derive(Debug)]
enum Wanted {
    /// It stays as it is, for this reason.
    Stay(Issued, &'static str),
    /// It gets this certificate and these authorities.
    Write(Issued, Option<String>),
}

/// Makes a Secret what it is to be. Gives what is in it then, and says what was done.
async fn settle(
    secrets: &Api<Secret>,
    name: &str,
    wanted: impl Fn(Option<&Secret>) -> Result<Wanted, authority::Error>,
) -> Result<(Issued, String), Error> {
    let failed = |error| Error::Server { what: format!("Secret {name}"), error: Box::new(error) };
    for _ in 0..TRIES {
        let there = secrets.get_opt(name).await.map_err(failed)?;
        let (issued, authorities) = match wanted(there.as_ref())? {
            Wanted::Stay(issued, why) => return Ok((issued, format!("the Secret {name} stays: {why}"))),
            Wanted::Write(issued, authorities) => (issued, authorities),
        };
        let new = secret(name, there.as_ref(), &issued, authorities);
        let (written, done) = match there {
            Some(_) => (secrets.replace(name, &writes(), &new).await, "renewed"),
            None => (secrets.create(&writes(), &new).await, "made"),
        };
        match written {
            Ok(_) => return Ok((issued, format!("the Secret {name} is {done}"))),
            // Somebody was faster: what they wrote may do. A replaced one may be gone, too.
            Err(error) if matches!(code(&error), Some(404 | 409)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Error::Busy(name.to_owned()))
}

fn authority_wanted(there: Option<&Secret>, wish: &Wish) -> Result<Wanted, authority::Error> {
    let make = || Authority::make(AUTHORITY_DAYS).map(|(_, own)| Wanted::Write(own, None));
    let Some(there) = there.filter(|_| !wish.force) else { return make() };
    if !is_ours(there) {
        return Ok(Wanted::Stay(issued(there), "others keep it"));
    }
    match Leaf::of(&text(there, "tls.crt")) {
        Some(leaf) if leaf.is_valid_at(SystemTime::now() + 90 * DAY) => Ok(Wanted::Stay(issued(there), "it is valid")),
        Some(leaf) if leaf.is_valid_at(SystemTime::now()) => {
            Ok(Wanted::Stay(issued(there), "it ends in less than 90 days; replace it with --force"))
        }
        Some(_) => make(),
        // Whoever trusts it would be lost: that is for somebody to decide.
        None => Ok(Wanted::Stay(issued(there), "it cannot be read")),
    }
}

/// Who gets a certificate under which names.
type Holds = fn(&[String]) -> Holder<'_>;

/// The Secrets with certificates of the authority: name, whose names they bear, and who holds them.
fn leaves(wish: &Wish) -> [(&'static str, Vec<String>, Holds); 3] {
    let server = service_names(NAME, wish).chain(wish.names.iter().cloned()).collect();
    [
        (NAME, server, |names| Holder::Server(names)),
        (RATE_LIMIT_SECRET, service_names(RATE_LIMIT_NAME, wish).collect(), |names| Holder::RateLimit(names)),
        (SINGLE_SIGN_ON_SECRET, service_names(SINGLE_SIGN_ON_NAME, wish).collect(), |names| {
            Holder::SingleSignOn(names)
        }),
    ]
}

fn leaf_wanted(
    there: Option<&Secret>,
    authority: &Authority,
    wish: &Wish,
    names: &[String],
    holder: Holds,
) -> Result<Wanted, authority::Error> {
    if let Some(there) = there.filter(|_| !wish.force) {
        if !is_ours(there) {
            return Ok(Wanted::Stay(issued(there), "others keep it"));
        }
        let soon = SystemTime::now() + (30 * DAY).min(DAY * u32::from(wish.days) / 3);
        let leaf = Leaf::of(&text(there, "tls.crt"));
        let is_signed = text(there, "ca.crt") == authority.certificate();
        if is_signed && leaf.is_some_and(|leaf| leaf.is_valid_at(soon) && leaf.has_names(names)) {
            return Ok(Wanted::Stay(issued(there), "it is valid"));
        }
    }
    let issued = authority.issue(holder(names), wish.days)?;
    Ok(Wanted::Write(issued, Some(authority.certificate().to_owned())))
}

/// All names of a Service in the wished namespace.
fn service_names(service: &str, wish: &Wish) -> impl Iterator<Item = String> {
    let full = format!("{service}.{}", wish.namespace);
    [service.to_owned(), full.clone(), format!("{full}.svc"), format!("{full}.svc.cluster.local")].into_iter()
}

/// The Secret, with the state that it replaces.
fn secret(name: &str, there: Option<&Secret>, issued: &Issued, authorities: Option<String>) -> Secret {
    let mut metadata = there.map(|there| there.metadata.clone()).unwrap_or_default();
    metadata = ObjectMeta { name: Some(name.to_owned()), managed_fields: None, ..metadata };
    let labels = metadata.labels.get_or_insert_default();
    for (key, value) in [MADE_BY, ("app.kubernetes.io/part-of", NAME)] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    let files = [("tls.crt", issued.certificate.clone()), ("tls.key", issued.key.clone())];
    let files = files.into_iter().chain(authorities.map(|authorities| ("ca.crt", authorities)));
    let data: BTreeMap<_, _> = files.map(|(file, pem)| (file.to_owned(), ByteString(pem.into_bytes()))).collect();
    // A Secret cannot change its type.
    let kind = there.map_or_else(|| Some("kubernetes.io/tls".to_owned()), |there| there.type_.clone());
    Secret { metadata, data: Some(data), type_: kind, ..Secret::default() }
}

fn is_ours(secret: &Secret) -> bool {
    let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(MADE_BY.0));
    label.is_some_and(|label| label == MADE_BY.1)
}

fn issued(secret: &Secret) -> Issued {
    Issued { certificate: text(secret, "tls.crt"), key: text(secret, "tls.key") }
}

/// A file of a Secret; empty where there is none.
fn text(secret: &Secret, file: &str) -> String {
    let bytes = secret.data.as_ref().and_then(|data| data.get(file));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
}

//! Certificates and secrets for cases, made anew for each run; what comes out shows their placeholders.
//!
//! - `${CA:name}`: the certificate of an authority
//! - `${CERT:name:host,host}`: a certificate of the authority `name`, for these hosts (or `spiffe://…` names)
//! - `${KEY:name}`: the private key of the last such certificate
//! - `${SECRET:name}`: a text that nothing but Envoy's own configuration may show
//!
//! All stand for a whole YAML value: they become quoted strings.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use testbed::pki::Ca;

/// The texts of one case, by placeholder.
#[derive(Default)]
pub(crate) struct Material {
    texts: BTreeMap<String, String>,
}

impl Material {
    /// Makes what a case names.
    pub(crate) fn of(text: &str) -> Self {
        let mut authorities: BTreeMap<String, Ca> = BTreeMap::new();
        let mut texts = BTreeMap::new();
        for placeholder in placeholders(text) {
            let mut words = placeholder.splitn(3, ':');
            let (kind, name, hosts) = (words.next().unwrap(), words.next().unwrap_or_default(), words.next());
            let authority = authorities.entry(name.to_owned()).or_insert_with(|| Ca::new(name).unwrap());
            match kind {
                "CA" => drop(texts.insert(placeholder.to_owned(), authority.pem())),
                "SECRET" => drop(texts.insert(placeholder.to_owned(), format!("hush-{name}-hush"))),
                "CERT" if !texts.contains_key(placeholder) => {
                    let hosts: Vec<&str> = hosts.unwrap_or_default().split(',').collect();
                    let identity = authority.server(&hosts).unwrap();
                    texts.insert(placeholder.to_owned(), identity.cert);
                    texts.insert(format!("KEY:{name}"), identity.key);
                }
                "CERT" | "KEY" => {}
                other => panic!("there is no placeholder of kind {other}"),
            }
        }
        Self { texts }
    }

    /// The text with everything in its place.
    pub(crate) fn fill(&self, text: &str) -> String {
        self.texts.iter().fold(text.to_owned(), |text, (placeholder, value)| {
            text.replace(&format!("${{{placeholder}}}"), &serde_json::to_string(value).unwrap())
        })
    }

    /// What stands for bytes of an Envoy resource (base64): the text that they are, with placeholders.
    pub(crate) fn name(&self, bytes: &str) -> String {
        let Ok(text) = BASE64_STANDARD.decode(bytes).map_err(drop).and_then(|b| String::from_utf8(b).map_err(drop))
        else {
            return bytes.to_owned();
        };
        self.texts.iter().fold(text, |text, (placeholder, known)| text.replace(known, &format!("${{{placeholder}}}")))
    }

    /// The private parts that a text shows.
    pub(crate) fn leaks(&self, text: &str) -> Vec<String> {
        let private = self.texts.iter().filter(|(name, _)| name.starts_with("KEY:") || name.starts_with("SECRET:"));
        let leaks = private.filter(|(_, value)| {
            // A line of a key is enough of it, in whatever way lines are put together.
            let telling = value.lines().nth(1).unwrap_or(value);
            text.contains(telling) || text.contains(&BASE64_STANDARD.encode(value.as_bytes()))
        });
        leaks.map(|(name, _)| format!("{name} is shown to those who read status or a dump")).collect()
    }
}

fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(placeholder, _)| placeholder)
}

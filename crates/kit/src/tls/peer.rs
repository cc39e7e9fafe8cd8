//! Who a peer is by its certificate, and who is let in.

use serde::{Deserialize, Serialize};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The names in a verified peer's certificate (its subject alternative names). The subject's common name is not one of
/// them: RFC 9525 forbids to identify by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// URIs, among them SPIFFE ids (`spiffe://trust-domain/path`).
    pub uris: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
}

impl Identity {
    /// The names of a certificate in DER; none when it has none or cannot be read.
    pub fn of_certificate(der: &[u8]) -> Self {
        let mut identity = Self::default();
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return identity };
        let Ok(Some(names)) = certificate.subject_alternative_name() else { return identity };
        for name in &names.value.general_names {
            match name {
                GeneralName::URI(uri) => identity.uris.push((*uri).to_owned()),
                GeneralName::DNSName(dns) => identity.dns.push((*dns).to_owned()),
                _ => {}
            }
        }
        identity
    }

    /// The SPIFFE id, which a certificate has at most one of (SPIFFE X.509-SVID, 2).
    pub fn spiffe_id(&self) -> Option<&str> {
        let mut ids = self.uris.iter().filter(|uri| uri.starts_with("spiffe://"));
        match (ids.next(), ids.next()) {
            (Some(id), None) => Some(id),
            _ => None,
        }
    }
}

/// Which peers are let in: those with any of the names. Empty lets in every peer that the authorities vouch for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct PeerPolicy {
    /// URI names, SPIFFE ids above all. One that ends in `/*` stands for everything below it.
    pub uris: Vec<String>,
    /// DNS names, compared without regard to case.
    pub dns: Vec<String>,
}

impl PeerPolicy {
    /// Whether no name is asked for.
    pub fn is_empty(&self) -> bool {
        self.uris.is_empty() && self.dns.is_empty()
    }

    /// Whether a peer with these names is let in.
    pub fn allows(&self, identity: &Identity) -> bool {
        self.is_empty()
            || self.uris.iter().any(|rule| identity.uris.iter().any(|uri| uri_matches(rule, uri)))
            || self.dns.iter().any(|rule| identity.dns.iter().any(|dns| dns.eq_ignore_ascii_case(rule)))
    }
}

fn uri_matches(rule: &str, uri: &str) -> bool {
    match rule.strip_suffix("/*") {
        // The slash stays part of what is compared: `spiffe://a/b/*` must not let in `spiffe://a/bc`.
        Some(parent) => uri.strip_prefix(parent).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/')),
        None => rule == uri,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(uri: &str) -> Identity {
        Identity { uris: vec![uri.to_owned()], dns: vec!["Envoy.example".to_owned()] }
    }

    #[test]
    fn a_rule_lets_in_what_it_names() {
        let policy = PeerPolicy { uris: vec!["spiffe://a/ns/gw/*".into(), "spiffe://a/one".into()], dns: vec![] };
        for (peer, allowed) in [
            ("spiffe://a/one", true),
            ("spiffe://a/one/more", false),
            ("spiffe://a/ns/gw/sa/envoy", true),
            ("spiffe://a/ns/gw", false),
            ("spiffe://a/ns/gw/", false),
            ("spiffe://a/ns/gwx/sa", false),
            ("spiffe://b/one", false),
        ] {
            assert_eq!(policy.allows(&uri(peer)), allowed, "{peer}");
        }
        assert!(PeerPolicy::default().allows(&Identity::default()));
        assert!(PeerPolicy { uris: vec![], dns: vec!["envoy.example".into()] }.allows(&uri("x")));
    }

    #[test]
    fn two_spiffe_ids_are_none() {
        assert_eq!(uri("spiffe://a/b").spiffe_id(), Some("spiffe://a/b"));
        let two = Identity { uris: vec!["spiffe://a/b".into(), "spiffe://a/c".into()], dns: vec![] };
        assert_eq!(two.spiffe_id(), None);
    }
}

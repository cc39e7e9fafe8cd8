//! An identity provider, as configured.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kit::redact::Redacted;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::inside::{Inside, leads_inside};

/// An identity provider and us as its client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Provider {
    /// The issuer's URL; what it can do is read below it (OpenID Connect Discovery).
    pub issuer: String,
    /// What the chooser page calls it. Default: its name here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Our id there.
    pub client_id: String,
    /// Our secret there; better is `clientSecretFile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Redacted<String>>,
    /// A file with our secret, which is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// How we say who we are. Default: `basic` with a secret, `privateKeyJwt` with a key, else `none`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth: Option<ClientAuth>,
    /// A PEM file (PKCS #8) with the key for `privateKeyJwt`, which is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_file: Option<PathBuf>,
    /// The id of that key at the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key_id: Option<String>,
    /// What is asked for beside `openid`. Default profile and email.
    pub scopes: Vec<String>,
    /// For which APIs tokens are asked (RFC 8707).
    pub resources: Vec<String>,
    /// More parameters of the authorization request, such as `prompt` or `hd`.
    pub authorization_parameters: BTreeMap<String, String>,
    /// Where the provider sends people back to, when that is not our callback at the host where the login began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Signature algorithms of its tokens. Default RS256, ES256, PS256, EdDSA.
    pub algorithms: Vec<String>,
    /// Audiences that ID tokens may have beside us.
    pub trusted_audiences: Vec<String>,
    /// Ask for the claims of the user info endpoint, beside those of the ID token. Default false.
    pub user_info: bool,
    /// E-mail domains whose people log in here, for hints.
    pub domains: Vec<String>,
    /// What discovery does not say, or says wrongly.
    pub endpoints: Endpoints,
    /// Hosts and networks inside where the provider's endpoints may be: `token.corp.example`, `10.0.0.0/8`. The issuer's own
    /// host may be anywhere.
    pub internal_hosts: Vec<Inside>,
    /// Whether a policy names it: then only the operator says what may be inside, and that is all of `internal_hosts`.
    #[serde(skip)]
    pub of_policy: bool,
    /// For development only: an issuer without TLS. Default false.
    pub insecure: bool,
    /// How long a request to the provider may take. Default 10s.
    #[serde(with = "kit::duration")]
    pub timeout: Duration,
    /// PEM file with authorities to trust beside the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How often discovery and keys are read anew. Default 1h.
    #[serde(with = "kit::duration")]
    pub refresh_interval: Duration,
}

/// Endpoints that take the place of discovery's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Endpoints {
    /// Where people log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Where tokens come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Where people log out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session: Option<String>,
}

/// How we say who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientAuth {
    /// The secret in the header `Authorization`.
    Basic,
    /// The secret in the body.
    Post,
    /// A token that we sign (RFC 7523).
    PrivateKeyJwt,
    /// Not at all: a public client, which PKCE protects.
    None,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            title: None,
            client_id: String::new(),
            client_secret: None,
            client_secret_file: None,
            client_auth: None,
            private_key_file: None,
            private_key_id: None,
            scopes: vec!["profile".to_owned(), "email".to_owned()],
            resources: Vec::new(),
            authorization_parameters: BTreeMap::new(),
            redirect_url: None,
            algorithms: ["RS256", "ES256", "PS256", "EdDSA"].map(str::to_owned).to_vec(),
            trusted_audiences: Vec::new(),
            user_info: false,
            domains: Vec::new(),
            endpoints: Endpoints::default(),
            internal_hosts: Vec::new(),
            of_policy: false,
            insecure: false,
            timeout: Duration::from_secs(10),
            ca: None,
            refresh_interval: Duration::from_secs(3600),
        }
    }
}

/// Parameters that are ours to set.
const OURS: &[&str] = &[
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

impl Provider {
    /// How we say who we are.
    pub fn authentication(&self) -> ClientAuth {
        self.client_auth.unwrap_or_else(|| {
            if self.has_secret() {
                ClientAuth::Basic
            } else if self.private_key_file.is_some() {
                ClientAuth::PrivateKeyJwt
            } else {
                ClientAuth::None
            }
        })
    }

    fn has_secret(&self) -> bool {
        self.client_secret.is_some() || self.client_secret_file.is_some()
    }

    /// The first URL that leads inside although the operator does not allow it, as far as that can be told without asking.
    pub(super) fn forbidden(&self) -> Option<(&'static str, String)> {
        let Endpoints { authorization, token, end_session } = &self.endpoints;
        let urls = [
            ("issuer", Some(&self.issuer)),
            ("endpoints.authorization", authorization.as_ref()),
            ("endpoints.token", token.as_ref()),
            ("endpoints.endSession", end_session.as_ref()),
        ];
        let host = |url: &String| leads_inside(url, &self.internal_hosts);
        let (field, host) = urls.into_iter().find_map(|(field, url)| Some((field, host(url?)?)))?;
        let what =
            format!("`{host}` is inside, which the service's own configuration has to allow (policyInternalHosts)");
        Some((field, what))
    }

    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let url = |text: &str| {
            Url::parse(text).is_ok_and(|url| url.scheme() == "https" || self.insecure && url.scheme() == "http")
        };
        if !url(&self.issuer) {
            return Some(("issuer", "is no https URL (http is for development: `insecure: true`)".into()));
        }
        if self.client_id.is_empty() {
            return Some(("clientId", "is missing: the provider gives it when we are registered there".into()));
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            return Some(("clientSecret", "stands beside clientSecretFile, allowed: one of them".into()));
        }
        match self.authentication() {
            ClientAuth::Basic | ClientAuth::Post if !self.has_secret() => {
                return Some(("clientAuth", "needs clientSecretFile".into()));
            }
            ClientAuth::PrivateKeyJwt if self.private_key_file.is_none() => {
                return Some(("clientAuth", "needs privateKeyFile".into()));
            }
            _ => {}
        }
        if let Some(unknown) = self.algorithms.iter().find(|name| crate::jwt::algorithm(name).is_none()) {
            return Some((
                "algorithms",
                format!("`{unknown}` is not allowed: only public keys sign tokens, allowed: {}", crate::jwt::names()),
            ));
        }
        let endpoints = &self.endpoints;
        let given = [&endpoints.authorization, &endpoints.token, &endpoints.end_session, &self.redirect_url];
        if given.into_iter().flatten().any(|given| !url(given)) {
            return Some(("endpoints", "have to be https URLs, and so has redirectUrl".into()));
        }
        let taken = self.authorization_parameters.keys().find(|name| OURS.contains(&name.as_str()));
        taken.map(|name| ("authorizationParameters", format!("`{name}` is set by the service")))
    }
}

//! A profile: what a route wants of those who come.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Settings, known};
use crate::path::Pattern;

/// What a route wants.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Profile {
    /// Whose people may log in. With several, `choose` says which, else the person does.
    pub providers: Vec<String>,
    /// Which of several providers is meant, by what a request is for; the first that fits.
    pub choose: Vec<Choice>,
    /// Paths that need no login.
    pub anonymous: Vec<Anonymous>,
    /// Who may do what. Without any, whoever is logged in may do all; with some, what no rule allows is refused.
    pub rules: Vec<Rule>,
    /// Programs that bring a token. Without it only sessions count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<Bearer>,
    /// How a person must have logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up: Option<StepUp>,
    /// What the server behind is told.
    pub upstream: Upstream,
    /// An e-mail address counts only when the provider says that it was verified. Default true.
    #[serde(default = "yes")]
    pub verified_email: bool,
    /// A path of each host that logs out, beside our own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logout_path: Option<String>,
}

fn yes() -> bool {
    true
}

/// Which provider a request is for: all that is given has to fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Choice {
    /// The provider.
    pub provider: String,
    /// Hosts, `www.example.com` or `*.example.com`.
    pub hosts: Vec<String>,
    /// Paths.
    pub paths: Vec<String>,
    /// Headers and their values.
    pub headers: BTreeMap<String, String>,
}

/// Requests that need no login.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Anonymous {
    /// The path: `/exact`, or `/below/*`.
    pub path: String,
    /// The methods. Default GET, HEAD and OPTIONS.
    pub methods: Vec<String>,
}

/// A rule: whom it allows what.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Rule {
    /// Its name, in the audit log and in metrics. Default its place in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The paths it is about; all when there are none.
    pub paths: Vec<String>,
    /// The methods it is about; all when there are none.
    pub methods: Vec<String>,
    /// A CEL expression that says who may, of `claims`, `groups`, `scopes`, `email`, `emailDomain`, `subject`, `provider`,
    /// `acr`, `method`, `path`, `host` and `bearer`.
    pub allow: String,
}

/// Tokens that programs bring.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Bearer {
    /// For whom a token has to be (`aud`); one of them.
    pub audiences: Vec<String>,
    /// The types that a token's header may name. Default `at+jwt`, `application/at+jwt`, `JWT`, or none.
    pub types: Vec<String>,
}

/// How a person must have logged in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct StepUp {
    /// One of these classes (`acr`).
    pub acr: Vec<String>,
    /// At most so long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Age>,
}

/// A duration that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Age(#[serde(with = "kit::duration")] pub Duration);

/// What the server behind is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Upstream {
    /// Headers and the claims they carry: `x-user: email`, `x-city: address.locality`; lists are joined by commas.
    pub headers: BTreeMap<String, String>,
    /// The access token as `Authorization: Bearer`.
    pub access_token: bool,
    /// The ID token in this header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_header: Option<String>,
    /// Another token in place of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
    /// Claims in the dynamic metadata, for rate limits and logs.
    pub metadata: BTreeMap<String, String>,
}

/// A token that is got in exchange for the access token (RFC 8693).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Exchange {
    /// For whom it is.
    pub audience: String,
    /// The API that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
}

impl Profile {
    pub(super) fn problem(&self, settings: &Settings) -> Option<(String, String)> {
        if self.providers.is_empty() {
            return Some(("providers".into(), format!("are missing, {}", known(&settings.providers))));
        }
        let chosen = self.choose.iter().map(|choice| &choice.provider).filter(|name| !self.providers.contains(name));
        let unknown = self.providers.iter().filter(|name| !settings.providers.contains_key(*name)).chain(chosen).next();
        if let Some(name) = unknown {
            return Some((
                "providers".into(),
                format!("there is no provider `{name}`, {}", known(&settings.providers)),
            ));
        }
        let anonymous = self.anonymous.iter().map(|path| &path.path).enumerate();
        let anonymous = anonymous.map(|(index, path)| (format!("anonymous[{index}].path"), path));
        let rules = self.rules.iter().enumerate();
        let rules =
            rules.flat_map(|(index, rule)| rule.paths.iter().map(move |path| (format!("rules[{index}].paths"), path)));
        let choices = self.choose.iter().enumerate();
        let choices =
            choices.flat_map(|(index, of)| of.paths.iter().map(move |path| (format!("choose[{index}].paths"), path)));
        let logout = self.logout_path.iter().map(|path| ("logoutPath".to_owned(), path));
        for (field, path) in anonymous.chain(rules).chain(choices).chain(logout) {
            if let Err(what) = Pattern::parse(path) {
                return Some((field, what));
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if let Err(what) = crate::rules::compile(&rule.allow) {
                return Some((format!("rules[{index}].allow"), what));
            }
        }
        if self.bearer.as_ref().is_some_and(|bearer| bearer.audiences.is_empty()) {
            return Some((
                "bearer.audiences".into(),
                "is missing: a token that is for somebody else must not pass".into(),
            ));
        }
        self.upstream.problem()
    }
}

/// Headers that say how a request travels, or that are set otherwise.
const TAKEN: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Upstream {
    fn problem(&self) -> Option<(String, String)> {
        let names = self.headers.keys().chain(&self.id_token_header);
        let bad = names.clone().find(|name| {
            let valid =
                http::HeaderName::from_bytes(name.as_bytes()).is_ok_and(|parsed| parsed.as_str() == name.as_str());
            !valid || TAKEN.contains(&name.as_str())
        });
        if let Some(name) = bad {
            return Some((
                "upstream.headers".into(),
                format!("`{name}` cannot be set, allowed: other names in lower case"),
            ));
        }
        let audience = self.exchange.as_ref().is_some_and(|exchange| exchange.audience.is_empty());
        audience.then(|| ("upstream.exchange.audience".into(), "is missing".into()))
    }
}

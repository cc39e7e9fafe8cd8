//! A profile: what a route wants of those who come.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Settings, known};
use crate::clock::Seconds;
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
    /// Where the provider sends people back to in place of its `redirectUrl`: a URL, or a path of the host where the login
    /// began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// How long a person may take to log in. Default 10m.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_timeout: Option<Age>,
    /// Requests that get 401 even where a browser would be sent to log in: those that have one of these headers.
    pub no_redirect: Vec<HeaderMatch>,
    /// Cookies of its own: logins count where the cookies are the same.
    pub cookies: Cookies,
    /// The tokens of those who log in here.
    pub tokens: Tokens,
}

fn yes() -> bool {
    true
}

/// A header of a request: exactly one of the ways to compare its value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct HeaderMatch {
    /// The name, in lower case.
    pub name: String,
    /// The value is this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// It begins so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// It ends so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// All of it fits this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
}

/// What is different of a profile's cookies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Cookies {
    /// A domain whose hosts share the session. Default that of all cookies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Eight hexadecimal digits after the name, so that logins at several providers do not take each other's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Whether browsers send it with requests that other sites cause. Default lax.
    pub same_site: SameSite,
}

/// With which requests a browser sends a cookie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SameSite {
    /// With those of its own site, and when a link leads there.
    #[default]
    Lax,
    /// With all.
    None,
}

/// The tokens of those who log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Tokens {
    /// Renew them when they come to their end, where the provider gives refresh tokens. Default true.
    pub refresh: bool,
    /// How long those last of which the provider does not say it. Default: as long as the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Age>,
    /// A session ends with tokens that cannot be renewed. Default false.
    pub bind_session: bool,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { refresh: true, lifetime: None, bind_session: false }
    }
}

impl Tokens {
    /// When tokens end that were given now, given what the provider says.
    pub(crate) fn end(&self, said: Option<Seconds>, now: Seconds) -> Option<Seconds> {
        said.or_else(|| Some(now.saturating_add(self.lifetime?.0.as_secs())))
    }
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
    /// The access token in this cookie, for servers and filters that look for it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_cookie: Option<String>,
    /// The ID token in this cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_cookie: Option<String>,
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
        if let Some(index) = self.no_redirect.iter().position(|header| !header.is_sound()) {
            let what =
                "needs a name in lower case, and one of exact, prefix, suffix and regex (an expression that is one)";
            return Some((format!("noRedirect[{index}]"), what.into()));
        }
        self.cookies.problem(settings).or_else(|| self.callback_problem(settings)).or_else(|| self.upstream.problem())
    }

    fn callback_problem(&self, settings: &Settings) -> Option<(String, String)> {
        let callback = self.callback.as_deref()?;
        let right = if callback.starts_with('/') {
            crate::path::Path::of(callback).sure().is_some_and(|path| path == callback && path.len() > 1)
        } else {
            let is_encrypted = |url: &url::Url| url.scheme() == "https" || settings.cookies.insecure;
            url::Url::parse(callback).is_ok_and(|url| is_encrypted(&url) && url.has_host() && url.path() != "/")
        };
        let what = "is neither a path nor an https URL with one (http is for development: `cookies.insecure: true`)";
        (!right).then(|| ("callback".into(), what.into()))
    }
}

impl HeaderMatch {
    /// The expression, from the beginning of a value to its end.
    pub(crate) fn expression(&self) -> Option<Result<regex::Regex, regex::Error>> {
        Some(regex::Regex::new(&format!("^(?:{})$", self.regex.as_ref()?)))
    }

    fn is_sound(&self) -> bool {
        let ways = [&self.exact, &self.prefix, &self.suffix, &self.regex];
        let is_name = http::HeaderName::from_bytes(self.name.as_bytes()).is_ok_and(|name| name.as_str() == self.name);
        is_name
            && ways.into_iter().flatten().count() == 1
            && self.expression().is_none_or(|expression| expression.is_ok())
    }
}

impl Cookies {
    fn problem(&self, settings: &Settings) -> Option<(String, String)> {
        let is_hex = |text: &String| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_domain = |text: &String| {
            let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
            !text.is_empty() && text.bytes().all(is_part)
        };
        if self.suffix.as_ref().is_some_and(|suffix| !is_hex(suffix)) {
            return Some(("cookies.suffix".into(), "has to be eight hexadecimal digits".into()));
        }
        if self.domain.as_ref().is_some_and(|domain| !is_domain(domain)) {
            return Some(("cookies.domain".into(), "is no domain, such as example.com".into()));
        }
        if self.same_site == SameSite::None && settings.cookies.insecure {
            let what = "cannot be none without TLS (`cookies.insecure`): browsers refuse such cookies";
            return Some(("cookies.sameSite".into(), what.into()));
        }
        None
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
        let cookies = [&self.access_token_cookie, &self.id_token_cookie];
        let is_name = |name: &str| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte))
        };
        if let Some(name) = cookies.into_iter().flatten().find(|name| !is_name(name)) {
            return Some(("upstream".into(), format!("`{name}` is no name of a cookie")));
        }
        let audience = self.exchange.as_ref().is_some_and(|exchange| exchange.audience.is_empty());
        audience.then(|| ("upstream.exchange.audience".into(), "is missing".into()))
    }
}

//! The service's configuration, one YAML file. Providers, profiles and pages are taken over while running; ports, store and
//! cookies at the next start.

mod delivered;
mod profile;
mod provider;
mod sessions;

use std::collections::BTreeMap;
use std::path::PathBuf;

use kit::Common;
use kit::config::{Document, Finding};
use kit::net::Address;
use kit::ports::{Grpc, Http};
use serde::{Deserialize, Serialize};

use crate::cookie;
use crate::inside::Inside;

pub(crate) use delivered::Delivered;
pub use profile::{
    Anonymous, Bearer, Choice, Cookies, Exchange, HeaderMatch, Profile, Rule, SameSite, StepUp, Tokens, Upstream,
};
pub use provider::{ClientAuth, Endpoints, Provider};
pub use sessions::{CookieStore, MemoryStore, OnFailure, RedisStore, Sessions, Store};

/// The configuration of the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// The admin port. Default 127.0.0.1:9193.
    pub admin: kit::admin::Settings,
    /// Logs and traces.
    pub telemetry: kit::telemetry::Settings,
    /// The orderly end.
    pub drain: kit::drain::Settings,
    /// Where Envoy asks.
    pub grpc: Grpc<9191>,
    /// Our own pages, back-channel logout, and checks by HTTP.
    pub http: Http<9192>,
    /// Below which path of every host our own pages are. Default `/oauth2`.
    pub path_prefix: String,
    /// The identity providers by name.
    pub providers: BTreeMap<String, Provider>,
    /// What routes want, by name: a route names its profile in the context extension `profile`.
    pub profiles: BTreeMap<String, Profile>,
    /// A control plane that sends more profiles, with their providers: those of policies (`SecurityPolicy.oidc`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub xds: Option<xds::client::Settings>,
    /// Hosts and networks inside where providers that policies name may be: `id.corp.example`, `*.auth.svc.cluster.local`,
    /// `10.0.0.0/8`. None unless set: a policy must not have us ask what only this service can reach.
    pub policy_internal_hosts: Vec<Inside>,
    /// The profile of routes that name none; without it they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_profile: Option<String>,
    /// Sessions and where they are kept.
    pub sessions: Sessions,
    /// Cookies.
    pub cookies: cookie::Settings,
    /// Files with secrets that seal cookies and sessions, the newest first. Without any, a key is made at the start: sessions
    /// end with the process.
    pub keys: Vec<PathBuf>,
    /// Pages of one's own.
    pub pages: Pages,
    /// Hosts that a login or logout may lead to beside the one where it began, and that `loginHost` hands sessions over to:
    /// `www.example.com`, `*.example.com`.
    pub return_hosts: Vec<String>,
    /// The host where all logins happen, for hosts in several domains: those of `returnHosts` are handed the session over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_host: Option<String>,
}

/// Pages of one's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Pages {
    /// A directory with `page.html`, in which `{{title}}`, `{{text}}`, `{{content}}` and `{{request}}` are replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// What the pages call this place. Default `this site`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            admin: kit::admin::Settings::default(),
            telemetry: kit::telemetry::Settings::default(),
            drain: kit::drain::Settings::default(),
            grpc: Grpc::default(),
            http: Http::default(),
            path_prefix: "/oauth2".to_owned(),
            providers: BTreeMap::new(),
            profiles: BTreeMap::new(),
            xds: None,
            policy_internal_hosts: Vec::new(),
            default_profile: None,
            sessions: Sessions::default(),
            cookies: cookie::Settings::default(),
            keys: Vec::new(),
            pages: Pages::default(),
            return_hosts: Vec::new(),
            login_host: None,
        }
    }
}

impl kit::Config for Settings {
    fn common(&self) -> Common {
        Common { admin: self.admin.clone(), telemetry: self.telemetry.clone(), drain: self.drain }
    }

    fn default_admin() -> &'static str {
        "127.0.0.1:9193"
    }

    fn check(&self, document: &Document) -> Result<(), Finding> {
        self.grpc.check(document)?;
        let wrong = |(field, what): (String, String)| Err(document.finding(&field, what));
        self.problem().map_or(Ok(()), wrong)
    }
}

impl Settings {
    /// The first thing that is wrong: its field, and what.
    fn problem(&self) -> Option<(String, String)> {
        let prefix = crate::path::Path::of(&self.path_prefix).sure();
        if prefix.is_none_or(|path| path.len() < 2 || path.ends_with('/')) {
            return Some(("pathPrefix".into(), "is no path such as /oauth2".into()));
        }
        if self.cookies.name.is_empty()
            || !self.cookies.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            return Some(("cookies.name".into(), "may have letters, digits and _ only".into()));
        }
        for (name, provider) in &self.providers {
            if let Some((field, what)) = provider.problem() {
                return Some((format!("providers.{name}.{field}"), what));
            }
        }
        for (name, profile) in &self.profiles {
            if let Some((field, what)) = profile.problem(self) {
                return Some((format!("profiles.{name}.{field}"), what));
            }
        }
        if let Some(name) = self.default_profile.as_ref().filter(|name| !self.profiles.contains_key(*name)) {
            return Some(("defaultProfile".into(), format!("there is no profile `{name}`, {}", known(&self.profiles))));
        }
        if self.xds.as_ref().is_some_and(|xds| xds.tls.is_none() && !is_local(&xds.address)) {
            return Some(("xds.tls".into(), "is missing: secrets come by TLS, or from this machine".into()));
        }
        if self.login_host.is_some() && self.return_hosts.is_empty() {
            let what = "is missing: it names the hosts that take sessions over from loginHost";
            return Some(("returnHosts".into(), what.into()));
        }
        if self.login_host.is_some() && matches!(self.sessions.store, Store::Cookie(_)) {
            let what = "needs sessions in memory or in redis, from which another host can take them over";
            return Some(("loginHost".into(), what.into()));
        }
        if self.keys.is_empty() && !matches!(self.sessions.store, Store::Memory(_)) {
            let what = "needs a file with a secret: sessions that are kept outside of this process are sealed with it";
            return Some(("keys".into(), what.into()));
        }
        self.sessions.problem().map(|(field, what)| (format!("sessions.{field}"), what))
    }
}

/// Whether an address is one of this machine's own.
fn is_local(address: &Address) -> bool {
    let Address::Tcp(address) = address else { return true };
    let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `allowed: a, b`, for errors about names.
fn known<V>(names: &BTreeMap<String, V>) -> String {
    let names: Vec<&str> = names.keys().map(String::as_str).collect();
    if names.is_empty() { "and no other either".to_owned() } else { format!("allowed: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kit::Config as _;

    fn error(text: &str) -> String {
        let document = kit::config::single("oidc.yaml", text).unwrap();
        let read = document.read::<Settings>().and_then(|(settings, _)| settings.check(&document));
        read.expect_err("this is wrong").to_string()
    }

    #[test]
    fn errors_name_line_and_field() {
        const PROVIDER: &str = "providers:\n  main: {issuer: 'https://id.example', clientId: a}\n";
        for (more, place, what) in [
            ("providr: {}", "oidc.yaml:3:1", "providr"),
            (
                "profiles:\n  web: {providers: [other]}",
                "oidc.yaml:4:9: profiles.web.providers",
                "no provider `other`, allowed: main",
            ),
            (
                "profiles:\n  web:\n    providers: [main]\n    rules: [{allow: 'claims.'}]",
                "profiles.web.rules[0].allow",
                "Syntax",
            ),
            (
                "profiles:\n  web:\n    providers: [main]\n    anonymous: [{path: /a/../b}]",
                "profiles.web.anonymous[0].path",
                "is no path",
            ),
            ("defaultProfile: web", "oidc.yaml:3:1: defaultProfile", "no profile `web`"),
            ("sessions: {store: {cookie: {}}}", "keys", "needs a file"),
            ("pathPrefix: /", "oidc.yaml:3:1: pathPrefix", "is no path"),
            ("xds: {address: 'controller:18001'}", "oidc.yaml:3:", "secrets come by TLS"),
            ("loginHost: login.example", "returnHosts", "hosts that take sessions over"),
            ("policyInternalHosts: ['https://id.corp']", "oidc.yaml:3:23", "neither a host"),
        ] {
            let error = error(&format!("{PROVIDER}{more}"));
            assert!(error.contains(place) && error.contains(what), "{more}: {error}");
        }
        let error = error("providers: {main: {issuer: 'http://id.example', clientId: a}}");
        assert!(error.contains("providers.main.issuer") && error.contains("https"), "{error}");
    }

    #[test]
    fn the_example_is_right() {
        let text = include_str!("../../../../examples/single-sign-on/oidc.yaml");
        let document = kit::config::single("oidc.yaml", text).unwrap();
        let (settings, _) = document.read::<Settings>().unwrap();
        settings.check(&document).unwrap();
    }

    #[test]
    fn secrets_do_not_show() {
        let text = "providers: {main: {issuer: 'https://id.example', clientId: a, clientSecret: hunter2}}";
        let settings: Settings = kit::config::parse("oidc.yaml", text).unwrap();
        assert!(!format!("{settings:?} {}", settings.shown()).contains("hunter2"));
    }
}

//! A profile, ready for use.

use std::sync::Arc;

use crate::ask::Ask;
use crate::path::{Path, Pattern};
use crate::provider::Provider;
use crate::return_url::is_host;
use crate::rules::Rule;
use crate::settings;

/// What a route wants of those who come.
#[derive(Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// As it is configured.
    pub settings: settings::Profile,
    /// Whose people may log in.
    pub providers: Vec<Arc<Provider>>,
    /// Who may do what.
    pub rules: Vec<Rule>,
    choose: Vec<(settings::Choice, Vec<Pattern>, Arc<Provider>)>,
    anonymous: Vec<(Pattern, Vec<String>)>,
    logout: Option<Pattern>,
    no_redirect: Vec<(settings::HeaderMatch, Option<regex::Regex>)>,
    /// Hosts with ports, and paths, that providers send people back to beside our own callback.
    callbacks: Vec<(String, String)>,
}

impl Profile {
    /// A profile with the providers that `provider` finds by name. The configuration is checked.
    pub fn new(
        name: &str,
        settings: &settings::Profile,
        provider: impl Fn(&str) -> Option<Arc<Provider>>,
    ) -> Option<Self> {
        let pattern = |path: &String| Pattern::parse(path).ok();
        let methods = |listed: &Vec<String>| -> Vec<String> {
            let usual = || ["GET", "HEAD", "OPTIONS"].map(str::to_owned).to_vec();
            let listed: Vec<_> = listed.iter().map(|method| method.to_ascii_uppercase()).collect();
            if listed.is_empty() { usual() } else { listed }
        };
        let choice = |choice: &settings::Choice| {
            let paths = choice.paths.iter().map(pattern).collect::<Option<_>>()?;
            Some((choice.clone(), paths, provider(&choice.provider)?))
        };
        let providers: Vec<Arc<Provider>> =
            settings.providers.iter().map(|name| provider(name)).collect::<Option<_>>()?;
        Some(Self {
            name: name.to_owned(),
            callbacks: providers
                .iter()
                .filter_map(|provider| provider.settings.redirect_url.as_ref())
                .chain(&settings.callback)
                .filter_map(|url| callback(url))
                .collect(),
            no_redirect: settings
                .no_redirect
                .iter()
                .map(|header| Some((header.clone(), header.expression().transpose().ok()?)))
                .collect::<Option<_>>()?,
            providers,
            rules: settings
                .rules
                .iter()
                .enumerate()
                .map(|(index, rule)| Rule::new(index, rule))
                .collect::<Option<_>>()?,
            choose: settings.choose.iter().map(choice).collect::<Option<_>>()?,
            anonymous: settings
                .anonymous
                .iter()
                .map(|open| Some((pattern(&open.path)?, methods(&open.methods))))
                .collect::<Option<_>>()?,
            logout: match &settings.logout_path {
                Some(path) => Some(pattern(path)?),
                None => None,
            },
            settings: settings.clone(),
        })
    }

    /// A provider of this profile.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.iter().find(|provider| *provider.name == *name)
    }

    /// The provider of this profile that something was given by. One that only has its name now is another one.
    pub fn provider_of(&self, name: &str, origin: &str) -> Option<&Arc<Provider>> {
        self.provider(name).filter(|provider| *provider.origin == *origin)
    }

    /// Whether a request needs no login.
    pub fn is_anonymous(&self, method: &str, path: Path<'_>) -> bool {
        let open = |(pattern, methods): &(Pattern, Vec<String>)| {
            methods.iter().any(|one| one == method) && pattern.matches(path)
        };
        self.anonymous.iter().any(open)
    }

    /// Whether a request wants to log out.
    pub fn is_logout(&self, path: Path<'_>) -> bool {
        self.logout.as_ref().is_some_and(|pattern| pattern.matches(path))
    }

    /// Whether a provider sends people back to where this request goes.
    pub fn is_callback(&self, ask: &Ask) -> bool {
        let path = ask.path().sure();
        let at_any_host = self.settings.callback.as_deref().filter(|callback| callback.starts_with('/'));
        self.callbacks.iter().any(|(host, target)| *host == ask.host && path == Some(target))
            || at_any_host.is_some() && path == at_any_host
    }

    /// Where the provider sends people back to, when the profile says that.
    pub fn callback(&self, scheme: &str, host: &str) -> Option<String> {
        let callback = self.settings.callback.as_ref()?;
        Some(if callback.starts_with('/') { format!("{scheme}://{host}{callback}") } else { callback.clone() })
    }

    /// Whether a request is not to be sent to log in.
    pub fn is_told_only(&self, ask: &Ask) -> bool {
        self.no_redirect.iter().any(|(header, expression)| {
            ask.header(&header.name).is_some_and(|value| {
                header.exact.as_deref().is_some_and(|exact| value == exact)
                    || header.prefix.as_deref().is_some_and(|prefix| value.starts_with(prefix))
                    || header.suffix.as_deref().is_some_and(|suffix| value.ends_with(suffix))
                    || expression.as_ref().is_some_and(|expression| expression.is_match(value))
            })
        })
    }

    /// The provider that a request is for; nothing when the person has to choose.
    pub fn choose(&self, ask: &Ask) -> Option<&Arc<Provider>> {
        if let [only] = self.providers.as_slice() {
            return Some(only);
        }
        let host = ask.host_name();
        let fits = |choice: &settings::Choice, paths: &[Pattern]| {
            (choice.hosts.is_empty() || choice.hosts.iter().any(|pattern| is_host(pattern, host)))
                && (paths.is_empty() || paths.iter().any(|pattern| pattern.matches(ask.path())))
                && choice.headers.iter().all(|(name, value)| ask.header(name) == Some(value))
        };
        let chosen = self.choose.iter().find(|(choice, paths, _)| fits(choice, paths)).map(|(_, _, provider)| provider);
        chosen.or_else(|| self.hinted(ask))
    }

    /// The provider of an e-mail domain that the request hints at (`?domain_hint=`, `?login_hint=`).
    fn hinted(&self, ask: &Ask) -> Option<&Arc<Provider>> {
        let hint = ask.parameter("domain_hint").or_else(|| {
            let address = ask.parameter("login_hint")?;
            crate::rules::email_domain(&address)
        })?;
        self.providers.iter().find(|provider| provider.settings.domains.contains(&hint))
    }
}

/// Host and path of a redirect URL.
fn callback(url: &str) -> Option<(String, String)> {
    let url = url::Url::parse(url).ok()?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some((format!("{}{port}", url.host_str()?), url.path().to_owned()))
}

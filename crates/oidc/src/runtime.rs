//! The configuration, ready for use: providers, profiles and pages. A new configuration is a new runtime; providers that stay as
//! they are keep what they know.

use std::collections::BTreeMap;
use std::sync::Arc;

use kit::Kit;
use kit::tasks::BoxError;

use crate::ask::Ask;
use crate::metrics::Metrics;
use crate::pages::Pages;
use crate::profile::Profile;
use crate::provider::Provider;
use crate::return_url::is_host;
use crate::settings::Settings;

/// The configuration, ready for use.
#[derive(Debug)]
pub struct Runtime {
    /// As it is written.
    pub settings: Arc<Settings>,
    /// The providers by name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// What people see.
    pub(crate) pages: Pages,
    profiles: BTreeMap<String, Arc<Profile>>,
}

/// Our own pages below the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// The provider sends people back here.
    Callback,
    /// Begins a login.
    Login,
    /// Ends a session.
    Logout,
    /// Says that it has ended.
    SignedOut,
    /// Begins a login for another host.
    Start,
    /// Takes a session over from the login host.
    Handover,
    /// The provider ends sessions.
    BackChannel,
    /// The provider has a browser end its session.
    FrontChannel,
    /// Nothing of ours.
    Unknown,
}

const OWN: &[(&str, Own)] = &[
    ("/callback", Own::Callback),
    ("/login", Own::Login),
    ("/logout", Own::Logout),
    ("/signed-out", Own::SignedOut),
    ("/start", Own::Start),
    ("/handover", Own::Handover),
    ("/backchannel", Own::BackChannel),
    ("/frontchannel", Own::FrontChannel),
];

impl Runtime {
    /// A runtime of these settings, and the providers that have to be started. What a runtime before knows of providers that are
    /// the same is kept.
    pub fn new(
        settings: &Arc<Settings>,
        before: Option<&Self>,
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, Vec<Arc<Provider>>), BoxError> {
        let (mut providers, mut fresh) = (BTreeMap::new(), Vec::new());
        for (name, wanted) in &settings.providers {
            let known = before.and_then(|before| before.providers.get(name)).filter(|known| known.settings == *wanted);
            let provider = match known {
                Some(known) => Arc::clone(known),
                None => {
                    let provider = Provider::new(name, wanted.clone(), metrics)?;
                    if let Some(before) = before.and_then(|before| before.providers.get(name)) {
                        provider.adopt(before);
                    }
                    let provider = Arc::new(provider);
                    fresh.push(Arc::clone(&provider));
                    provider
                }
            };
            providers.insert(name.clone(), provider);
        }
        let mut profiles = BTreeMap::new();
        for (name, wanted) in &settings.profiles {
            let profile = Profile::new(name, wanted, |name| providers.get(name).cloned());
            let profile = profile.ok_or_else(|| format!("the profile {name} cannot be used"))?;
            profiles.insert(name.clone(), Arc::new(profile));
        }
        let pages = Pages::load(&settings.pages)?;
        Ok((Self { settings: Arc::clone(settings), providers, pages, profiles }, fresh))
    }

    /// Starts providers.
    pub fn start(kit: &Kit, fresh: &[Arc<Provider>]) {
        fresh.iter().for_each(|provider| provider.start(kit));
    }

    /// The profile that a route names, or the default one.
    pub fn profile(&self, ask: &Ask) -> Option<&Arc<Profile>> {
        let name = ask.context.get("profile").or(self.settings.default_profile.as_ref())?;
        self.profiles.get(name)
    }

    /// A profile by its name.
    pub fn profile_named(&self, name: &str) -> Option<&Arc<Profile>> {
        self.profiles.get(name)
    }

    /// Whether logins may come back to another host than where they began: a domain has them then.
    pub fn has_shared_logins(&self) -> bool {
        self.profiles.values().any(|profile| profile.settings.cookies.domain.is_some())
    }

    /// The providers of an issuer: one may be configured with several clients.
    pub fn providers_of(&self, issuer: &str) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values().filter(move |provider| provider.settings.issuer == issuer)
    }

    /// Whether a host may be handed a session. Only the configuration says so: where Envoy takes requests of any host, anybody
    /// may come with the name of a host of their own.
    pub fn may_take_over(&self, host: &str) -> bool {
        self.settings.return_hosts.iter().any(|pattern| is_host(pattern, host))
    }

    /// The page of ours that a request is for.
    pub fn own(&self, ask: &Ask) -> Option<Own> {
        let rest = ask.path().sure()?.strip_prefix(self.settings.path_prefix.as_str())?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        Some(OWN.iter().find(|(path, _)| *path == rest).map_or(Own::Unknown, |(_, own)| *own))
    }

    /// The URL of one of our pages at a host.
    pub fn url(&self, scheme: &str, host: &str, page: &str) -> String {
        format!("{scheme}://{host}{}{page}", self.settings.path_prefix)
    }
}

//! Cookies: which are ours, reading them, making them, and taking them out of what goes to the server behind.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::settings::{Cookies, SameSite};

/// How much of a value goes into one cookie: browsers keep 4096 bytes with name and attributes.
const CHUNK: usize = 3600;
/// The most cookies of one value: more would not fit into the headers that servers take.
const MOST_CHUNKS: usize = 8;
/// Logins that one browser may have begun at a time.
pub const SLOTS: usize = 6;
/// The most values of one cookie that are tried: whoever sets more costs us no more.
const MOST_VALUES: usize = 8;
/// How long a browser remembers that it has just logged in.
const FINISHED_LASTS: u64 = 60;

/// Cookies, as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Settings {
    /// What the names begin with, after the prefix that binds them to host and TLS. Default `portcullis`.
    pub name: String,
    /// A domain whose hosts share the session. Without it a cookie is bound to one host, which no other host can overwrite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// For development only: cookies without TLS, and `http` in our own URLs. Default false.
    pub insecure: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { name: "portcullis".to_owned(), domain: None, insecure: false }
    }
}

/// The names of our cookies and how they are set.
#[derive(Debug, Clone)]
pub struct Jar {
    session: String,
    login: String,
    /// Of a login whose callback is at another host of the domain.
    away: String,
    /// Says how many logins were finished without a request that was let pass since.
    finished: String,
    domain: Option<String>,
    insecure: bool,
    same_site: SameSite,
    /// What all names begin with, after the prefix.
    family: String,
}

impl Jar {
    /// The cookies of these settings.
    pub fn new(settings: &Settings) -> Self {
        let prefix = match (settings.insecure, &settings.domain) {
            (true, _) => "",
            (false, Some(_)) => "__Secure-",
            (false, None) => "__Host-",
        };
        let login = if settings.insecure { "" } else { "__Host-" };
        Self {
            session: format!("{prefix}{}", settings.name),
            login: format!("{login}{}-login-", settings.name),
            away: format!("{}{}-away-", if settings.insecure { "" } else { "__Secure-" }, settings.name),
            finished: format!("{login}{}-finished", settings.name),
            domain: settings.domain.clone(),
            insecure: settings.insecure,
            same_site: SameSite::default(),
            family: settings.name.clone(),
        }
    }

    /// The cookies of a profile: these, but for what is different of its session's. A login that has begun is kept in the same
    /// cookies for all profiles.
    pub fn of(&self, cookies: &Cookies) -> Cow<'_, Self> {
        if *cookies == Cookies::default() {
            return Cow::Borrowed(self);
        }
        let suffix = cookies.suffix.as_ref().map(|suffix| format!("_{suffix}")).unwrap_or_default();
        let settings = Settings {
            name: format!("{}{suffix}", self.family),
            domain: cookies.domain.clone().or_else(|| self.domain.clone()),
            insecure: self.insecure,
        };
        let own = Self::new(&settings);
        let family = self.family.clone();
        Cow::Owned(Self {
            login: self.login.clone(),
            away: self.away.clone(),
            finished: self.finished.clone(),
            same_site: cookies.same_site,
            family,
            ..own
        })
    }

    /// The name of the session's cookie.
    pub fn session_name(&self) -> &str {
        &self.session
    }

    /// The scheme of our own URLs.
    pub fn scheme(&self) -> &'static str {
        if self.insecure { "http" } else { "https" }
    }

    /// The session's values, put together from their parts. There are several when somebody else has set a cookie of our name,
    /// from a subdomain or by a script: whichever is none of ours does not open.
    pub fn sessions(&self, header: &str) -> SmallVec<[String; 1]> {
        let mut wholes = SmallVec::new();
        for first in self.values(header, &self.session) {
            // A value in parts begins with their number and a tilde.
            let Some((count, start)) = first.split_once('~') else {
                wholes.push(first.to_owned());
                continue;
            };
            if let Some(count) = count.parse().ok().filter(|count| (2..=MOST_CHUNKS).contains(count)) {
                wholes.extend(self.put_together(header, start, count));
            }
        }
        wholes.truncate(MOST_VALUES);
        wholes
    }

    fn put_together(&self, header: &str, start: &str, count: usize) -> Vec<String> {
        let mut wholes = vec![start.to_owned()];
        for part in 1..count {
            let parts = self.values(header, &format!("{}-{part}", self.session));
            let longer = wholes.iter().flat_map(|whole| parts.iter().map(move |part| format!("{whole}{part}")));
            wholes = longer.take(MOST_VALUES).collect();
        }
        wholes
    }

    /// Cookies that set the session's value for so many seconds; nothing when it is too large. Parts of an older value that
    /// are not needed any more are removed.
    pub fn set_session(&self, value: &str, seconds: u64, header: &str) -> Option<Vec<String>> {
        let mut cookies = Vec::new();
        if value.len() <= CHUNK {
            cookies.push(self.set(&self.session, value, seconds, self.domain.as_deref()));
        } else {
            let parts: Vec<&str> =
                value.as_bytes().chunks(CHUNK).map(|part| std::str::from_utf8(part).unwrap_or_default()).collect();
            if parts.len() > MOST_CHUNKS || !value.is_ascii() {
                return None;
            }
            for (index, part) in parts.iter().enumerate() {
                let cookie = match index {
                    0 => (self.session.clone(), format!("{}~{part}", parts.len())),
                    index => (format!("{}-{index}", self.session), (*part).to_owned()),
                };
                cookies.push(self.set(&cookie.0, &cookie.1, seconds, self.domain.as_deref()));
            }
        }
        let needed = cookies.len();
        cookies.extend(self.parts(header).filter(|part| *part >= needed).map(|part| self.clear_part(part)));
        Some(cookies)
    }

    /// Cookies that remove the session's.
    pub fn clear_session(&self, header: &str) -> Vec<String> {
        let first = std::iter::once(self.set(&self.session, "", 0, self.domain.as_deref()));
        first.chain(self.parts(header).map(|part| self.clear_part(part))).collect()
    }

    fn parts<'a>(&'a self, header: &'a str) -> impl Iterator<Item = usize> + 'a {
        (1..MOST_CHUNKS).filter(|part| !self.values(header, &format!("{}-{part}", self.session)).is_empty())
    }

    fn clear_part(&self, part: usize) -> String {
        self.set(&format!("{}-{part}", self.session), "", 0, self.domain.as_deref())
    }

    /// The name of a login's cookie: of one that is bound to a host, or to a domain. What is sealed for one does not open as the
    /// other, which any host of the domain may set.
    pub fn login_name(&self, slot: usize, away: bool) -> String {
        format!("{}{slot}", if away { &self.away } else { &self.login })
    }

    /// The values of a login's cookie: one, but where somebody else has set one.
    pub fn logins<'a>(&'a self, header: &'a str, slot: usize, away: bool) -> SmallVec<[&'a str; 2]> {
        self.values(header, &self.login_name(slot, away))
    }

    /// A cookie that keeps a login that has begun; it is bound to this host, but for one whose callback is at another host of
    /// this domain.
    pub fn set_login(&self, slot: usize, value: &str, seconds: u64, domain: Option<&str>) -> String {
        self.set(&self.login_name(slot, domain.is_some()), value, seconds, domain)
    }

    /// A slot for another login: a free one, by chance so that tabs that are opened at once do not meet, else any.
    pub fn free_slot(&self, header: &str, chance: usize) -> usize {
        let is_free = |slot: &usize| [false, true].iter().all(|away| self.logins(header, *slot, *away).is_empty());
        let free: Vec<usize> = (0..SLOTS).filter(is_free).collect();
        if free.is_empty() { chance % SLOTS } else { free[chance % free.len()] }
    }

    /// How many logins this browser has just finished without being let pass since.
    pub fn finished(&self, header: &str) -> u8 {
        self.values(header, &self.finished).iter().filter_map(|count| count.parse().ok()).max().unwrap_or(0)
    }

    /// A cookie that says that a login more is finished.
    pub fn set_finished(&self, header: &str) -> String {
        let count = self.finished(header).saturating_add(1);
        self.set(&self.finished, &count.to_string(), FINISHED_LASTS, None)
    }

    /// A cookie that forgets that, where it is needed.
    pub fn clear_finished(&self, header: &str) -> Option<String> {
        header.contains(&self.finished).then(|| self.set(&self.finished, "", 0, None))
    }

    fn set(&self, name: &str, value: &str, seconds: u64, domain: Option<&str>) -> String {
        let domain = domain.map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let secure = if self.insecure { "" } else { "; Secure" };
        let same_site = match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::None => "None",
        };
        format!("{name}={value}; Path=/; Max-Age={seconds}{domain}; HttpOnly; SameSite={same_site}{secure}")
    }

    /// Whether a cookie of this name is one of ours, of whatever profile: what another host's session is called is nobody
    /// else's business either.
    pub fn is_ours(&self, name: &str) -> bool {
        if name.starts_with(&self.login) || name.starts_with(&self.away) || name == self.finished {
            return true;
        }
        let prefixes: &[&str] = if self.insecure { &[""] } else { &["__Host-", "__Secure-"] };
        prefixes
            .iter()
            .filter_map(|prefix| name.strip_prefix(prefix)?.strip_prefix(self.family.as_str()))
            .any(is_session)
    }

    /// The header without our cookies, for the server behind; nothing when it stays as it is.
    pub fn without_ours(&self, header: &str) -> Option<String> {
        let is_ours = |pair: &str| self.is_ours(pair.split_once('=').map_or(pair, |(name, _)| name).trim());
        if !self.pairs(header).any(is_ours) {
            return None;
        }
        let others = self.pairs(header).map(str::trim).filter(|pair| !pair.is_empty() && !is_ours(pair));
        Some(others.collect::<Vec<_>>().join("; "))
    }

    /// What the cookies of a request say under one name, the last first: browsers put those for longer paths before ours, which
    /// are for all.
    fn values<'a>(&'a self, header: &'a str, wanted: &str) -> SmallVec<[&'a str; 2]> {
        let mut values = SmallVec::new();
        for (name, value) in self.pairs(header).filter_map(|pair| pair.split_once('=')) {
            let value = value.trim();
            if name.trim() != wanted || values.contains(&value) {
                continue;
            }
            if values.len() == MOST_VALUES {
                values.remove(0);
            }
            values.push(value);
        }
        values.reverse();
        values
    }

    /// The cookies of a request. Envoy joins several headers by commas, which others' values may have too: only one before a name
    /// of ours, or in a value of ours, is taken for such.
    fn pairs<'a>(&'a self, header: &'a str) -> impl Iterator<Item = &'a str> {
        // No name of ours has any of these: looking for the end of one costs no more than what is left out with it.
        let ours = |rest: &str| rest.split(['=', ';', ',']).next().is_some_and(|name| self.is_ours(name.trim()));
        let mut rest = Some(header);
        std::iter::from_fn(move || {
            let text = rest?;
            let is_ours = ours(text);
            let is_end = |(at, mark): &(usize, &str)| *mark == ";" || is_ours || ours(&text[at + 1..]);
            let end = text.match_indices([';', ',']).find(is_end).map(|(at, _)| at);
            rest = end.map(|at| &text[at + 1..]);
            Some(&text[..end.unwrap_or(text.len())])
        })
    }
}

/// Whether this ends the name of a session's cookie: the suffix of a profile, and the number of a part.
fn is_session(rest: &str) -> bool {
    let is_hex = |suffix: &str| suffix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let own = rest.strip_prefix('_').and_then(|rest| rest.split_at_checked(8)).filter(|(suffix, _)| is_hex(suffix));
    let part = own.map_or(rest, |(_, part)| part);
    part.is_empty() || part.strip_prefix('-').is_some_and(|part| part.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests;

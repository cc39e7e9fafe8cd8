//! Cookies: which are ours, reading them, making them, and taking them out of what goes to the server behind.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::settings::{Cookies, SameSite};

/// How much of a value goes into one cookie: browsers keep 4096 bytes with name and attributes.
const CHUNK: usize = 3600;
/// The most cookies of one value: more would not fit into the headers that servers take.
const MOST_CHUNKS: usize = 8;
/// Logins that one browser may have begun at a time.
pub const SLOTS: usize = 6;

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
    domain: Option<String>,
    insecure: bool,
    same_site: SameSite,
    /// What all names begin with, after the prefix.
    family: String,
}

/// What the cookies of a request say under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    None,
    /// This.
    One(String),
    /// Several things: somebody else has set a cookie of our name (from a subdomain, or by a script).
    Contested,
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

    /// The session's value, put together from its parts.
    pub fn session(&self, header: &str) -> Value {
        let first = self.find(header, &self.session);
        let Value::One(mut value) = first else { return first };
        // A value in parts begins with their number and a tilde.
        let Some((count, start)) = value.split_once('~') else { return Value::One(value) };
        let (Ok(count), mut whole) = (count.parse::<usize>(), start.to_owned()) else { return Value::None };
        if !(2..=MOST_CHUNKS).contains(&count) {
            return Value::None;
        }
        for part in 1..count {
            match self.find(header, &format!("{}-{part}", self.session)) {
                Value::One(more) => whole.push_str(&more),
                other => return other,
            }
        }
        value = whole;
        Value::One(value)
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
        (1..MOST_CHUNKS).filter(|part| self.find(header, &format!("{}-{part}", self.session)) != Value::None)
    }

    fn clear_part(&self, part: usize) -> String {
        self.set(&format!("{}-{part}", self.session), "", 0, self.domain.as_deref())
    }

    /// The name of a login's cookie.
    pub fn login_name(&self, slot: usize) -> String {
        format!("{}{slot}", self.login)
    }

    /// The value of a login's cookie.
    pub fn login(&self, header: &str, slot: usize) -> Value {
        match self.find(header, &self.login_name(slot)) {
            Value::None => self.find(header, &format!("{}{slot}", self.away)),
            found => found,
        }
    }

    /// A cookie that keeps a login that has begun; it is bound to this host, but for one whose callback is at another host of
    /// this domain.
    pub fn set_login(&self, slot: usize, value: &str, seconds: u64, domain: Option<&str>) -> String {
        match domain {
            None => self.set(&self.login_name(slot), value, seconds, None),
            domain => self.set(&format!("{}{slot}", self.away), value, seconds, domain),
        }
    }

    /// A slot for another login: a free one, by chance so that tabs that are opened at once do not meet, else any.
    pub fn free_slot(&self, header: &str, chance: usize) -> usize {
        let free: Vec<usize> = (0..SLOTS).filter(|slot| self.login(header, *slot) == Value::None).collect();
        if free.is_empty() { chance % SLOTS } else { free[chance % free.len()] }
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
        if name.starts_with(&self.login) || name.starts_with(&self.away) {
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

    fn find(&self, header: &str, wanted: &str) -> Value {
        let value = |pair: &'_ str| {
            let (name, value) = pair.split_once('=')?;
            (name.trim() == wanted).then(|| value.trim().to_owned())
        };
        let mut values = self.pairs(header).filter_map(value);
        match values.next() {
            None => Value::None,
            Some(first) if values.all(|other| other == first) => Value::One(first),
            Some(_) => Value::Contested,
        }
    }

    /// The cookies of a request. Envoy joins several headers by commas, which values may have too: only one before a name of
    /// ours is taken for such.
    fn pairs<'a>(&'a self, header: &'a str) -> impl Iterator<Item = &'a str> {
        let ours = |rest: &str| rest.split('=').next().is_some_and(|name| self.is_ours(name.trim()));
        let mut rest = Some(header);
        std::iter::from_fn(move || {
            let text = rest?;
            let is_end = |(at, mark): &(usize, &str)| *mark == ";" || ours(&text[at + 1..]);
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn jar() -> Jar {
        Jar::new(&Settings::default())
    }

    /// The header that a browser would send after these cookies were set.
    fn sent(cookies: &[String]) -> String {
        let kept = cookies.iter().filter(|cookie| !cookie.contains("Max-Age=0;"));
        kept.map(|cookie| cookie.split(';').next().unwrap()).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn cookies_are_bound_to_host_and_tls() {
        let cookie = &jar().set_session("x", 60, "").unwrap()[0];
        assert_eq!(cookie, "__Host-portcullis=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let shared = Jar::new(&Settings { domain: Some("example.com".into()), ..Settings::default() });
        let cookie = &shared.set_session("x", 60, "").unwrap()[0];
        assert!(cookie.starts_with("__Secure-portcullis=x;") && cookie.contains("; Domain=example.com;"), "{cookie}");
        let login = shared.set_login(1, "x", 60, None);
        assert!(login.starts_with("__Host-portcullis-login-1=x; Path=/; Max-Age=60; HttpOnly"), "{login}");
        let away = shared.set_login(1, "x", 60, Some("example.com"));
        assert!(away.starts_with("__Secure-portcullis-away-1=x; Path=/; Max-Age=60; Domain=example.com;"), "{away}");
        assert_eq!(shared.login("__Secure-portcullis-away-1=x", 1), Value::One("x".into()));
        assert!(jar().is_ours("__Secure-portcullis-away-1"));
    }

    #[test]
    fn a_tossed_cookie_makes_the_name_contested() {
        assert_eq!(jar().session("a=1; __Host-portcullis=x; b=2"), Value::One("x".into()));
        assert_eq!(jar().session("__Host-portcullis=x; __Host-portcullis=y"), Value::Contested);
        assert_eq!(jar().session("__Host-portcullis=x;__Host-portcullis=x"), Value::One("x".into()));
        assert_eq!(jar().session("__host-portcullis=x"), Value::None);
    }

    #[test]
    fn headers_that_were_joined_by_a_comma_are_several() {
        let header = "a=1,2,__Host-portcullis=x, __Host-portcullis-1=y; b=3";
        assert_eq!(jar().session(header), Value::One("x".into()));
        assert_eq!(jar().session("__Host-portcullis=x,__Host-portcullis=y"), Value::Contested);
        assert_eq!(jar().without_ours(header).as_deref(), Some("a=1,2; b=3"));
    }

    #[test]
    fn the_server_behind_sees_no_cookie_of_ours() {
        let header = "a=1; __Host-portcullis=x; __Host-portcullis-1=y; __Host-portcullis-login-3=z; portcullis=mine; b";
        assert_eq!(jar().without_ours(header).as_deref(), Some("a=1; portcullis=mine; b"));
        assert_eq!(jar().without_ours("__Host-portcullis=x").as_deref(), Some(""));
        assert_eq!(jar().without_ours("a=1; b=2"), None);
        assert!(!jar().is_ours("__Host-portcullis-other"));
        for ours in ["__Secure-portcullis", "__Host-portcullis_1a2b3c4d", "__Secure-portcullis_1a2b3c4d-2"] {
            assert!(jar().is_ours(ours), "{ours}");
        }
        for other in ["__Host-portcullis_1a2b3c4x", "__Host-portcullis_1a2b3c4d5", "portcullis_1a2b3c4d", "__Host-x"] {
            assert!(!jar().is_ours(other), "{other}");
        }
    }

    #[test]
    fn a_profile_has_cookies_of_its_own() {
        let jar = jar();
        let cookies =
            Cookies { domain: Some("example.com".into()), suffix: Some("1a2b3c4d".into()), same_site: SameSite::None };
        let own = jar.of(&cookies);
        let cookie = &own.set_session("x", 60, "").unwrap()[0];
        assert_eq!(
            cookie,
            "__Secure-portcullis_1a2b3c4d=x; Path=/; Max-Age=60; Domain=example.com; HttpOnly; SameSite=None; Secure"
        );
        assert_eq!(own.login_name(1), jar.login_name(1));
        assert!(own.is_ours("__Host-portcullis") && jar.is_ours(own.session_name()));
        assert!(matches!(jar.of(&Cookies::default()), Cow::Borrowed(_)));
    }

    #[test]
    fn logins_take_free_slots_and_at_most_six() {
        let jar = jar();
        let mut header = String::new();
        for round in 0..SLOTS {
            let slot = jar.free_slot(&header, round * 7);
            assert_eq!(jar.login(&header, slot), Value::None);
            header = format!("{header}; {}=x", jar.login_name(slot));
        }
        assert!(jar.free_slot(&header, 1234) < SLOTS);
    }

    proptest! {
        #[test]
        fn values_of_any_size_come_back_or_are_refused(length in 1_usize..40_000, old in 0_usize..9) {
            let value = "a".repeat(length);
            let before: Vec<String> = (0..old).map(|part| match part {
                0 => format!("__Host-portcullis={old}~x"),
                part => format!("__Host-portcullis-{part}=x"),
            }).collect();
            match jar().set_session(&value, 60, &before.join("; ")) {
                Some(cookies) => {
                    prop_assert!(cookies.iter().all(|cookie| cookie.len() < 4096));
                    prop_assert_eq!(jar().session(&sent(&cookies)), Value::One(value));
                    let removed = cookies.iter().filter(|cookie| cookie.contains("Max-Age=0;")).count();
                    let written = cookies.len() - removed;
                    prop_assert_eq!(removed, old.min(MOST_CHUNKS).saturating_sub(written));
                }
                None => prop_assert!(length > CHUNK * MOST_CHUNKS),
            }
        }

        #[test]
        fn nothing_makes_reading_panic(header in ".*") {
            jar().session(&header);
            jar().without_ours(&header);
            jar().clear_session(&header);
        }
    }
}

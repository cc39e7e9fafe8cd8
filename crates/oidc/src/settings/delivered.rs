//! Profiles that a control plane sends: one resource has a profile and its providers, in the words of the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Profile, Provider, Settings};

/// A profile of a control plane, with its providers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(crate) struct Delivered {
    /// The providers by name; one of several profiles says the same in each.
    providers: BTreeMap<String, Provider>,
    /// The profile.
    profile: Profile,
}

impl Settings {
    /// These settings and what was delivered, by the name of the profile. Each that cannot be used is an error that begins
    /// with its name.
    pub(crate) fn with_delivered(&self, delivered: &BTreeMap<String, Delivered>) -> Result<Self, Vec<String>> {
        let (mut all, mut wrong) = (self.clone(), Vec::new());
        for (name, one) in delivered {
            if let Err(what) = all.add(name, one) {
                wrong.push(format!("{name}: {what}"));
            }
        }
        if wrong.is_empty() { Ok(all) } else { Err(wrong) }
    }

    fn add(&mut self, name: &str, delivered: &Delivered) -> Result<(), String> {
        if self.profiles.contains_key(name) {
            return Err("the service's own file has a profile of this name".to_owned());
        }
        for (name, provider) in &delivered.providers {
            // Whoever tries things out without TLS may do so at the provider, too.
            let provider = Provider { insecure: self.cookies.insecure, ..provider.clone() };
            if let Some((field, what)) = provider.problem() {
                return Err(format!("provider.{field}: {what}"));
            }
            match self.providers.get(name) {
                Some(known) if *known != provider => {
                    return Err(format!("the provider {name} is another one elsewhere"));
                }
                Some(_) => {}
                None => drop(self.providers.insert(name.clone(), provider)),
            }
        }
        if let Some((field, what)) = delivered.profile.problem(self) {
            return Err(format!("{field}: {what}"));
        }
        self.profiles.insert(name.to_owned(), delivered.profile.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivered(issuer: &str, more: &str) -> Delivered {
        let text = format!(
            "providers: {{ns/secret: {{issuer: '{issuer}', clientId: a, clientSecret: s}}}}\n\
             profile: {{providers: [ns/secret], verifiedEmail: true{more}}}"
        );
        kit::config::parse("delivered", &text).unwrap()
    }

    fn with(delivered: &[(&str, Delivered)]) -> Result<Settings, Vec<String>> {
        let file: Settings = kit::config::parse("oidc.yaml", "providers: {}\nprofiles: {web: {}}\nkeys: []").unwrap();
        file.with_delivered(&delivered.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect())
    }

    #[test]
    fn two_profiles_may_share_a_provider() {
        let (one, other) = (delivered("https://id.example", ""), delivered("https://id.example", ", callback: /back"));
        let all = with(&[("ns/a", one), ("ns/b", other)]).unwrap();
        assert_eq!((all.profiles.len(), all.providers.len()), (3, 1));
    }

    #[test]
    fn each_that_is_wrong_is_named() {
        let right = delivered("https://id.example", "");
        let wrong = with(&[
            ("ns/a", right.clone()),
            ("ns/b", delivered("https://other.example", "")),
            ("ns/c", delivered("http://id.example", "")),
            ("ns/d", delivered("https://id.example", ", callback: /a/../b")),
            ("ns/e", delivered("https://id.example", ", noRedirect: [{name: x-a, regex: '('}]")),
            ("ns/f", delivered("https://id.example", ", cookies: {suffix: xyz}")),
            ("web", right),
        ]);
        let wrong = wrong.unwrap_err();
        for (begins, what) in [
            ("ns/b: ", "another one elsewhere"),
            ("ns/c: provider.issuer: ", "https"),
            ("ns/d: callback: ", "neither a path"),
            ("ns/e: noRedirect[0]: ", "regex"),
            ("ns/f: cookies.suffix: ", "hexadecimal"),
            ("web: ", "own file"),
        ] {
            assert!(wrong.iter().any(|one| one.starts_with(begins) && one.contains(what)), "{begins} {wrong:?}");
        }
        assert_eq!(wrong.len(), 6);
    }
}

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
    /// These settings and what was delivered, by the name of the profile; and why each that cannot be used is left out, in a
    /// line that begins with its name.
    pub(crate) fn with_delivered(&self, delivered: &BTreeMap<String, Delivered>) -> (Self, Vec<String>) {
        let (mut all, mut wrong) = (self.clone(), Vec::new());
        for (name, one) in delivered {
            if let Err(what) = all.add(name, one) {
                wrong.push(format!("{name}: {what}"));
            }
        }
        (all, wrong)
    }

    fn add(&mut self, name: &str, delivered: &Delivered) -> Result<(), String> {
        if self.profiles.contains_key(name) {
            return Err("the service's own file has a profile of this name".to_owned());
        }
        let mut added = Vec::new();
        let checked = self.add_providers(delivered, &mut added).and_then(|()| match delivered.profile.problem(self) {
            Some((field, what)) => Err(format!("{field}: {what}")),
            None => Ok(()),
        });
        match checked {
            Ok(()) => drop(self.profiles.insert(name.to_owned(), delivered.profile.clone())),
            Err(_) => added.into_iter().for_each(|name| drop(self.providers.remove(name))),
        }
        checked
    }

    fn add_providers<'a>(&mut self, delivered: &'a Delivered, added: &mut Vec<&'a String>) -> Result<(), String> {
        for (name, provider) in &delivered.providers {
            let provider = Provider {
                // Whoever tries things out without TLS may do so at the provider, too.
                insecure: self.cookies.insecure,
                internal_hosts: self.policy_internal_hosts.clone(),
                of_policy: true,
                ..provider.clone()
            };
            if let Some((field, what)) = provider.problem().or_else(|| provider.forbidden()) {
                return Err(format!("provider.{field}: {what}"));
            }
            match self.providers.get(name) {
                Some(known) if *known != provider => {
                    return Err(format!("the provider {name} is another one elsewhere"));
                }
                Some(_) => {}
                None => {
                    self.providers.insert(name.clone(), provider);
                    added.push(name);
                }
            }
        }
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

    fn with(delivered: &[(&str, Delivered)]) -> (Settings, Vec<String>) {
        let file = "profiles: {web: {}}\npolicyInternalHosts: [id.corp, 10.9.0.0/16]";
        let file: Settings = kit::config::parse("oidc.yaml", file).unwrap();
        file.with_delivered(&delivered.iter().map(|(name, one)| ((*name).to_owned(), one.clone())).collect())
    }

    #[test]
    fn two_profiles_may_share_a_provider() {
        let (one, other) = (delivered("https://id.example", ""), delivered("https://id.example", ", callback: /back"));
        let (all, wrong) = with(&[("ns/a", one), ("ns/b", other)]);
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!((all.profiles.len(), all.providers.len()), (3, 1));
    }

    #[test]
    fn each_that_is_wrong_is_named() {
        let right = delivered("https://id.example", "");
        let (all, wrong) = with(&[
            ("ns/0", delivered("https://id.example", ", callback: x")),
            ("ns/a", right.clone()),
            ("ns/b", delivered("https://other.example", "")),
            ("ns/c", delivered("http://id.example", "")),
            ("ns/d", delivered("https://id.example", ", callback: /a/../b")),
            ("ns/e", delivered("https://id.example", ", noRedirect: [{name: x-a, regex: '('}]")),
            ("ns/f", delivered("https://id.example", ", cookies: {suffix: xyz}")),
            ("web", right),
        ]);
        for (begins, what) in [
            ("ns/0: callback: ", "neither a path"),
            ("ns/b: ", "another one elsewhere"),
            ("ns/c: provider.issuer: ", "https"),
            ("ns/d: callback: ", "neither a path"),
            ("ns/e: noRedirect[0]: ", "regex"),
            ("ns/f: cookies.suffix: ", "hexadecimal"),
            ("web: ", "own file"),
        ] {
            assert!(wrong.iter().any(|one| one.starts_with(begins) && one.contains(what)), "{begins} {wrong:?}");
        }
        assert_eq!(wrong.len(), 7);
        assert!(all.profiles.contains_key("ns/a") && all.profiles.len() == 2 && all.providers.len() == 1);
    }

    #[test]
    fn only_the_operator_lets_a_policy_name_what_is_inside() {
        let named = |issuer: &str, more: &str| {
            let own = if more.is_empty() { String::new() } else { format!(", {more}") };
            let text = format!(
                "providers: {{p: {{issuer: '{issuer}', clientId: a, internalHosts: [metadata.corp, 0.0.0.0/0]{own}}}}}\n\
                 profile: {{providers: [p]}}"
            );
            let delivered = kit::config::parse("delivered", &text).unwrap();
            with(&[("ns/a", delivered)]).1.pop()
        };
        for (issuer, more) in [
            ("https://id.corp", ""),
            ("https://10.9.1.1", ""),
            ("https://id.example", "endpoints: {token: 'https://10.9.1.1/token'}"),
        ] {
            assert_eq!(named(issuer, more), None, "{issuer} {more}");
        }
        let metadata = "endpoints: {token: 'https://169.254.169.254/token'}";
        for (issuer, more, field) in [
            ("https://127.0.0.1:6443", "", "provider.issuer: `127.0.0.1` is inside"),
            ("https://id.example", metadata, "provider.endpoints.token: `169.254.169.254` is inside"),
        ] {
            let wrong = named(issuer, more).unwrap();
            assert!(wrong.starts_with(&format!("ns/a: {field}")) && wrong.contains("policyInternalHosts"), "{wrong}");
        }
    }
}

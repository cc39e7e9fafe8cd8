//! Which profile a request is judged by.

use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::head::Head;

/// The namespace of dynamic metadata: `profile` in it names a profile, and verdicts are told in it.
pub(crate) const NAMESPACE: &str = "portcullis.waf";

/// A choice: the first that fits a request gives its profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Choice {
    /// The profile.
    pub profile: String,
    /// Namespaces of the route, any of which fits. All when empty, as with the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Gateways, as namespace/name; merged ones by the name of their class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Routes, as namespace/name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<String>,
    /// Hosts; `*.example.com` stands for all below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

impl Choice {
    fn fits(&self, facts: &Facts, head: &Head) -> bool {
        let any = |list: &[String], fits: &dyn Fn(&String) -> bool| list.is_empty() || list.iter().any(fits);
        let route = facts.route.as_ref();
        let host = String::from_utf8_lossy(head.host()).to_ascii_lowercase();
        let host = host.trim_end_matches('.');
        any(&self.namespaces, &|namespace| route.is_some_and(|route| route.namespace == *namespace))
            && any(&self.gateways, &|name| facts.gateway.as_ref() == Some(name))
            && any(&self.routes, &|name| {
                route.is_some_and(|route| format!("{}/{}", route.namespace, route.name) == *name)
            })
            && any(&self.hosts, &|wanted| match wanted.strip_prefix('*') {
                Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
                None => host == wanted,
            })
    }
}

/// The name of the profile: the first choice that fits, else what metadata says, else the usual one.
pub(crate) fn select<'a>(choices: &'a [Choice], usual: &'a str, facts: &'a Facts, head: &Head) -> &'a str {
    let chosen = choices.iter().find(|choice| choice.fits(facts, head)).map(|choice| choice.profile.as_str());
    chosen.or(facts.profile.as_deref()).unwrap_or(usual)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Route;

    #[test]
    fn the_first_choice_that_fits_counts() {
        let shop = Choice { profile: "shop".to_owned(), namespaces: vec!["shop".to_owned()], ..Choice::default() };
        let api = Choice { profile: "api".to_owned(), hosts: vec!["*.api.example".to_owned()], ..Choice::default() };
        let edge = Choice { profile: "edge".to_owned(), gateways: vec!["infra/edge".to_owned()], ..Choice::default() };
        let choices = [shop, api, edge];
        let head = |host: &str| Head::of([(":authority", host.as_bytes())]);
        let route = |namespace: &str| Some(Route { namespace: namespace.to_owned(), name: "r".to_owned() });
        let named = |namespace: &str, host: &str, metadata: Option<&str>| {
            let facts = Facts { route: route(namespace), profile: metadata.map(str::to_owned), ..Facts::default() };
            select(&choices, "baseline", &facts, &head(host)).to_owned()
        };
        assert_eq!(named("shop", "x.api.example", Some("detect")), "shop");
        assert_eq!(named("blog", "X.Api.example.:443", Some("detect")), "api");
        assert_eq!(named("blog", "api.example", Some("detect")), "detect");
        assert_eq!(named("blog", "api.example", None), "baseline");
        let through = |gateway: &str| {
            let facts = Facts { gateway: Some(gateway.to_owned()), ..Facts::default() };
            select(&choices, "baseline", &facts, &head("blog.example")).to_owned()
        };
        assert_eq!((through("infra/edge"), through("infra/other")), ("edge".to_owned(), "baseline".to_owned()));
    }
}

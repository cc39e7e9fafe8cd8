//! Which addresses a provider's endpoints may have: discovery names URLs, and must not send us to what is inside.

use std::sync::Arc;

use kit::http_client::Guard;
use url::Url;

use crate::inside::is_public;
use crate::settings;

/// The issuer's own host, unless a policy names it, and what is named as internal may have any address, others a public one only.
pub(super) fn guard(settings: &settings::Provider) -> Guard {
    let issuer = Url::parse(&settings.issuer).ok().filter(|_| !settings.of_policy);
    let issuer = issuer.and_then(|url| url.host_str().map(str::to_owned));
    let internal = settings.internal_hosts.clone();
    Arc::new(move |host, address| {
        issuer.as_deref() == Some(host)
            || is_public(address)
            || internal.iter().any(|inside| inside.allows(host, address))
    })
}

/// An endpoint that discovery names, when it may be asked.
pub(super) fn endpoint(text: &str, settings: &settings::Provider) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| format!("`{text}` is no URL"))?;
    let encrypted = url.scheme() == "https" || settings.insecure && url.scheme() == "http";
    if !encrypted || !url.username().is_empty() || url.password().is_some() {
        return Err(format!("`{text}` is no https URL"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn settings() -> settings::Provider {
        settings::Provider {
            issuer: "https://id.corp".into(),
            internal_hosts: vec!["token.corp".parse().unwrap(), "10.9.0.0/16".parse().unwrap()],
            ..settings::Provider::default()
        }
    }

    #[test]
    fn the_issuer_may_be_inside_and_what_it_names_may_not() {
        let settings = settings();
        let guard = guard(&settings);
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(guard("id.corp", inside) && guard("token.corp", inside));
        assert!(!guard("metadata.corp", inside) && guard("metadata.corp", "8.8.8.8".parse().unwrap()));
        assert!(guard("metadata.corp", "10.9.0.1".parse().unwrap()));
        for wrong in ["http://id.corp/token", "file:///etc/passwd", "gopher://id.corp", "https://a@id.corp", "/token"] {
            assert!(endpoint(wrong, &settings).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_issuer_of_a_policy_may_be_inside_only_where_the_operator_says_so() {
        let guard = guard(&settings::Provider { of_policy: true, ..settings() });
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(!guard("id.corp", inside) && guard("id.corp", "8.8.8.8".parse().unwrap()));
        assert!(guard("token.corp", inside) && guard("id.corp", "10.9.0.1".parse().unwrap()));
    }
}

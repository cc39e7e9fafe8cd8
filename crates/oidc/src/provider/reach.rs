//! Which addresses a provider's endpoints may have: discovery names URLs, and must not send us to what is inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use kit::http_client::Guard;
use url::Url;

use crate::settings;

/// The issuer's own host and the hosts that are named as internal may have any address, others a public one only.
pub(super) fn guard(settings: &settings::Provider) -> Guard {
    let issuer =
        Url::parse(&settings.issuer).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let internal = settings.internal_hosts.clone();
    Arc::new(move |host, address| host == issuer || internal.iter().any(|one| one == host) || is_public(address))
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

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let measuring = a == 198 && (b == 18 || b == 19);
    let protocol = a == 192 && b == 0 && c == 0;
    !(a == 0
        || a >= 224
        || shared
        || measuring
        || protocol
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    // 2000::/3 is what is routed in the world; of it 2002::/16 (6to4) and 2001::/32 (Teredo) carry others inside.
    let [first, second, ..] = address.segments();
    first & 0xe000 == 0x2000 && first != 0x2002 && !(first == 0x2001 && (second == 0 || second == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_is_not_public() {
        for inside in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "fec0::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn the_issuer_may_be_inside_and_what_it_names_may_not() {
        let settings = settings::Provider {
            issuer: "https://id.corp".into(),
            internal_hosts: vec!["token.corp".into()],
            ..settings::Provider::default()
        };
        let guard = guard(&settings);
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(guard("id.corp", inside) && guard("token.corp", inside));
        assert!(!guard("metadata.corp", inside) && guard("metadata.corp", "8.8.8.8".parse().unwrap()));
        for wrong in ["http://id.corp/token", "file:///etc/passwd", "gopher://id.corp", "https://a@id.corp", "/token"] {
            assert!(endpoint(wrong, &settings).is_err(), "{wrong}");
        }
    }
}

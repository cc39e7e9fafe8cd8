//! What is inside: hosts and networks that are not the world's. Whoever names URLs for us to ask must not send us there, unless
//! the operator says so.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::return_url::is_host;

/// A host that may be inside, or a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Inside {
    /// A host by name: `id.corp.example`, `*.corp.example`.
    Host(String),
    /// The addresses that begin so: `10.0.0.0/8`, `10.1.2.3`.
    Network(IpAddr, u8),
}

impl Inside {
    /// Whether a host may be at an address.
    pub fn allows(&self, host: &str, address: IpAddr) -> bool {
        match self {
            Self::Host(pattern) => is_host(pattern, host),
            Self::Network(network, length) => contains(*network, *length, address),
        }
    }
}

impl FromStr for Inside {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        if let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let length = length.map_or(Ok(most), str::parse).ok().filter(|length| *length <= most);
            return length.map(|length| Self::Network(address, length)).ok_or_else(|| wrong(text));
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._".contains(&byte);
        let is_name = !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_part);
        if is_name { Ok(Self::Host(text.to_owned())) } else { Err(wrong(text)) }
    }
}

fn wrong(text: &str) -> String {
    format!("`{text}` is neither a host (`id.corp.example`, `*.corp.example`) nor a network (`10.0.0.0/8`)")
}

impl TryFrom<String> for Inside {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Inside> for String {
    fn from(inside: Inside) -> Self {
        inside.to_string()
    }
}

impl fmt::Display for Inside {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(pattern) => formatter.write_str(pattern),
            Self::Network(address, length) => write!(formatter, "{address}/{length}"),
        }
    }
}

/// Whether the URL leads inside, as far as that can be told without asking anybody, and nothing of `allowed` is about it: then
/// its host. A name that is public may still have an address inside, which is found when it is asked.
pub fn leads_inside(url: &str, allowed: &[Inside]) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host()?;
    let address = match &host {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
    };
    let name = host.to_string();
    let refused = match address {
        Some(address) => !is_public(address) && !allowed.iter().any(|one| one.allows(&name, address)),
        None => is_name_inside(&name) && !allowed.iter().any(|one| may_be(one, &name)),
    };
    refused.then_some(name)
}

/// Of a network nobody knows which names are in it.
fn may_be(allowed: &Inside, name: &str) -> bool {
    match allowed {
        Inside::Host(pattern) => is_host(pattern, name),
        Inside::Network(..) => true,
    }
}

/// Names that no public DNS has: of one label, of this machine, of a cluster (RFC 6761, 6762, 8375, ICANN's `internal`).
fn is_name_inside(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let ends = ["localhost", "local", "internal", "home.arpa", "svc"];
    !name.contains('.') || ends.iter().any(|end| name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.')))
}

fn contains(network: IpAddr, length: u8, address: IpAddr) -> bool {
    let same = |one: &[u8], other: &[u8]| {
        let (whole, rest) = (usize::from(length / 8), length % 8);
        let last = |bytes: &[u8]| bytes.get(whole).map(|byte| byte >> (8 - rest));
        one[..whole] == other[..whole] && (rest == 0 || last(one) == last(other))
    };
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => same(&network.octets(), &address.octets()),
        (IpAddr::V6(network), IpAddr::V6(address)) => same(&network.octets(), &address.octets()),
        (IpAddr::V4(_), IpAddr::V6(address)) => {
            address.to_ipv4_mapped().is_some_and(|address| contains(network, length, IpAddr::V4(address)))
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// Whether an address is one of the world's.
pub fn is_public(address: IpAddr) -> bool {
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

    fn list(texts: &[&str]) -> Vec<Inside> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

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
    fn hosts_and_networks_are_read() {
        for right in ["id.corp.example", "*.corp.example", "localhost", "10.0.0.0/8", "fd00::/8", "0.0.0.0/0"] {
            assert_eq!(list(&[right])[0].to_string(), right);
        }
        assert_eq!(list(&["10.1.2.3", "[::1]"]), list(&["10.1.2.3/32", "::1/128"]));
        for bad in
            ["", "*", "*.", "10.0.0.0/33", "10.0.0.0/", "fd00::/129", "https://id", "id:80", "id/8", "Id.corp", "a b"]
        {
            let error = bad.parse::<Inside>().unwrap_err();
            assert!(error.contains("neither a host"), "{bad}: {error}");
        }
    }

    #[test]
    fn networks_have_their_addresses_and_no_others() {
        for (network, address, wanted) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/12", "10.15.255.255", true),
            ("10.0.0.0/12", "10.16.0.0", false),
            ("10.1.2.3/32", "10.1.2.3", true),
            ("10.1.2.3/32", "10.1.2.2", false),
            ("0.0.0.0/0", "169.254.169.254", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("fd00::/7", "fc00::1", true),
            ("fd00::/8", "fc00::1", false),
            ("::/0", "10.0.0.1", false),
        ] {
            assert_eq!(list(&[network])[0].allows("any", address.parse().unwrap()), wanted, "{network} {address}");
        }
    }

    #[test]
    fn what_leads_inside_is_seen_before_it_is_asked() {
        let inside = [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://[::1]:8443/x",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://kubernetes/",
            "https://kubernetes.default.svc/",
            "https://kubernetes.default.svc.cluster.local/",
            "https://metadata.google.internal/",
        ];
        for url in inside {
            assert!(leads_inside(url, &[]).is_some(), "{url}");
        }
        for url in ["https://id.example.com/", "https://8.8.8.8/", "https://internal.example/"] {
            assert_eq!(leads_inside(url, &[]), None, "{url}");
        }
        assert_eq!(leads_inside("https://127.0.0.1/", &list(&["127.0.0.0/8"])), None);
        assert_eq!(leads_inside("https://id.auth.svc/", &list(&["*.auth.svc"])), None);
        assert!(leads_inside("https://id.other.svc/", &list(&["*.auth.svc"])).is_some());
        assert_eq!(leads_inside("https://id.other.svc/", &list(&["10.96.0.0/12"])), None, "its address decides");
        assert!(leads_inside("https://127.0.0.1/", &list(&["10.96.0.0/12", "*.auth.svc"])).is_some());
    }
}

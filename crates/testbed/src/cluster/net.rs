//! The addresses of a cluster: an IPv4 /16 and a unique local IPv6 /48 of its own, both told by one number.
//!
//! | | IPv4 | IPv6 |
//! |---|---|---|
//! | this machine | `10.N.0.1` | `fd50:6f72:N::1` |
//! | the node | `10.N.0.2` | `fd50:6f72:N::2` |
//! | pods | `10.N.64.0/18` | `fd50:6f72:N:64::/64` |
//! | Services | `10.N.128.0/18` | `fd50:6f72:N:128::/112` |
//! | load balancers | `10.N.192.0/24` | `fd50:6f72:N:192::/112` |

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use anyhow::{Context, Result};

/// The numbers that are tried when none is asked for.
const CANDIDATES: std::ops::RangeInclusive<u8> = 200..=250;

/// The addresses of one cluster. Written as the first half of its IPv4 addresses: `10.211`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    number: u8,
}

impl Net {
    /// What may be tried, one after the other, beginning at a place that depends on the name: a cluster of the same name mostly
    /// has the same addresses.
    pub(super) fn candidates(name: &str) -> impl Iterator<Item = Self> {
        let size = usize::from(CANDIDATES.end() - CANDIDATES.start()) + 1;
        let start = name.bytes().fold(0_usize, |sum, byte| (sum * 31 + usize::from(byte)) % size);
        CANDIDATES.cycle().skip(start).take(size).map(|number| Self { number })
    }

    /// The name of this machine's end of the cable to the node.
    pub(super) fn link(self) -> String {
        format!("portcullis{}", self.number)
    }

    /// This machine, as the node sees it.
    pub(super) fn host(self) -> (Ipv4Addr, Ipv6Addr) {
        (self.v4(0, 1), self.v6(0, 1))
    }

    /// The node.
    pub fn node(self) -> (Ipv4Addr, Ipv6Addr) {
        (self.v4(0, 2), self.v6(0, 2))
    }

    /// All addresses, as this machine's routes have them.
    pub(super) fn whole(self) -> (String, String) {
        (format!("{}/16", self.v4(0, 0)), format!("{}/48", self.v6(0, 0)))
    }

    /// The addresses of pods.
    pub fn pods(self) -> (String, String) {
        (format!("{}/18", self.v4(64, 0)), format!("{}/64", self.v6(0x64, 0)))
    }

    /// The addresses of Services.
    pub fn services(self) -> (String, String) {
        (format!("{}/18", self.v4(128, 0)), format!("{}/112", self.v6(0x128, 0)))
    }

    /// The Service `kubernetes`: the first address of all Services.
    pub(super) fn api_service(self) -> Ipv4Addr {
        self.v4(128, 1)
    }

    /// The cluster's DNS server.
    pub(super) fn dns(self) -> Ipv4Addr {
        self.v4(128, 10)
    }

    /// The addresses of the load balancer of that number.
    pub fn balancer(self, number: u8) -> (Ipv4Addr, Ipv6Addr) {
        (self.v4(192, number), self.v6(0x192, number.into()))
    }

    /// Whether a load balancer could have this address.
    pub(super) fn balances(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => v4.octets()[..3] == self.v4(192, 0).octets()[..3],
            IpAddr::V6(v6) => v6.segments()[..7] == self.v6(0x192, 0).segments()[..7],
        }
    }

    fn v4(self, third: u8, fourth: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, self.number, third, fourth)
    }

    fn v6(self, fourth: u16, last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd50, 0x6f72, self.number.into(), fourth, 0, 0, 0, last)
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "10.{}", self.number)
    }
}

impl FromStr for Net {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = text.strip_prefix("10.").and_then(|number| number.parse().ok());
        let number = number.with_context(|| format!("{text} is no network: write 10.N, such as 10.211"))?;
        Ok(Self { number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_net_is_told_by_one_number() {
        let net: Net = "10.211".parse().unwrap();
        assert_eq!(net.to_string(), "10.211");
        assert_eq!(net.whole(), ("10.211.0.0/16".to_owned(), "fd50:6f72:d3::/48".to_owned()));
        assert_eq!(net.balancer(7).1.to_string(), "fd50:6f72:d3:192::7");
        assert!(net.balances("10.211.192.240".parse().unwrap()));
        assert!(!net.balances("10.212.192.240".parse().unwrap()));
        for wrong in ["10", "10.256", "192.168", "10.1.2"] {
            assert!(wrong.parse::<Net>().unwrap_err().to_string().contains("10.211"), "{wrong}");
        }
    }

    #[test]
    fn every_candidate_is_tried_once() {
        let mut all: Vec<u8> = Net::candidates("dev").map(|net| net.number).collect();
        all.sort_unstable();
        assert_eq!(all, CANDIDATES.collect::<Vec<_>>());
    }
}

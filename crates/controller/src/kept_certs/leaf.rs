//! What a certificate says: until when it's valid, and for whom.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use x509_parser::{extensions::GeneralName, pem::parse_x509_pem};

/// What a certificate says.
#[derive(Debug)]
pub(super) struct Leaf {
    end: SystemTime,
    names: BTreeSet<String>,
}

impl Leaf {
    /// The first certificate of a PEM file; `None` when there is none that can be read.
    pub(super) fn of(pem: &str) -> Option<Self> {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).ok()?;
        let certificate = pem.parse_x509().ok()?;
        let end = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
        let names = certificate.subject_alternative_name().ok()?;
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(name).collect();
        Some(Self { end: SystemTime::UNIX_EPOCH + Duration::from_secs(end), names })
    }

    /// Whether it does not end before.
    pub(super) fn is_valid_at(&self, time: SystemTime) -> bool {
        time < self.end
    }

    /// Whether it's for all of these names and addresses.
    pub(super) fn has_names(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

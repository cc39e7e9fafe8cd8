//! What a request has to be before it is looked at.

use envoy::service::ratelimit::RateLimitRequest;

use crate::limit::Unit;

/// How large a request may be. The defaults are beyond what Envoy makes of a request's headers: a client must not be able to
/// have its request refused here, because many an Envoy lets pass what could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Descriptors of a request.
    pub descriptors: usize,
    /// Entries of a descriptor.
    pub entries: usize,
    /// Bytes of a key or value.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { descriptors: 512, entries: 64, bytes: 128 << 10 }
    }
}

/// Why a request is not answered; mended by whoever configures the client (Envoy).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// No domain.
    #[error("the domain is empty")]
    NoDomain,
    /// No descriptors.
    #[error("there are no descriptors")]
    NoDescriptors,
    /// Too many of something.
    #[error("{count} {what}, allowed: {most}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// A key or value that is too long.
    #[error("an entry of {length} bytes, allowed: {most}")]
    TooLong {
        /// Its length.
        length: usize,
        /// Its allowed length.
        most: usize,
    },
    /// A limit in the request whose unit is unknown.
    #[error("the limit of a descriptor has the unit {0}, allowed: 1 (second) to 7 (week)")]
    Unit(i32),
}

impl Malformed {
    /// The reason as a label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoDomain => "no_domain",
            Self::NoDescriptors => "no_descriptors",
            Self::TooMany { .. } => "too_many",
            Self::TooLong { .. } => "too_long",
            Self::Unit(_) => "unit",
        }
    }
}

impl Bounds {
    /// Checks a request.
    pub(super) fn check(&self, request: &RateLimitRequest) -> Result<(), Malformed> {
        if request.domain.is_empty() {
            return Err(Malformed::NoDomain);
        }
        if request.descriptors.is_empty() {
            return Err(Malformed::NoDescriptors);
        }
        at_most("descriptors", request.descriptors.len(), self.descriptors)?;
        let mut longest = request.domain.len();
        for descriptor in &request.descriptors {
            at_most("entries of a descriptor", descriptor.entries.len(), self.entries)?;
            if let Some(limit) = descriptor.limit.filter(|limit| Unit::from_number(limit.unit).is_none()) {
                return Err(Malformed::Unit(limit.unit));
            }
            let lengths = descriptor.entries.iter().map(|entry| entry.key.len().max(entry.value.len()));
            longest = lengths.fold(longest, usize::max);
        }
        if longest > self.bytes {
            return Err(Malformed::TooLong { length: longest, most: self.bytes });
        }
        Ok(())
    }
}

fn at_most(what: &'static str, count: usize, most: usize) -> Result<(), Malformed> {
    if count > most { Err(Malformed::TooMany { what, count, most }) } else { Ok(()) }
}

//! What is counted, as the key of a counter.
//!
//! ```text
//! prefix domain|key=value|key=value|f60
//!                                   └─ the algorithm (f, s, t) and the unit's seconds
//! ```
//!
//! What separates the parts is escaped in them, so that no two sets of entries share a key; so are braces, or a client that
//! chooses a value could choose the slot of a Redis cluster with it. Long values, and those of rules that say so, are
//! replaced by `#` and a hash.
//!
//! The legacy form is the reference's: parts joined by `_`, nothing escaped, hashes only where rules say so, and neither
//! algorithm nor unit. Only fixed windows have it, which are all that the reference has, and only in Redis: in this process a
//! counter is known by its key in our form.

use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use kit::redact::Redacted;
use sha2::{Digest, Sha256};

use crate::limit::{Algorithm, Limit, Millis};
use crate::rules::Step;

/// Values longer than this are hashed: they may be as long as a request's headers.
const LONGEST: usize = 256;

/// How keys are written.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Before every key.
    pub prefix: String,
    /// The reference's form, for a time in which both run on one Redis.
    pub legacy: bool,
    /// What hashes are mixed with, so that short values such as addresses cannot be found by trying all.
    pub secret: Redacted<String>,
}

/// A descriptor with its limit: what the key of its counter is made from.
#[derive(Debug, Clone, Copy)]
pub struct Counter<'a> {
    /// The domain of the request.
    pub domain: &'a str,
    /// The descriptor.
    pub descriptor: &'a RateLimitDescriptor,
    /// Which of its values are patterns or hashed.
    pub steps: &'a [Step<'a>],
    /// The limit.
    pub limit: &'a Limit,
}

impl Keys {
    /// Appends what a counter is known by.
    pub fn write(&self, key: &mut Vec<u8>, Counter { domain, descriptor, steps, limit }: Counter<'_>) {
        key.extend_from_slice(self.prefix.as_bytes());
        escape(key, domain);
        for (index, entry) in descriptor.entries.iter().enumerate() {
            key.push(b'|');
            escape(key, &entry.key);
            key.push(b'=');
            let step = steps.get(index);
            match step.and_then(Step::shared) {
                Some(pattern) => escape(key, pattern),
                None if entry.value.len() > LONGEST || step.is_some_and(Step::is_hashed) => {
                    self.hash(key, &entry.value)
                }
                None => escape(key, &entry.value),
            }
        }
        key.extend_from_slice(match limit.algorithm {
            Algorithm::FixedWindow => b"|f",
            Algorithm::SlidingWindow => b"|s",
            Algorithm::TokenBucket => b"|t",
        });
        number(key, limit.unit.as_secs());
    }

    /// Appends where a fixed window begins, if the limit has one: each window is a counter of its own in Redis.
    pub fn write_window(&self, key: &mut Vec<u8>, limit: &Limit, now: Millis) {
        if limit.algorithm == Algorithm::FixedWindow {
            key.push(b':');
            number(key, limit.unit.window_start(now) / 1000);
        }
    }

    /// Whether counters of this limit have the reference's keys in Redis.
    pub fn are_of_reference(&self, limit: &Limit) -> bool {
        self.legacy && limit.algorithm == Algorithm::FixedWindow
    }

    /// Appends the reference's key of the window that holds `now`.
    pub fn write_of_reference(&self, key: &mut Vec<u8>, counter: Counter<'_>, now: Millis) {
        let Counter { domain, descriptor, steps, limit } = counter;
        key.extend_from_slice(self.prefix.as_bytes());
        key.extend_from_slice(domain.as_bytes());
        key.push(b'_');
        for (index, entry) in descriptor.entries.iter().enumerate() {
            key.extend_from_slice(entry.key.as_bytes());
            key.push(b'_');
            let step = steps.get(index);
            match step.and_then(Step::shared) {
                Some(pattern) => key.extend_from_slice(pattern.as_bytes()),
                None if step.is_some_and(Step::is_hashed) => self.hash(key, &entry.value),
                None => key.extend_from_slice(entry.value.as_bytes()),
            }
            key.push(b'_');
        }
        number(key, limit.unit.window_start(now) / 1000);
    }

    /// 128 bits are enough for values never to meet.
    fn hash(&self, key: &mut Vec<u8>, value: &str) {
        let secret = self.secret.reveal();
        let digest =
            Sha256::new().chain_update((secret.len() as u64).to_be_bytes()).chain_update(secret).chain_update(value);
        key.push(b'#');
        for byte in &digest.finalize()[..16] {
            key.extend_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
    }
}

fn escape(key: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if matches!(byte, b'%' | b'|' | b'=' | b'#' | b'{' | b'}') {
            key.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        } else {
            key.push(byte);
        }
    }
}

fn hex(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

fn number(key: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let (mut at, mut left) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    key.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests;

//! Random rules in the part of the language that is the same for both services, and requests that meet them.
//!
//! Left out is what this service does differently on purpose: keys with `_`, wildcards that are not at the end of a value,
//! less specific wildcards before more specific ones, and limits of different units for the same entries.

use std::fmt::Write as _;

use ::envoy::ext::shared::ratelimit::RateLimitDescriptor;
use ::envoy::ext::shared::ratelimit::rate_limit_descriptor::{Entry, RateLimitOverride};
use ::envoy::service::ratelimit::RateLimitRequest;

/// The same numbers for the same seed (xorshift64*).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Less than `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).unwrap()]
    }
}

/// Rules of a domain, and the descriptors that lead to something in them.
pub(super) struct Domain {
    name: String,
    pub(super) text: String,
    /// The unit of all its limits, by name and by number.
    unit: (&'static str, i32),
    paths: Vec<Vec<(String, String)>>,
}

/// The most specific first, as the reference needs it.
const VALUES: [&str; 6] = ["va", "vb", "vab*", "va*", "*", ""];
/// Long units only: a shorter one could end between two questions.
const UNITS: [(&str, i32); 5] = [("hour", 3), ("DAY", 4), ("month", 5), ("Year", 6), ("week", 7)];

pub(super) fn domain(random: &mut Random, number: usize) -> Domain {
    let name = format!("domain{number}");
    let unit = UNITS[usize::try_from(random.below(5)).unwrap()];
    let mut domain = Domain { text: format!("---\ndomain: {name}\n"), name, unit, paths: Vec::new() };
    level(random, &mut domain, &mut Vec::new(), 0);
    domain
}

fn level(random: &mut Random, domain: &mut Domain, path: &mut Vec<(String, String)>, depth: usize) {
    let indent = "  ".repeat(depth);
    let mut begun = false;
    for key in ["k1", "k2", "k3"] {
        for value in VALUES {
            if !random.one_in(4) {
                continue;
            }
            if !begun {
                writeln!(domain.text, "{indent}descriptors:").unwrap();
                begun = true;
            }
            writeln!(domain.text, "{indent}- key: {key}").unwrap();
            if !value.is_empty() {
                writeln!(domain.text, "{indent}  value: '{value}'").unwrap();
            }
            flags(random, domain, &indent, value);
            path.push((key.to_owned(), value.to_owned()));
            domain.paths.push(path.clone());
            if depth < 2 && random.one_in(3) {
                level(random, domain, path, depth + 1);
            }
            path.pop();
        }
    }
}

fn flags(random: &mut Random, domain: &mut Domain, indent: &str, value: &str) {
    let text = &mut domain.text;
    for flag in ["shadow_mode", "quota_mode", "detailed_metric", "value_to_metric"] {
        if random.one_in(7) {
            writeln!(text, "{indent}  {flag}: true").unwrap();
        }
    }
    if value.ends_with('*') && random.one_in(2) {
        writeln!(text, "{indent}  share_threshold: true").unwrap();
    }
    if random.one_in(4) {
        return;
    }
    let mut fields = if random.one_in(8) {
        "unlimited: true".to_owned()
    } else {
        format!("unit: {}, requests_per_unit: {}", domain.unit.0, random.below(7))
    };
    let names = ["one", "two", "three"];
    let name = random.of(&names);
    if random.one_in(3) {
        write!(fields, ", name: {name}").unwrap();
    }
    let other = random.of(&names);
    if other != name && random.one_in(4) {
        write!(fields, ", replaces: [{{name: {other}}}]").unwrap();
    }
    writeln!(text, "{indent}  rate_limit: {{{fields}}}").unwrap();
}

pub(super) fn request(random: &mut Random, domain: &Domain) -> RateLimitRequest {
    let count = 1 + random.below(4);
    let descriptors = (0..count).map(|_| descriptor(random, domain)).collect();
    let name = if random.one_in(40) { "nowhere".to_owned() } else { domain.name.clone() };
    let hits_addend = u32::try_from(random.below(4)).unwrap();
    RateLimitRequest { domain: name, descriptors, hits_addend }
}

fn descriptor(random: &mut Random, domain: &Domain) -> RateLimitDescriptor {
    let fallback = vec![("k1".to_owned(), "va".to_owned())];
    let index = random.below(domain.paths.len().max(1) as u64);
    let path = domain.paths.get(usize::try_from(index).unwrap()).unwrap_or(&fallback);
    let mut entries: Vec<Entry> = path
        .iter()
        .map(|(key, value)| {
            let value = value.replace('*', random.of(&["", "x", "b"]));
            let value = if value.is_empty() { random.of(&["", "va", "other"]).to_owned() } else { value };
            Entry { key: key.clone(), value }
        })
        .collect();
    if random.one_in(10) {
        entries.push(Entry { key: "k1".to_owned(), value: "va".to_owned() });
    }
    let limit = random.one_in(12).then(|| {
        let requests_per_unit = u32::try_from(random.below(6)).unwrap();
        RateLimitOverride { requests_per_unit, unit: domain.unit.1 }
    });
    let hits_addend = random.one_in(4).then(|| random.below(5));
    RateLimitDescriptor { entries, limit, hits_addend, is_negative_hits: false }
}

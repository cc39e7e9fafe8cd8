//! `explain`: which rule a descriptor has, and why.

use std::path::PathBuf;
use std::process::ExitCode;

use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use envoy::ext::shared::ratelimit::rate_limit_descriptor::Entry;

use crate::key::{Counter, Keys};
use crate::limit::{Algorithm, Limit};
use crate::rules::{self, Found, How, Rule, Rules};

/// Tells which rule a descriptor has, how each of its entries was matched, and by which key it is counted where the service
/// has no prefix, no secret and no legacy keys.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The domain of the request.
    #[arg(long)]
    domain: String,
    /// The entries of the descriptor in their order: key=value,key=value; a comma in a value is written \,
    #[arg(long, value_name = "K=V,…")]
    descriptor: String,
    /// Files, or directories with all that is in them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let rules = match rules::load(&args.files) {
        Ok(loaded) => loaded.rules,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let descriptor = RateLimitDescriptor { entries: entries(&args.descriptor), ..RateLimitDescriptor::default() };
    print!("{}", explained(&rules, &args.domain, &descriptor));
    ExitCode::SUCCESS
}

fn entries(text: &str) -> Vec<Entry> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ',' => parts.push(String::new()),
            '\\' => parts.last_mut().expect("never empty").extend(characters.next()),
            character => parts.last_mut().expect("never empty").push(character),
        }
    }
    let entry = |part: &String| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        Entry { key: key.to_owned(), value: value.to_owned() }
    };
    parts.iter().map(entry).collect()
}

fn explained(rules: &Rules, domain: &str, descriptor: &RateLimitDescriptor) -> String {
    let Some(found) = rules.find(domain, descriptor) else {
        let known = rules.domains().join(", ");
        return format!("no rules: the domain `{domain}` is unknown, known are: {known}\n");
    };
    let mut text = String::new();
    for (entry, step) in descriptor.entries.iter().zip(&found.steps) {
        let how = match step.how {
            How::Exact => "by key and value".to_owned(),
            How::Pattern(pattern) => format!("by the pattern `{pattern}`, the most specific that matches"),
            How::Any => "by its key alone: no value and no pattern matches".to_owned(),
        };
        text += &format!("{}={}: {how}\n", entry.key, entry.value);
    }
    if let Some(entry) = descriptor.entries.get(found.steps.len()) {
        return text + &format!("{}={}: no rule has this entry here, so there is no limit\n", entry.key, entry.value);
    }
    match found.rule {
        Some(rule) => text + &ruled(rule, domain, descriptor, &found),
        None => text + "no rule ends here, so there is no limit\n",
    }
}

fn ruled(rule: &Rule, domain: &str, descriptor: &RateLimitDescriptor, found: &Found<'_>) -> String {
    let name = if rule.name.is_empty() { String::new() } else { format!(" (name {})", rule.name) };
    let mut text = format!("rule {}.{}{name}: ", rule.domain, rule.path);
    match &rule.limit {
        None => text += "unlimited\n",
        Some(limit) => {
            let mut key = Vec::new();
            Keys::default().write(&mut key, Counter { domain, descriptor, steps: &found.steps, limit });
            text += &format!("{}\nkey {}\n", described(limit), String::from_utf8_lossy(&key));
        }
    }
    for (flag, what) in [(rule.shadow, "shadow mode: only counted"), (rule.quota, "quota mode: told, not refused")] {
        if flag {
            text += what;
            text.push('\n');
        }
    }
    if !rule.replaces.is_empty() {
        text += &format!("replaces in the same request: {}\n", rule.replaces.join(", "));
    }
    text
}

fn described(limit: &Limit) -> String {
    let how = match limit.algorithm {
        Algorithm::FixedWindow => "fixed windows".to_owned(),
        Algorithm::SlidingWindow => "a sliding window".to_owned(),
        Algorithm::TokenBucket => format!("a bucket of {}", limit.burst),
    };
    format!("{} per {}, {how}", limit.requests, limit.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = "
domain: edge
descriptors:
- key: path
  value: /a*
  descriptors:
  - key: user
    rate_limit: {unit: minute, requests_per_unit: 5, name: users}
";

    fn explain(domain: &str, descriptor: &str) -> String {
        let rules = rules::read(&[("r.yaml".to_owned(), RULES.to_owned())]).unwrap().rules;
        let descriptor = RateLimitDescriptor { entries: entries(descriptor), ..RateLimitDescriptor::default() };
        explained(&rules, domain, &descriptor)
    }

    #[test]
    fn the_way_to_a_rule_is_told() {
        let text = explain("edge", r"path=/a\,b,user=ann");
        assert_eq!(
            text,
            "path=/a,b: by the pattern `/a*`, the most specific that matches\n\
             user=ann: by its key alone: no value and no pattern matches\n\
             rule edge.path_/a*.user (name users): 5 per minute, fixed windows\n\
             key edge|path=/a,b|user=ann|f60\n"
        );
    }

    #[test]
    fn the_end_of_the_way_is_told_too() {
        assert!(explain("edge", "path=/b").ends_with("path=/b: no rule has this entry here, so there is no limit\n"));
        assert!(explain("edge", "path=/a").ends_with("no rule ends here, so there is no limit\n"));
        assert!(explain("other", "path=/a").contains("known are: edge"));
    }
}

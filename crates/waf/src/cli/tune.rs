//! `tune`: from matches that are no attacks to the narrowest exclusions, and what those would have changed.

mod group;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::audit::Entry;
use crate::profile::{Exclusion, RuleRange, as_seclang};
use group::{Group, groups};

/// Groups the matches of an audit log, and proposes an exclusion for each group.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The audit log, in JSON.
    #[arg(long, value_name = "FILE")]
    audit: PathBuf,
    /// From which score on a request is refused.
    #[arg(long, value_name = "SCORE", default_value_t = 5)]
    threshold: u32,
    /// How many groups are shown, the largest first.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    most: usize,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match tune(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tune(args: &Args) -> Result<()> {
    let text = fs::read_to_string(&args.audit).with_context(|| format!("cannot read {}", args.audit.display()))?;
    let (mut entries, mut unread) = (Vec::new(), 0);
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Entry>(line) {
            Ok(entry) => entries.push(entry),
            Err(_) => unread += 1,
        }
    }
    if unread > 0 {
        eprintln!("warning: {unread} lines are no entries in JSON");
    }
    let groups = groups(&entries);
    println!("{} entries, {} groups of matches", entries.len(), groups.len());
    for group in groups.iter().take(args.most) {
        print!("\n{}", report(group, args.threshold));
    }
    Ok(())
}

fn report(group: &Group<'_>, threshold: u32) -> String {
    let (rule, parameter, route) = (group.rule, group.parameter, group.route);
    let mut text = format!(
        "rule {rule} on {parameter}, route {}: {} requests of {} clients\n",
        if route.is_empty() { "unknown" } else { route },
        group.entries.len(),
        group.clients()
    );
    let exclusion = Exclusion {
        rules: vec![RuleRange { first: rule, last: rule }],
        parameters: vec![parameter.to_owned()],
        path: group.path(),
        ..Exclusion::default()
    };
    let Some(seclang) = as_seclang(&exclusion) else {
        return text + "  this place cannot be named in an exclusion; exclude by path, or mend the application\n";
    };
    text += &format!("  exclusions:\n  - rules: [{rule}]\n    parameters: [\"{parameter}\"]\n");
    if !exclusion.path.is_empty() {
        text += &format!("    path: {}\n", exclusion.path);
    }
    text += "  as SecLang:\n";
    for line in seclang.lines() {
        text += &format!("    {line}\n");
    }
    let changed: Vec<&&Entry> = group.entries.iter().filter(|entry| group.frees(entry, threshold)).collect();
    text += &format!("  of these, {} would no longer be refused", changed.len());
    let suspicious: Vec<&str> =
        changed.iter().filter(|entry| group.looks_like_an_attack(entry)).map(|entry| entry.id.as_str()).collect();
    if suspicious.is_empty() {
        return text + "\n";
    }
    text + &format!(
        "; look at {} first, which match other rules of attacks too: {}\n",
        suspicious.len(),
        suspicious.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Found, Place};

    fn entry(id: &str, target: &str, matches: &[(u32, &str)]) -> Entry {
        let found = |(rule, place): &(u32, &str)| Found {
            rule: *rule,
            severity: "CRITICAL".to_owned(),
            places: vec![Place { name: (*place).to_owned(), value: None }],
            ..Found::default()
        };
        Entry {
            id: id.to_owned(),
            client: format!("client of {id}"),
            target: target.to_owned(),
            verdict: "block".to_owned(),
            rules: matches.iter().map(found).collect(),
            ..Entry::default()
        }
    }

    #[test]
    fn the_narrowest_exclusion_is_proposed_and_attacks_are_pointed_out() {
        let entries = [
            entry("a", "/blog/1/comments?x=1", &[(942_100, "ARGS:comment"), (949_110, "TX:x")]),
            entry("b", "/blog/2/comments", &[(942_100, "ARGS:comment")]),
            entry("c", "/blog/3", &[(942_100, "ARGS:comment"), (932_160, "ARGS:cmd")]),
            entry("d", "/login", &[(941_100, "ARGS:odd key!")]),
        ];
        let groups = groups(&entries);
        assert_eq!(groups.len(), 3);
        let text = report(&groups[0], 5);
        assert!(text.starts_with("rule 942100 on ARGS:comment, route unknown: 3 requests of 3 clients"), "{text}");
        assert!(
            text.contains("path: /blog\n") && text.contains("ctl:ruleRemoveTargetById=942100;ARGS:comment"),
            "{text}"
        );
        // The third is refused for its other match all the same.
        assert!(text.contains("of these, 2 would no longer be refused\n"), "{text}");
        let loose = report(&groups[0], 10);
        assert!(loose.contains("3 would no longer be refused; look at 1 first") && loose.contains(": c\n"), "{loose}");
        assert!(report(groups.iter().find(|group| group.rule == 941_100).unwrap(), 5).contains("cannot be named"));
    }
}

//! `portcullis validate`: what is wrong with files, and how to mend it.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use api::ObjectRef;
use serde_json::{Value, json};

use crate::{
    conditions, config, missing, offline,
    source::{
        Problem, Severity,
        file::{Once, read_once},
    },
};

/// Checks resources without a server: their schema, the rules of their kinds, and what they refer to.
///
/// Prints a line for each finding: file:line: kind namespace/name: what is wrong and how to mend it. Exits with 1 when
/// there is one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis validate -f examples/quickstart/resources
  portcullis validate -f gateway.yaml -f routes/ --config-path standalone.yaml")]
pub(super) struct Args {
    /// A file, a directory with all below it, or - for the standard input. May be given several times.
    #[arg(long, short, value_name = "FILE|DIR", required = true)]
    file: Vec<PathBuf>,
    /// The server's configuration. [default: all extension APIs are on]
    #[arg(long, value_name = "FILE")]
    config_path: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = match &args.config_path {
        Some(path) => config::load(path)?,
        None => config::offline(),
    };
    let once = read_once(&args.file).context("cannot read the resources")?;
    let output = offline::translate(&once.seen, &config);
    let mut findings: Vec<_> =
        once.seen.problems.iter().filter(|problem| problem.severity != Severity::Note).cloned().collect();
    for (reference, status) in offline::statuses(&output, &config) {
        findings.extend(of_status(&once, &reference, &status));
    }
    for missing in missing::find(&once.seen.resources, &config.gateway.controller_name) {
        findings.push(finding(&once, &missing.from, missing.field, missing.what));
    }
    if let Err(error) = offline::bootstraps(&output, &crate::infra::host::default_runtime_dir(), None) {
        anyhow::bail!("an EnvoyProxy cannot be used: {error}");
    }
    findings.sort();
    findings.iter().for_each(|finding| println!("{finding}"));
    if findings.is_empty() {
        println!("{} resources, nothing is wrong with them", once.places.len());
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

/// The conditions that say that something is wrong, each message once.
fn of_status(once: &Once, reference: &ObjectRef, status: &Value) -> Vec<Problem> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for part in conditions::parts(&json!({"status": status})) {
        for condition in part.conditions.into_iter().filter(|condition| !condition.is_good()) {
            if !told.insert(condition.message.clone()) {
                continue;
            }
            let what = format!("{} ({})", condition.message, condition.reason);
            found.push(finding(once, reference, part.of.clone(), what));
        }
    }
    found
}

fn finding(once: &Once, reference: &ObjectRef, field: String, what: String) -> Problem {
    let (file, line) = once.places.get(reference).cloned().unwrap_or_else(|| (Arc::from("?"), 0));
    Problem { file: Some(file), line, severity: Severity::Error, object: reference.to_string(), field, what }
}

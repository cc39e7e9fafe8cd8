//! `portcullis validate`: what is wrong with files, and how to mend it.

mod place;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use api::ObjectRef;
use serde_json::{Value, json};

use crate::{
    conditions, config, missing, offline,
    source::{
        Problem, Severity,
        file::{Once, Original, read_once},
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
    let written = Written::new(&once);
    for (reference, status) in offline::statuses(&output, &config) {
        findings.extend(of_status(&written, &reference, &status));
    }
    for missing in missing::find(&once.seen.resources, &config.gateway.controller_name) {
        let place = missing.field.clone();
        findings.push(written.finding(&missing.from, Some(&place), missing.field, missing.what));
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
fn of_status(written: &Written<'_>, reference: &ObjectRef, status: &Value) -> Vec<Problem> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for part in conditions::parts(&json!({"status": status})) {
        for condition in part.conditions.into_iter().filter(|condition| !condition.is_good()) {
            if !told.insert(condition.message.clone()) {
                continue;
            }
            let what = format!("{} ({})", condition.message, condition.reason);
            let original = written.originals.get(reference);
            let place = original.and_then(|original| place::of(&original.value, &part.of, &condition.message));
            found.push(written.finding(reference, place.as_deref(), part.of.clone(), what));
        }
    }
    found
}

/// The resources as they are written, by name.
struct Written<'a> {
    once: &'a Once,
    originals: BTreeMap<&'a ObjectRef, &'a Original>,
}

impl<'a> Written<'a> {
    fn new(once: &'a Once) -> Self {
        let originals = once.originals.iter().map(|original| (&original.reference, original));
        Self { once, originals: originals.collect() }
    }

    /// Something that is wrong with a resource, at the line of this place in it.
    fn finding(&self, reference: &ObjectRef, place: Option<&str>, field: String, what: String) -> Problem {
        let (file, line) = self.once.places.get(reference).cloned().unwrap_or_else(|| (Arc::from("?"), 0));
        // Where two files have the same resource, only one of them counts.
        let original = self.originals.get(reference).filter(|original| original.file == file);
        let line = original.zip(place).map_or(line, |(original, place)| original.line(place));
        Problem { file: Some(file), line, severity: Severity::Error, object: reference.to_string(), field, what }
    }
}

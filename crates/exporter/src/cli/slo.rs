//! `portcullis-exporter slo`: rules from the objectives that routes are annotated with.

use std::path::PathBuf;
use std::process::ExitCode;

use kit::config::{self, Document, Finding};
use serde_json::Value;

use crate::settings::{Buckets, Settings};
use crate::slo::{self, ANNOTATION, Format, Promise, Route};

/// What to read and write.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Manifests, or directories with them. Only routes with the annotation portcullis.dev/slo count.
    #[arg(required = true)]
    manifests: Vec<PathBuf>,
    /// What is written.
    #[arg(long, value_enum, default_value_t = Format::Prometheus)]
    format: Format,
    /// The exporter's configuration, for where its buckets end. [default: the usual ones]
    #[arg(long, value_name = "FILE")]
    config_path: Option<PathBuf>,
}

/// Prints rules; 1 when an annotation is wrong, 2 when a file cannot be read.
pub(super) fn run(args: &Args) -> ExitCode {
    match promises(args) {
        Ok((promises, findings)) => {
            findings.iter().for_each(|finding| eprintln!("{finding}"));
            print!("{}", slo::write(&promises, args.format));
            if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("portcullis-exporter: {error}");
            ExitCode::from(kit::BAD_CONFIG)
        }
    }
}

fn promises(args: &Args) -> Result<(Vec<Promise>, Vec<Finding>), config::Error> {
    let buckets = match &args.config_path {
        Some(path) => config::load::<Settings>(path)?.buckets,
        None => Buckets::default(),
    };
    let (mut promises, mut findings) = (Vec::new(), Vec::new());
    let files: Result<Vec<_>, _> = args.manifests.iter().map(|path| config::files(path)).collect();
    for file in files?.into_iter().flatten() {
        let text = config::read_text(&file)?;
        for document in config::documents(&file.display().to_string(), &text) {
            match document.and_then(|document| promise(&document, &buckets)) {
                Ok(promise) => promises.extend(promise),
                Err(finding) => findings.push(finding),
            }
        }
    }
    promises.sort_by(|one: &Promise, other| one.route.cmp(&other.route));
    Ok((promises, findings))
}

/// The promise of a document; nothing when it is not annotated.
fn promise(document: &Document, buckets: &Buckets) -> Result<Option<Promise>, Finding> {
    let value = document.to_json();
    let metadata = &value["metadata"];
    let Some(text) = metadata["annotations"][ANNOTATION].as_str() else { return Ok(None) };
    let field = format!("metadata.annotations[\"{ANNOTATION}\"]");
    let kind = value["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "HTTPRoute" | "GRPCRoute") {
        return Err(document.finding(&field, format!("is for HTTPRoute and GRPCRoute, not for {kind}")));
    }
    let (objectives, window) =
        slo::parse(text, &buckets.seconds).map_err(|wrong| document.finding(&field, wrong.to_string()))?;
    let text = |value: &Value, other: &str| value.as_str().unwrap_or(other).to_owned();
    let route = Route {
        kind: kind.to_owned(),
        namespace: text(&metadata["namespace"], "default"),
        name: text(&metadata["name"], ""),
    };
    Ok(Some(Promise { route, objectives, window }))
}

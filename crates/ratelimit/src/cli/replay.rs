//! `replay`: what rules would have done with requests that were recorded.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use envoy::json;
use envoy::service::ratelimit::rate_limit_response::Code;
use envoy::service::ratelimit::{RateLimitRequest, RateLimitResponse};
use prometheus::Registry;
use serde::Deserialize;
use serde_json::Value;

use crate::decide::{Limiter, Policy};
use crate::limit::Millis;
use crate::metrics::Metrics;
use crate::rules;
use crate::store::Store;
use crate::store::memory::Memory;

/// Plays recorded requests against rules, with the clock of the record, and tells how many of them would have been refused,
/// by the keys of their descriptors.
///
/// A record is a line of JSON: {"time": 1700000000000, "request": {"domain": "edge", "descriptors": [...]}}, with the time in
/// milliseconds since 1970 and in order.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The record; - for standard input.
    #[arg(long, value_name = "FILE")]
    record: PathBuf,
    /// Print each refused request.
    #[arg(long)]
    refused: bool,
    /// Files with rules, or directories with all that is in them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    time: Millis,
    request: Value,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match replay(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn replay(args: &Args) -> Result<()> {
    let metrics = Arc::new(Metrics::register(&Registry::new()));
    let limiter = Limiter::new(Policy::default(), Store::Memory(Memory::new(1_000_000)), metrics);
    limiter.set_rules(rules::load(&args.files)?.rules);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut tally = BTreeMap::<String, (u64, u64)>::new();
    for (number, line) in lines(args)?.lines().enumerate() {
        let line = line?;
        let at = || format!("{}:{}", args.record.display(), number + 1);
        let Line { time, request } = serde_json::from_str(&line).with_context(at)?;
        let request: RateLimitRequest = json::parse_as(&request).with_context(at)?;
        let response = runtime.block_on(limiter.decide(&request, time)).with_context(at)?;
        count(&mut tally, &request, &response);
        if args.refused && response.overall_code() == Code::OverLimit {
            println!("{line}");
        }
    }
    for (descriptor, (refused, asked)) in tally {
        println!("{descriptor}: {refused} of {asked} refused");
    }
    Ok(())
}

fn lines(args: &Args) -> Result<Box<dyn BufRead>> {
    if args.record.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = std::fs::File::open(&args.record).with_context(|| args.record.display().to_string())?;
    Ok(Box::new(BufReader::new(file)))
}

/// By the keys of descriptors: values would be too many.
fn count(tally: &mut BTreeMap<String, (u64, u64)>, request: &RateLimitRequest, response: &RateLimitResponse) {
    for (descriptor, status) in request.descriptors.iter().zip(&response.statuses) {
        let keys: Vec<&str> = descriptor.entries.iter().map(|entry| entry.key.as_str()).collect();
        let (refused, asked) = tally.entry(format!("{} {}", request.domain, keys.join("."))).or_default();
        *refused += u64::from(status.code() == Code::OverLimit);
        *asked += 1;
    }
}

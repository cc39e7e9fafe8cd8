//! `explain`: which rules match a request, on what, and with which score.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use prometheus::Registry;

use crate::head::Head;
use crate::inspect::{End, Exchange, Inspection};
use crate::metrics::Metrics;
use crate::observe::Observer;
use crate::profile::{Loader, Place, Profile};
use crate::verdict::Verdict;

/// Says which rules match a request. The exit code is 1 when it is refused.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request as it goes over the wire: request line, headers, an empty line, body. `-` is standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The profile.
    #[arg(long, value_name = "NAME", default_value = "baseline")]
    profile: String,
    /// Files, or directories, with profiles.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match explain(args) {
        Ok(Verdict::Pass) => ExitCode::SUCCESS,
        Ok(Verdict::Refuse(_)) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(kit::BAD_CONFIG)
        }
    }
}

fn explain(args: &Args) -> Result<Verdict> {
    let places: Vec<Place> = args.files.iter().map(|path| Place { path: path.clone(), extends: None }).collect();
    let profiles = Loader::default().load(&places)?.complete()?;
    let profile = profiles.get(&args.profile).with_context(|| {
        let names: Vec<&str> = profiles.iter().map(|profile| profile.plan.name.as_str()).collect();
        format!("there is no profile {}, there are: {}", args.profile, names.join(", "))
    })?;
    let (exchange, body) = read(&args.request)?;
    let observer = Arc::new(Observer::new(Metrics::register(&Registry::new()), None));
    let wanted =
        !body.is_empty() && profile.plan.request_body.wants(exchange.head.get("content-type").unwrap_or_default());
    let (mut inspection, mut verdict) = Inspection::begin(exchange, Arc::clone(profile), None, !wanted, observer);
    if wanted && verdict == Verdict::Pass {
        verdict = inspection.request_body(body, End::Last);
    }
    print(profile, &inspection, &verdict);
    Ok(verdict)
}

fn print(profile: &Profile, inspection: &Inspection, verdict: &Verdict) {
    for found in inspection.matches() {
        let severity = found.severity.map_or("-", coraza::Severity::name);
        let score = found.severity.map_or(0, coraza::Severity::score);
        println!("rule {} ({severity}, +{score}) {}", found.rule, found.message);
        for place in &found.places {
            println!("  on {place} = {:?}", place.value);
        }
    }
    let score = inspection.step().map_or(0, |step| step.inbound);
    println!("score {score}, refused from {} on", profile.plan.core.inbound_threshold);
    match (verdict, inspection.refused()) {
        (Verdict::Refuse(refusal), _) => println!("refused: {} ({})", refusal.status, refusal.reason.name()),
        (Verdict::Pass, Some(refusal)) => {
            println!("passed, for the profile only detects; it would be {}", refusal.status)
        }
        (Verdict::Pass, None) => println!("passed"),
    }
}

/// Reads a request as text; lines may end with or without a carriage return.
fn read(path: &Path) -> Result<(Exchange, Bytes)> {
    let text = if path.as_os_str() == "-" {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)?;
        text
    } else {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?
    };
    parse(&text)
}

fn parse(text: &[u8]) -> Result<(Exchange, Bytes)> {
    let mut rest = text;
    let mut lines = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let first = String::from_utf8_lossy(lines.first().context("the request is empty")?).into_owned();
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, protocol] = words[..] else { bail!("`{first}` is no request line, such as GET / HTTP/1.1") };
    let mut fields: Vec<(&str, &[u8])> = vec![(":method", method.as_bytes()), (":path", target.as_bytes())];
    for line in &lines[1..] {
        let colon = line.iter().position(|byte| *byte == b':');
        let colon = colon.with_context(|| format!("`{}` is no header", String::from_utf8_lossy(line)))?;
        let name = std::str::from_utf8(&line[..colon]).context("a header's name is no text")?;
        fields.push((name, line[colon + 1..].trim_ascii()));
    }
    let exchange = Exchange {
        id: "explain".to_owned(),
        client: ("127.0.0.1".to_owned(), 0),
        protocol: protocol.to_owned(),
        head: Head::of(fields),
        ..Exchange::default()
    };
    Ok((exchange, Bytes::copy_from_slice(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_it_goes_over_the_wire() {
        let (exchange, body) = parse(b"POST /a?b=c HTTP/1.1\r\nHost: x.example:80\nAccept:  */*\r\n\r\na=b\n").unwrap();
        assert_eq!(
            (exchange.head.text(":method"), exchange.head.text(":path")),
            ("POST".to_owned(), "/a?b=c".to_owned())
        );
        assert_eq!((exchange.head.host(), exchange.head.text("accept").as_str()), (b"x.example".as_slice(), "*/*"));
        assert_eq!(&body[..], b"a=b\n");
        assert!(parse(b"nonsense\n\n").is_err() && parse(b"").is_err());
    }
}

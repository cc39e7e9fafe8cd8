//! `portcullis status`: asks the running server.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use kit::net::Address;
use serde_json::Value;

use super::print::{table, yaml};
use crate::{conditions, config, infra::host, local_http, server};

/// Prints the conditions of every resource that a running server of this machine has.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis status
  portcullis status httproutes -o wide
  portcullis status gateways -o yaml
  portcullis status --watch")]
pub(super) struct Args {
    /// Only resources of this kind, such as gateways, HTTPRoute or backend.
    kind: Option<String>,
    /// How it looks.
    #[arg(long, short, value_name = "FORMAT", default_value = "table")]
    output: Output,
    /// Prints again after each change, until it is stopped.
    #[arg(long, short)]
    watch: bool,
    /// The server's configuration, to find its socket. [default: the socket of a server without a runtime directory]
    #[arg(long, value_name = "FILE")]
    config_path: Option<PathBuf>,
    /// The server's socket.
    #[arg(long, value_name = "FILE", conflicts_with = "config_path")]
    socket: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A line for each resource, listener and parent.
    Table,
    /// A line for each condition, with its message.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(ask(args)));
    super::report(result.map(|()| ExitCode::SUCCESS))
}

async fn ask(args: &Args) -> anyhow::Result<()> {
    let file = socket(args)?;
    let socket = Address::Unix(file.clone());
    let mut path = format!("/api/resources?watch={}", args.watch);
    if let Some(kind) = &args.kind {
        if !kind.chars().all(|c| c.is_ascii_alphanumeric()) {
            bail!("{kind} is not a kind");
        }
        path += &format!("&kind={kind}");
    }
    let hint = || {
        format!(
            "is the server running? Its socket is {}; choose another with --socket or --config-path",
            file.display()
        )
    };
    if !args.watch {
        let (status, body) = local_http::send(&socket, Method::GET, &path).await.with_context(hint)?;
        return show(args, status, &body);
    }
    let answer = local_http::open(&socket, Method::GET, &path).await.with_context(hint)?;
    let (status, mut body) = (answer.status(), answer.into_body());
    let mut line = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        line.extend_from_slice(&data);
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            show(args, status, &std::mem::replace(&mut line, rest))?;
        }
    }
    bail!("the server has ended")
}

fn socket(args: &Args) -> anyhow::Result<PathBuf> {
    if let Some(socket) = &args.socket {
        return Ok(socket.clone());
    }
    let directory = match &args.config_path {
        Some(path) => config::load(path)?.provider.custom.as_ref().map(server::runtime_dir),
        None => None,
    };
    Ok(host::admin_socket(&directory.unwrap_or_else(host::default_runtime_dir)))
}

fn show(args: &Args, status: StatusCode, body: &[u8]) -> anyhow::Result<()> {
    if status != StatusCode::OK {
        bail!("{}", String::from_utf8_lossy(body).trim_end());
    }
    let answer: Value = serde_json::from_slice(body).context("the server's answer is not JSON")?;
    let text = match args.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&answer)?),
        Output::Yaml => format!("---\n{}", yaml(&answer)?),
        Output::Table => format!("{}{}", summary(&answer), problems(&answer)),
        Output::Wide => format!("{}{}", details(&answer), problems(&answer)),
    };
    use std::io::Write as _;
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}

fn items(answer: &Value) -> impl Iterator<Item = (&Value, conditions::Part)> {
    let items = answer["items"].as_array().into_iter().flatten();
    items.flat_map(|item| conditions::parts(item).into_iter().map(move |part| (item, part)))
}

fn summary(answer: &Value) -> String {
    let row = |(item, part): (&Value, conditions::Part)| {
        let kind = item["kind"].as_str().unwrap_or_default().to_owned();
        let conditions: Vec<_> = part.conditions.iter().map(ToString::to_string).collect();
        let routes = part.routes.map(|routes| routes.to_string()).unwrap_or_default();
        vec![kind, conditions::name(item), part.of, routes, conditions.join(" ")]
    };
    let rows: Vec<_> = items(answer).map(row).collect();
    table(&["KIND", "NAME", "OF", "ROUTES", "CONDITIONS"], &rows)
}

fn details(answer: &Value) -> String {
    let rows = items(answer).flat_map(|(item, part)| {
        let kind = item["kind"].as_str().unwrap_or_default().to_owned();
        let generation = item["metadata"]["generation"].to_string();
        let of = part.of;
        part.conditions.into_iter().map(move |condition| {
            let conditions::Condition { name, status, reason, message } = condition;
            vec![kind.clone(), conditions::name(item), generation.clone(), of.clone(), name, status, reason, message]
        })
    });
    let rows: Vec<_> = rows.collect();
    table(&["KIND", "NAME", "GENERATION", "OF", "CONDITION", "STATUS", "REASON", "MESSAGE"], &rows)
}

/// What is wrong with documents, below the table.
fn problems(answer: &Value) -> String {
    let problems = answer["problems"].as_array().into_iter().flatten();
    let lines: Vec<_> = problems
        .filter_map(|problem| serde_json::from_value::<crate::source::Problem>(problem.clone()).ok())
        .map(|problem| format!("{problem}\n"))
        .collect();
    if lines.is_empty() { String::new() } else { format!("\nPROBLEMS OF DOCUMENTS\n{}", lines.concat()) }
}

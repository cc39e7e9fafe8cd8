//! `portcullis translate`: what the server would make of files, without one.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use lower::bootstrap::{TlsFiles, Xds};

use super::print::{Format, documents};
use crate::{
    authority::SERVER_NAME,
    config,
    infra::host::default_runtime_dir,
    offline,
    source::{Severity, file::read_once},
};

/// Prints what the server would make of resources, without a server or an Envoy.
///
/// Exits with 1 when a document breaks its schema; it is named and left out, the rest is translated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis translate -f examples/quickstart/resources
  portcullis translate -f gateway.yaml -f routes/ --to status
  portcullis translate -f gateway.yaml --to bootstrap -o json
  kubectl get gtw,gc,httproute,svc,endpointslices -A -o yaml | portcullis translate -f -")]
pub(super) struct Args {
    /// A file, a directory with all below it, or - for the standard input. May be given several times.
    #[arg(long, short, value_name = "FILE|DIR", required = true)]
    file: Vec<PathBuf>,
    /// What is printed.
    #[arg(long, value_name = "WHAT", default_value = "xds")]
    to: What,
    /// How it looks.
    #[arg(long, short, value_name = "FORMAT", default_value = "yaml")]
    output: Format,
    /// The server's configuration. [default: all extension APIs are on]
    #[arg(long, value_name = "FILE")]
    config_path: Option<PathBuf>,
    /// With --to bootstrap: host and port of the server, for an Envoy of another machine.
    #[arg(long, value_name = "ADDRESS", requires = "certs")]
    xds_address: Option<String>,
    /// With --to bootstrap: the directory envoy of certgen's certificates, on Envoy's machine.
    #[arg(long, value_name = "DIR", requires = "xds_address")]
    certs: Option<String>,
    /// Prints private keys and the like, too.
    #[arg(long)]
    show_secrets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Envoy's resources and those of the rate limit service, one document each, sorted.
    Xds,
    /// The input with status filled in, as if Envoy accepted everything.
    Status,
    /// The resolved gateways, in the form of the program's own types.
    Ir,
    /// What Envoys are started with.
    Bootstrap,
}

/// Where the server is for an Envoy of another machine.
fn remote(args: &Args) -> anyhow::Result<Option<Xds>> {
    let (Some(address), Some(certs)) = (&args.xds_address, &args.certs) else { return Ok(None) };
    let (host, port) = address.rsplit_once(':').context("--xds-address: write host:port")?;
    let tls = TlsFiles {
        authorities: format!("{certs}/ca.crt"),
        certificate: format!("{certs}/tls.crt"),
        key: format!("{certs}/tls.key"),
        server_name: SERVER_NAME.to_owned(),
        documents: None,
    };
    let port = port.parse().context("--xds-address: the port is not a number")?;
    Ok(Some(Xds::Tcp { host: host.trim_matches(['[', ']']).to_owned(), port, tls: Some(tls) }))
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = match &args.config_path {
        Some(path) => config::load(path)?,
        None => config::offline(),
    };
    let once = read_once(&args.file).context("cannot read the resources")?;
    for problem in once.seen.problems.iter().filter(|problem| problem.severity != Severity::Note) {
        eprintln!("{problem}");
    }
    let output = offline::translate(&once.seen, &config);
    match args.to {
        What::Xds => documents(&offline::xds(&output, args.show_secrets), args.output)?,
        What::Status => documents(&offline::status(&once, &output, &config), args.output)?,
        What::Bootstrap => {
            documents(&offline::bootstraps(&output, &default_runtime_dir(), remote(args)?.as_ref())?, args.output)?
        }
        What::Ir => output.fleets.values().for_each(|fleet| println!("{:#?}", fleet.gateway)),
    }
    let broken = once.seen.problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

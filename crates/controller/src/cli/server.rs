//! `portcullis server`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use kit::{Common, telemetry::Levels};

use crate::{
    config,
    server::{Options, prepare, serve},
    xds_server::Network,
};

/// The controller bounds each Envoy's end by the time that its fleet allows; this is for what else may hang.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Runs the controller: reads resources, configures Envoys, and follows every change until it is stopped.
///
/// SIGTERM or Ctrl-C lets Envoys finish what they have; the second one ends them at once. Envoys go on when the
/// controller is killed, and the next one takes them over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  portcullis server --config-path examples/quickstart/standalone.yaml
  portcullis server --config-path standalone.yaml --envoy-path /usr/local/bin/envoy --log-level debug
  portcullis server --config-path standalone.yaml --xds-address 0.0.0.0:18000 --certs certs")]
pub(super) struct Args {
    /// The configuration: a document of kind EnvoyGateway.
    #[arg(long, short, value_name = "FILE")]
    config_path: PathBuf,
    /// The Envoy binary. [default: PORTCULLIS_ENVOY, or envoy on PATH, or the newest that was fetched]
    #[arg(long, value_name = "FILE")]
    envoy_path: Option<PathBuf>,
    /// Host and port at which Envoys of other machines get their configuration. [default: 127.0.0.1:18000 if the
    /// configuration has no infrastructure, else none]
    #[arg(long, value_name = "ADDRESS")]
    xds_address: Option<String>,
    /// The directory of certificates for that address, as certgen makes it or as a Secret of it is mounted (ca.crt,
    /// tls.crt, tls.key). Needed unless it is an address of loopback.
    #[arg(long, value_name = "DIR", requires = "xds_address")]
    certs: Option<PathBuf>,
    /// The directory of the authority (tls.crt and tls.key) that signs the certificates of Envoys in a cluster. Without it
    /// none are run there.
    #[arg(long, value_name = "DIR")]
    authority: Option<PathBuf>,
    /// Log levels, such as info or info,xds=debug. [default: the configuration's]
    #[arg(long, value_name = "LEVELS")]
    log_level: Option<Levels>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match config::load(&args.config_path) {
        Ok(config) => config,
        Err(error) => return kit::report("portcullis", &error),
    };
    let mut common = Common::default();
    common.telemetry.log = config::log_settings(&config.logging);
    if let Some(levels) = &args.log_level {
        common.telemetry.log.level = levels.clone();
    }
    common.drain.deadline = DEADLINE;
    let network = args.xds_address.clone();
    let network = network.map(|address| Network { address, certificates: args.certs.clone() });
    let options = Options {
        config_path: args.config_path.clone(),
        envoy_path: args.envoy_path.clone(),
        network,
        authority: args.authority.clone(),
    };
    let prepared = match prepare(config, &options) {
        Ok(prepared) => prepared,
        Err(error) => return kit::report("portcullis", &*error),
    };
    kit::launch("portcullis", env!("CARGO_PKG_VERSION"), &common, move |kit| serve(kit, prepared))
}

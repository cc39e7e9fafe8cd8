//! `cargo xtask demo`: the quickstart, served by a real Envoy.
//!
//! ```text
//!   curl ──▶ Envoy :8888 ──▶ portcullis-echo :3000
//!              ▲    ├── asks ──▶ portcullis-ratelimit :8081
//!              │    ├── asks ──▶ portcullis-oidc :9191 ──▶ portcullis-idp :9000 (a development identity provider)
//!              │    ├── shows ─▶ portcullis-waf :9291
//!              │    └── tells ─▶ portcullis-exporter :9391 (its live page on :9393)
//!              │ started and configured by       ▲ told by
//!            portcullis server --config-path (a copy of examples/quickstart with the ports asked for, a limit and a login)
//! ```

mod figures;
mod house;
pub(crate) mod pictures;
mod ports;
mod quickstart;
mod requests;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::workspace;
use house::{House, Programs};
use ports::Ports;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask demo
  cargo xtask demo --port 8080 --admin-port 19001
  cargo xtask demo --check             sends the requests itself, then stops; exit code 0 if all is well";

/// How long the server may take from its start until it serves, on a slow and busy machine.
const START: Duration = Duration::from_secs(60);

/// What to run, and where.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Sends the requests itself, prints what came back, and stops; fails if an answer is not as it should be.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    ports: Ports,
    /// The cargo profile to build with.
    #[arg(long, default_value = "release")]
    profile: String,
}

impl Options {
    /// The check, beside whatever else runs on this machine.
    pub(crate) fn check_on_free_ports(profile: &str) -> Self {
        Self { check: true, ports: Ports::any(), profile: profile.to_owned() }
    }
}

/// Builds, starts, and stops again: at the end of the check, on Ctrl-C, or on SIGTERM.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ports = options.ports.claim()?;
    let built = built(&options.profile)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let mut house = House::start(&built.all(), ports)?;
        let outcome = tokio::select! {
            outcome = serve(&mut house, options.check) => outcome,
            _ = interrupt.recv() => Ok(()),
            _ = terminate.recv() => Ok(()),
        };
        let stopped = house.stop().await;
        outcome.and(stopped)
    })
}

/// The programs of the demo, and an Envoy.
struct Built {
    binaries: Vec<PathBuf>,
    envoy: PathBuf,
}

fn built(profile: &str) -> Result<Built> {
    let envoy = testbed::tools::envoy()?;
    workspace::engine_tools()?;
    let binaries = testbed::progress::step(&format!("building ({profile})"), || {
        let programs = [
            "portcullis",
            "portcullis-echo",
            "portcullis-ratelimit",
            "portcullis-oidc",
            "portcullis-idp",
            "portcullis-waf",
            "portcullis-exporter",
        ];
        let packages = ["controller", "testbed", "ratelimit", "oidc", "waf", "exporter"];
        workspace::build(profile, &packages, &programs)
    })?;
    Ok(Built { binaries, envoy })
}

impl Built {
    fn all(&self) -> Programs<'_> {
        let Self { binaries, envoy } = self;
        Programs {
            server: &binaries[0],
            backend: &binaries[1],
            limits: &binaries[2],
            logins: &binaries[3],
            provider: &binaries[4],
            firewall: &binaries[5],
            exporter: &binaries[6],
            envoy,
        }
    }
}

async fn serve(house: &mut House, check: bool) -> Result<()> {
    house.wait_until_it_serves(START).await?;
    if check {
        let before = figures::before(house).await?;
        let sent = requests::check(house.ports()).await?;
        return figures::check(house, &before, &sent).await;
    }
    requests::invite(house.ports());
    house.describe();
    let ended = house.wait_for_an_end().await;
    bail!("{ended}")
}

//! `portcullis envoy`: what stands beside an Envoy in its pod, and lets it finish what it has.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use anyhow::Context as _;
use axum::{Router, routing::get};
use kit::net::Address;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::infra::drain::{Pace, drain};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Answers on /shutdown/ready once it's told to end (SIGTERM), and on /healthz.
    ///
    /// Kubernetes tells it to end when `envoy shutdown` is done. Whoever waits for /shutdown/ready, as the end of Envoy's
    /// container does, so waits until Envoy is drained.
    #[command(after_help = "Examples:\n  portcullis envoy shutdown-manager --listen 0.0.0.0:19002")]
    ShutdownManager {
        /// Where it listens.
        #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:19002")]
        listen: SocketAddr,
    },
    /// Drains an Envoy: ends when it has nothing left to finish. It takes new requests until then.
    #[command(after_help = "\
Examples:
  portcullis envoy shutdown
  portcullis envoy shutdown --drain-timeout 5m --min-drain-duration 0s")]
    Shutdown {
        /// Envoy's admin interface.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:19000")]
        admin: Address,
        /// How long what is in flight is waited for.
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = api::ext::duration::parse)]
        drain_timeout: Duration,
        /// How long it goes on though nothing is in flight.
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = api::ext::duration::parse)]
        min_drain_duration: Duration,
        /// For how long Envoy says to be healthy while it drains already.
        #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = api::ext::duration::parse)]
        health_check_failure_delay: Duration,
    },
}

pub(super) fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        Command::ShutdownManager { listen } => runtime.block_on(manage(*listen))?,
        Command::Shutdown { admin, drain_timeout, min_drain_duration, health_check_failure_delay } => {
            let pace =
                Pace { timeout: *drain_timeout, least: *min_drain_duration, healthy: *health_check_failure_delay };
            runtime.block_on(drain(admin, pace)).with_context(|| format!("Envoy at {admin} cannot be drained"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves until SIGTERM, and answers whoever has waited for it.
async fn manage(listen: SocketAddr) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("listening on {}", listener.local_addr()?);
    let (ending, ended) = watch::channel(false);
    let ready = move || {
        let mut ended = ended.clone();
        async move {
            println!("somebody waits for Envoy to be drained");
            // The sender goes with the last word only.
            let _ = ended.wait_for(|ended| *ended).await;
            "drained\n"
        }
    };
    let routes = Router::new().route("/healthz", get(|| async { "ok\n" })).route("/shutdown/ready", get(ready));
    let told = async move {
        terminate.recv().await;
        ending.send_replace(true);
    };
    axum::serve(listener, routes).with_graceful_shutdown(told).await?;
    Ok(())
}

//! The controller as users run it: a Kubernetes with one node, real Envoys and real requests, and another controller beside it.
//!
//! ```text
//!   for each controller a cluster of its own, one after the other:
//!     fill ─▶ serve (idle, under changes) ─▶ disturb ─┬─▶ the next size
//!                                                     └─▶ churn
//! ```

mod churn;
mod contender;
mod counters;
mod disturb;
mod figures;
mod fill;
mod house;
mod load;
mod manifests;
mod peer;
mod serve;
mod standing;

use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use testbed::cluster::check_root;
use testbed::progress;

use super::Measure;
use crate::interrupt::unless_interrupted;
use contender::Contender;
use figures::Figures;
use house::House;
use serve::Meanwhile;

/// For how long the controller is watched while nothing happens.
const STEADY: Duration = Duration::from_secs(5);
/// The most that the controller may have in memory with 3,000 routes, in MiB.
const MEMORY: (usize, f64) = (3_000, 80.0);

/// How much to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How many routes there are, one size after the other.
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1000,3000")]
    routes: Vec<usize>,
    /// What is measured beside it in the same run.
    #[arg(long, value_name = "NAME", default_value = "envoy-gateway")]
    peer: Peer,
    /// For how long routes are added one by one, for each figure.
    #[arg(long, value_name = "N", default_value_t = 30)]
    seconds: u64,
    /// For how many minutes routes come and go at the end; 20 says whether memory stays.
    #[arg(long, value_name = "MINUTES", default_value_t = 1)]
    churn: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    None,
    EnvoyGateway,
}

pub(super) fn run(options: &Options) -> Result<Vec<Measure>> {
    if !options.routes.is_sorted() || options.routes.first().is_none_or(|&routes| routes < 10) {
        bail!("--routes wants sizes from 10 on, each larger than the one before");
    }
    // Before minutes of building.
    check_root()?;
    let ours = progress::step("building (release)", Contender::portcullis)?;
    let peer = match options.peer {
        Peer::None => None,
        Peer::EnvoyGateway => Some(Contender::envoy_gateway(&ours)?),
    };
    tokio::runtime::Runtime::new()?.block_on(unless_interrupted(compare(options, &ours, peer.as_ref())))
}

async fn compare(options: &Options, ours: &Contender, peer: Option<&Contender>) -> Result<Vec<Measure>> {
    let figures = measure(options, ours).await?;
    match peer {
        Some(peer) => {
            let theirs = measure(options, peer).await?;
            Ok(figures.beside(Some((&peer.name, &theirs))))
        }
        None => Ok(figures.beside(None)),
    }
}

/// All figures of one controller, alone on a fresh cluster.
async fn measure(options: &Options, contender: &Contender) -> Result<Figures> {
    eprintln!("  {}", contender.name);
    let mut house = House::start(contender).await?;
    let mut figures = Figures::default();
    let mut there = 0;
    for &routes in &options.routes {
        fill::run(&mut house, there, routes, &mut figures).await?;
        there = routes;
        steady(&mut house, routes, &mut figures).await?;
        for meanwhile in [Meanwhile::Nothing, Meanwhile::Changes] {
            serve::run(&mut house, routes, meanwhile, options.seconds, &mut figures).await?;
        }
        disturb::run(&mut house, routes, &mut figures).await?;
    }
    if options.churn > 0 {
        churn::run(&mut house, there, options.churn, &mut figures).await?;
    }
    house.stop().await?;
    Ok(figures)
}

/// While nothing happens.
async fn steady(house: &mut House, routes: usize, figures: &mut Figures) -> Result<()> {
    let before = house.count().await?;
    tokio::time::sleep(STEADY).await;
    let cost = house.since(&before).await?;
    let target = (routes == MEMORY.0).then_some(MEMORY.1);
    figures.add_with(format!("controller's memory, {routes} routes"), house.controller.memory()?, "MiB", target);
    figures.add(format!("Envoy's memory, {routes} routes"), house.envoy.memory()?, "MiB");
    figures.add(
        format!("controller's processor while nothing happens, {routes} routes"),
        cost.processor / cost.seconds,
        "ms/s",
    );
    Ok(())
}

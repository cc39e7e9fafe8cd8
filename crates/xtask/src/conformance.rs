//! `cargo xtask conformance`: the official tests of the Gateway API, unmodified, against our controller in a real cluster.
//!
//! ```text
//!   cluster ── resource definitions ── controller (a pod) ◀── the suite (a Go program on this machine)
//!                                        └── Envoys (pods) ◀──┘ │
//!                                       docs/conformance ◀──────┘ report
//! ```

mod claims;
mod deploy;
mod suite;
mod tally;

use std::ops::Deref;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use testbed::cluster::{Channel, Cluster, Handle, Net, check_root};
use testbed::progress;

use crate::interrupt::unless_interrupted;
use crate::{cluster, workspace};
use claims::{Profile, claims};
use suite::Suite;

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask conformance                        all five profiles, 131 tests in some five minutes, and a new report
  cargo xtask conformance --channel standard     the same without retries, which only the experimental channel has
  cargo xtask conformance --profile GATEWAY-TCP
  cargo xtask conformance --run 'HTTPRoute.*Redirect' --keep";

/// What to run, and on what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Runs only the tests whose name matches this regular expression.
    #[arg(long, value_name = "REGEX")]
    run: Option<String>,
    /// Runs only the tests of this profile; may be given several times.
    #[arg(long, value_name = "NAME")]
    profile: Vec<Profile>,
    /// Which resource definitions are installed.
    #[arg(long, value_name = "CHANNEL", default_value = "experimental")]
    channel: Which,
    /// Leaves the cluster up. It is used again by the next run with that name.
    #[arg(long)]
    keep: bool,
    /// The name of the cluster; one that is up is used and stays up.
    #[arg(long, default_value = "conformance")]
    name: String,
    /// The addresses of a cluster that is started, as 10.N [default: free ones].
    #[arg(long, value_name = "10.N")]
    net: Option<Net>,
    /// The cargo profile that the controller is built with.
    #[arg(long, default_value = "release")]
    build: String,
}

/// A channel of the Gateway API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    Standard,
    Experimental,
}

impl Options {
    /// What a run leaves out is no report.
    fn is_whole(&self) -> bool {
        self.run.is_none() && self.profile.is_empty()
    }

    fn profiles(&self) -> &[Profile] {
        if self.profile.is_empty() { Profile::value_variants() } else { &self.profile }
    }
}

/// A cluster of ours, or one that outlives us.
enum Bed {
    Own(Box<Cluster>),
    Kept(Handle),
}

impl Deref for Bed {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        match self {
            Self::Own(cluster) => cluster,
            Self::Kept(handle) => handle,
        }
    }
}

/// Runs the suite, and prints the numbers last.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Before minutes of building.
    check_root()?;
    let program = suite::build()?;
    let built = progress::step(&format!("building ({})", options.build), || deploy::build(&options.build))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(unless_interrupted(test(options, program, &built)))
}

async fn test(options: &Options, program: PathBuf, built: &deploy::Built) -> Result<()> {
    let bed = bed(options).await?;
    let channel = match options.channel {
        Which::Standard => Channel::Standard,
        Which::Experimental => Channel::Experimental,
    };
    deploy::deploy(&bed, channel, built).await?;
    let claims = claims(&deploy::features(&bed).await?, options.profiles(), channel);
    let logs = workspace::target()?.join("conformance");
    std::fs::create_dir_all(&logs)?;
    let name = options.channel.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let report = if options.is_whole() {
        workspace::root().join(format!("docs/conformance/{name}.yaml"))
    } else {
        logs.join(format!("{name}.yaml"))
    };
    let (profiles, run) = (options.profiles(), options.run.as_deref());
    let suite = Suite { program, claims, profiles, channel, run, report: &report };
    let log = logs.join(format!("{name}.log"));
    println!("the suite's own words are in {}", log.display());
    let tally = suite.run(&bed, &log).await?;
    println!("report: {}", report.display());
    if let Bed::Own(cluster) = bed {
        cluster.stop().await?;
    }
    tally.print();
    if tally.holds() { Ok(()) } else { bail!("not everything conforms") }
}

async fn bed(options: &Options) -> Result<Bed> {
    if let Some(handle) = Handle::open(&options.name)? {
        return Ok(Bed::Kept(handle));
    }
    if options.keep {
        return cluster::keep(&options.name, options.net).await.map(Bed::Kept);
    }
    let spec = Cluster::full().name(&options.name);
    let spec = if let Some(net) = options.net { spec.net(net) } else { spec };
    spec.start().await.map(|cluster| Bed::Own(Box::new(cluster)))
}

//! `cargo xtask cluster`: a real Kubernetes of one node, up until it is told to go down.
//!
//! ```text
//!   up ──starts──▶ keep (a process of its own, owner of the cluster) ◀──SIGTERM── down
//!    └── shows what keep prints until the cluster is ready
//! ```

mod down;
mod keep;
mod status;
mod up;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use testbed::cluster::{Cluster, Handle, Image, Net, Spec};

/// Shown below `--help`.
pub(crate) const EXAMPLES: &str = "Examples:
  cargo xtask cluster up
  cargo xtask cluster up --name api --api-only   no node and no pods: ready in three seconds
  cargo xtask cluster up --name two --net 10.222
  cargo xtask cluster load                       build the controller again and give it to the node
  cargo xtask cluster status
  cargo xtask cluster down";

/// The image of the controller.
pub(crate) const IMAGE: &str = "docker.io/portcullis/portcullis:dev";
/// The cluster that is meant when no name is given.
const DEFAULT_NAME: &str = "dev";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a cluster, or says that it is up.
    Up(up::Options),
    /// Builds the controller, the echo backend and the rate limit service, and gives their images to a running cluster.
    Load {
        #[command(flatten)]
        which: Which,
        /// The cargo profile to build with.
        #[arg(long, default_value = "release")]
        profile: String,
    },
    /// Says which clusters are up, what runs in them, and how to use them.
    Status,
    /// Ends a cluster and all that belongs to it.
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Owns a cluster until SIGTERM.
    #[command(hide = true)]
    Keep(Wanted),
}

/// One cluster by name.
#[derive(Debug, Clone, Args)]
pub(crate) struct Which {
    /// The name of the cluster.
    #[arg(long, default_value = DEFAULT_NAME)]
    name: String,
}

/// What a cluster should be like.
#[derive(Debug, Clone, Args)]
pub(crate) struct Wanted {
    #[command(flatten)]
    which: Which,
    /// Its addresses, as 10.N: IPv4 10.N.0.0/16, and an IPv6 network that follows from it [default: free ones].
    #[arg(long, value_name = "10.N")]
    net: Option<Net>,
    /// No node and no pods: etcd, API server and controllers only.
    #[arg(long)]
    api_only: bool,
    /// Lets kwok play nodes and pods that are only numbers.
    #[arg(long, requires = "api_only")]
    kwok: bool,
}

impl Wanted {
    fn spec(&self) -> Spec {
        let spec = if self.api_only { Cluster::api_only() } else { Cluster::full() }.name(&self.which.name);
        let spec = if self.kwok { spec.kwok() } else { spec };
        match self.net {
            Some(net) => spec.net(net),
            None => spec,
        }
    }
}

/// Runs one of the commands.
pub(crate) fn run(command: &Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    match command {
        Command::Up(options) => runtime.block_on(up::run(options)),
        Command::Load { which, profile } => runtime.block_on(up::load(&which.name, profile)),
        Command::Status => status::run(),
        Command::Down { which } => down::run(&which.name),
        Command::Keep(wanted) => runtime.block_on(keep::run(wanted)),
    }
}

/// Starts a cluster with a node that outlives this process.
pub(crate) async fn keep(name: &str, net: Option<Net>) -> Result<Handle> {
    up::start_keeper(&Wanted { which: Which { name: name.to_owned() }, net, api_only: false, kwok: false }).await
}

/// Our own programs, built with that profile: the controller, the echo backend and the rate limit service.
pub(crate) fn own_programs(profile: &str) -> Result<Vec<PathBuf>> {
    let programs = ["portcullis", "portcullis-echo", "portcullis-ratelimit"];
    crate::workspace::build(profile, &["controller", "testbed", "ratelimit"], &programs)
}

/// Their images, under the names of this tree and of this version.
pub(crate) fn own_images(programs: &[PathBuf]) -> Vec<Image> {
    let name = |program: &Path| program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let image = |program: &PathBuf| {
        let tagged = |tag: &str| format!("docker.io/portcullis/{}:{tag}", name(program));
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        Image::of(&tagged("dev"), program).also(&tagged(version)).user("65532:65532")
    };
    programs.iter().map(image).collect()
}

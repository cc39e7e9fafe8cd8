//! Starting a cluster that outlives the command.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use testbed::cluster::{Handle, check_root, is_held};
use testbed::progress;
use tokio::signal::unix::{SignalKind, signal};

use super::{Wanted, down, own_images, own_programs, status};

/// How often the keeper's words are looked at.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
#[command(after_help = super::EXAMPLES)]
pub(crate) struct Options {
    #[command(flatten)]
    wanted: Wanted,
    /// The cargo profile that our own programs are built with.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Starts the cluster without our own images.
    #[arg(long)]
    no_build: bool,
}

/// Starts a cluster unless it is there, and says how to use it.
pub(super) async fn run(options: &Options) -> Result<()> {
    // Before minutes of building.
    check_root()?;
    let name = &options.wanted.which.name;
    if let Some(handle) = Handle::open(name)? {
        println!("cluster {name} is up already");
        return status::describe(&handle);
    }
    if is_held(name)? {
        bail!("cluster {name} is just starting or ending; `cargo xtask cluster status` says when it is up");
    }
    let spec = options.wanted.spec();
    tokio::task::spawn_blocking(move || spec.prepare()).await??;
    let with_images = !options.no_build && !options.wanted.api_only;
    let programs = if with_images {
        progress::step(&format!("building ({})", options.profile), || own_programs(&options.profile))?
    } else {
        Vec::new()
    };
    let handle = start_keeper(&options.wanted).await?;
    for image in &own_images(&programs) {
        handle.import(image).await?;
    }
    status::describe(&handle)
}

/// Builds our own images anew and gives them to a cluster.
pub(super) async fn load(name: &str, profile: &str) -> Result<()> {
    let Some(handle) = Handle::open(name)? else { bail!("no cluster {name} is up: run `cargo xtask cluster up`") };
    for image in own_images(&own_programs(profile)?) {
        handle.import(&image).await?;
        println!("{}", image.name());
    }
    Ok(())
}

/// Starts the process that owns the cluster, and waits until the cluster is ready. When this is interrupted, nothing stays.
pub(super) async fn start_keeper(wanted: &Wanted) -> Result<Handle> {
    let name = &wanted.which.name;
    let words = tempfile::NamedTempFile::new()?;
    let mut keeper = keeper(wanted, words.as_file())?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut unread = words.reopen()?;
    loop {
        show(&mut unread)?;
        if let Some(status) = keeper.try_wait()? {
            show(&mut unread)?;
            bail!("the cluster did not start ({status})");
        }
        if let Some(handle) = Handle::open(name)? {
            show(&mut unread)?;
            return Ok(handle);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = interrupt.recv() => return interrupted(keeper),
            _ = terminate.recv() => return interrupted(keeper),
        }
    }
}

/// The keeper, in a session of its own: no terminal ends it.
fn keeper(wanted: &Wanted, words: &File) -> Result<Child> {
    let mut command = Command::new("setsid");
    command.arg(std::env::current_exe()?).args(["cluster", "keep", "--name", &wanted.which.name]);
    if let Some(net) = wanted.net {
        command.args(["--net", &net.to_string()]);
    }
    command.args(wanted.api_only.then_some("--api-only")).args(wanted.kwok.then_some("--kwok"));
    command.current_dir("/").stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words.try_clone()?);
    command.spawn().context("cannot run setsid")
}

fn interrupted(mut keeper: Child) -> Result<Handle> {
    eprintln!("interrupted: taking down what is there");
    down::end(keeper.id())?;
    keeper.wait()?;
    bail!("interrupted")
}

fn show(words: &mut File) -> Result<()> {
    std::io::copy(words, &mut std::io::stderr())?;
    Ok(())
}

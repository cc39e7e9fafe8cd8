//! The namespaces that a cluster lives in: processes, mounts, network and host name of its own.
//!
//! ```text
//!   this process ──setpriv──▶ unshare ──fork──▶ init.sh (process 1 in there) ◀── nsenter: every daemon
//!        dies ───────KILL──────▶ dies ───KILL─────▶ dies ───────KILL──────────────▶ all die
//! ```
//!
//! When process 1 of a PID namespace ends, the kernel kills all others in it; the last one out takes mounts, network devices,
//! routes and firewall rules with it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::claim::Claim;
use super::net::Net;
use super::place::Place;
use crate::PATIENCE;
use crate::process::{Process, Spec};
use crate::wait::{wait_for, wait_until_blocking};

/// How long the kernel may take to end everything.
const END: Duration = Duration::from_secs(30);

/// What the daemons find on PATH.
const PATH: &str = "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/cni";

/// The namespaces. Dropping this ends everything in them, and waits until that is done.
#[derive(Debug)]
pub(super) struct Namespaces {
    unshare: Process,
    inside: Inside,
    cable: Option<Cable>,
}

/// The cable between this machine and the node.
#[derive(Debug)]
struct Cable {
    net: Net,
    /// Outlasts the cable itself, so that a cable of that name is this one's, until it is gone.
    _claim: Claim,
}

/// A way into the namespaces: process 1, as this machine numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside {
    pub(super) init: u32,
}

impl Namespaces {
    /// Makes the namespaces and the node's view of the file system.
    pub(super) async fn create(place: &Place, programs: &Path) -> Result<Self> {
        let mut unshare = Spec::new("unshare")
            .args(["--net", "--mount", "--pid", "--uts", "--fork", "--kill-child=SIGKILL", "--"])
            .args(["sh", "-c", include_str!("init.sh"), "init", place.name()])
            .args([place.dir(), programs])
            .log_to(place.log("init"))
            .start()?;
        unshare.wait_for_line(PATIENCE, |line| line == "ready").await.context("cannot make the node's namespaces")?;
        let id = unshare.pid();
        let children = format!("/proc/{id}/task/{id}/children");
        let init = wait_for("process 1 of the namespaces", PATIENCE, async || {
            std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        let inside = Inside { init: init.await? };
        Ok(Self { unshare, inside, cable: None })
    }

    pub(super) fn inside(&self) -> Inside {
        self.inside
    }

    /// Lays a cable between this machine and the node, and so takes the addresses; an error if they are in use.
    pub(super) async fn claim(&mut self, net: Net) -> Result<()> {
        let (link, init) = (net.link(), self.inside.init.to_string());
        let (all4, all6) = net.whole();
        let claim = Claim::take(&link)?.with_context(|| format!("the network {net} is in use by another cluster"))?;
        for (family, all) in [("-4", all4), ("-6", all6)] {
            let routes =
                self.inside.on_machine("ip", &words(&format!("{family} route show table all root {all}"))).await?;
            if let Some(route) = routes.lines().next() {
                bail!("the network {net} is in use: this machine has the route {}", route.trim());
            }
        }
        let add = format!("link add {link} type veth peer name eth0 netns {init}");
        self.inside.on_machine("ip", &words(&add)).await.with_context(|| format!("the network {net} is in use"))?;
        self.cable = Some(Cable { net, _claim: claim });
        Ok(())
    }

    /// Gives both ends of the cable their addresses and routes.
    pub(super) async fn connect(&self) -> Result<()> {
        let net = self.cable.as_ref().context("no network was claimed")?.net;
        let (inside, link) = (self.inside, net.link());
        let (host4, host6) = net.host();
        let (node4, node6) = net.node();
        let (all4, all6) = net.whole();
        for line in [
            format!("addr add {host4}/30 dev {link}"),
            format!("-6 addr add {host6}/126 dev {link} nodad"),
            format!("link set {link} up"),
        ] {
            inside.on_machine("ip", &words(&line)).await?;
        }
        for line in [
            format!("addr add {node4}/30 dev eth0"),
            format!("-6 addr add {node6}/126 dev eth0 nodad"),
            "link set eth0 up".to_owned(),
        ] {
            inside.run("ip", &words(&line)).await?;
        }
        for line in [format!("route add {all4} via {node4}"), format!("-6 route add {all6} via {node6} dev {link}")] {
            inside.on_machine("ip", &words(&line)).await?;
        }
        Ok(())
    }
}

/// The words of a command line without quotes.
fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // A number is only good while its process lives.
        if self.unshare.exited().is_none() {
            let _ = kill(Pid::from_raw(self.inside.init.cast_signed()), Signal::SIGKILL);
        }
        // Its parent ends when the kernel has ended all others.
        let ended = wait_until_blocking("the end of the namespaces", END, || self.unshare.exited().is_some());
        let unplugged = wait_until_blocking("the cable to be gone", END, || {
            self.cable.as_ref().is_none_or(|cable| !Path::new("/sys/class/net").join(cable.net.link()).exists())
        });
        if let Err(error) = ended.and(unplugged) {
            eprintln!("{error:#}");
        }
    }
}

impl Inside {
    /// A daemon to be started inside. It sees nothing of this process's environment.
    pub(super) fn daemon(self, program: impl AsRef<Path>, place: &Place) -> Spec {
        let program = program.as_ref();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Spec::new("nsenter")
            .args(self.target(&["--mount", "--net", "--pid", "--uts"]))
            .args(["env", "-i", PATH, "HOME=/root"])
            .arg(format!("TMPDIR={}/tmp", place.dir().display()))
            .arg(program)
            .log_to(place.log(&name))
            .named(&name)
    }

    /// Runs a command inside to its end, and gives what it printed.
    pub(super) async fn run(self, program: impl AsRef<OsStr>, args: &[impl AsRef<OsStr>]) -> Result<String> {
        self.enter(&["--mount", "--net", "--pid", "--uts"], program.as_ref(), args).await
    }

    /// Runs one of the node's programs in this machine's network.
    async fn on_machine(self, program: &str, args: &[String]) -> Result<String> {
        self.enter(&["--mount"], program.as_ref(), args).await
    }

    async fn enter(self, namespaces: &[&str], program: &OsStr, args: &[impl AsRef<OsStr>]) -> Result<String> {
        let mut command = tokio::process::Command::new("nsenter");
        command.args(self.target(namespaces)).args(["env", PATH]).arg(program).args(args);
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await.context("nsenter")?;
        if !output.status.success() {
            let words: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            bail!("{} {}: {reason}", program.to_string_lossy(), words.join(" "));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn target(self, namespaces: &[&str]) -> Vec<String> {
        let target = ["--target".to_owned(), self.init.to_string()];
        target.into_iter().chain(namespaces.iter().map(|&one| one.to_owned())).chain(["--".to_owned()]).collect()
    }
}

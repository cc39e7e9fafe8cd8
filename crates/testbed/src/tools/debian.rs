//! Tools that come as Debian packages: unpacked into the cache, so that no service is installed or started by it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::cache;
use crate::progress;

/// Where Redis is in its tree.
const REDIS: &str = "usr/bin/redis-server";
/// Where Chromium is.
const CHROMIUM: &str = "usr/lib/chromium/chromium-headless-shell";

/// A `redis-server` that runs from the cache.
pub(super) fn redis(packages: &[String]) -> Result<PathBuf> {
    let by_hand = "run `apt-get update && apt-get install redis-server` as root, then try again";
    let dir = cache::entry("redis", |dir| {
        progress::step("redis-server: downloading (2 MB)", || unpack(packages, dir)).context(by_hand)?;
        launcher(dir, "redis-server", REDIS, "--version").context(by_hand)
    })?;
    Ok(dir.join("redis-server"))
}

/// A Chromium without a screen that runs from the cache.
pub(super) fn chromium(packages: &[String]) -> Result<PathBuf> {
    let dir = cache::entry(&format!("chromium-{}", cache::key(&packages.join(" "))), |dir| {
        progress::step("chromium: downloading (90 MB)", || unpack(packages, dir))?;
        launcher(dir, "chromium", CHROMIUM, "--version")
    })?;
    Ok(dir.join("chromium"))
}

/// The program that the launcher starts, and the tree with its libraries.
pub(super) fn redis_program(packages: &[String]) -> Result<(PathBuf, PathBuf)> {
    let root = redis(packages)?.with_file_name("root");
    Ok((root.join(REDIS), root))
}

/// An `nginx` that runs from the cache, and its module ModSecurity.
pub(super) fn nginx(packages: &[String]) -> Result<(PathBuf, PathBuf)> {
    let dir = cache::entry(&format!("nginx-{}", cache::key(&packages.join(" "))), |dir| {
        progress::step("nginx, ModSecurity: downloading (12 MB)", || unpack(packages, dir))?;
        launcher(dir, "nginx", "usr/sbin/nginx", "-v")
    })?;
    let module = dir.join("root/usr/lib/nginx/modules/ngx_http_modsecurity_module.so");
    Ok((dir.join("nginx"), module))
}

/// The directory with `prometheus` and `promtool`. They need no library but the C library.
pub(super) fn prometheus(packages: &[String]) -> Result<PathBuf> {
    let dir = cache::entry(&format!("prometheus-{}", cache::key(&packages.join(" "))), |dir| {
        progress::step("prometheus: downloading (19 MB)", || unpack(packages, dir))
    })?;
    Ok(dir.join("root/usr/bin"))
}

/// A tree for `/usr` with what a Kubernetes node runs beside Kubernetes, to be laid over the machine's own.
pub(super) fn node(packages: &[String]) -> Result<PathBuf> {
    let dir = cache::entry(&format!("node-{}", cache::key(&packages.join(" "))), |dir| {
        progress::step("containerd, runc, CNI plugins, nftables: downloading (38 MB)", || unpack(packages, dir))?;
        merge_usr(&dir.join("root"))
    })?;
    Ok(dir.join("root/usr"))
}

/// Moves what the packages put into `/bin`, `/sbin` and `/lib` to where a Debian with a merged `/usr` has it, and gives
/// iptables the names that its installation script would give it.
fn merge_usr(root: &Path) -> Result<()> {
    for name in ["bin", "sbin", "lib"] {
        let top = root.join(name);
        if top.is_dir() {
            let copied = Command::new("cp").arg("-a").arg(top.join(".")).arg(root.join("usr").join(name)).output()?;
            if !copied.status.success() {
                bail!("cannot merge {name}: {}", text(&copied));
            }
        }
    }
    for name in ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"] {
        std::os::unix::fs::symlink("xtables-nft-multi", root.join("usr/sbin").join(name))?;
    }
    Ok(())
}

fn unpack(packages: &[String], dir: &Path) -> Result<()> {
    let debs = dir.join("debs");
    fs::create_dir(&debs)?;
    // Apt drops root for a user of its own while it downloads; that user must be able to write here.
    fs::set_permissions(&debs, fs::Permissions::from_mode(0o777))?;
    if !download(packages, &debs)?.status.success() {
        // Fresh machines have no package lists yet, and only root may fetch them.
        let updated = apt().args(["update", "-qq"]).output().context("no apt-get here")?;
        let again = download(packages, &debs)?;
        if !again.status.success() {
            bail!("{}{}", text(&updated), text(&again));
        }
    }
    let root = dir.join("root");
    for deb in fs::read_dir(&debs)? {
        let unpacked = Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(&root).output().context("dpkg-deb")?;
        if !unpacked.status.success() {
            bail!("cannot unpack: {}", text(&unpacked));
        }
    }
    Ok(fs::remove_dir_all(&debs)?)
}

fn apt() -> Command {
    Command::new("apt-get")
}

fn download(packages: &[String], into: &Path) -> Result<Output> {
    apt().args(["download", "-qq"]).args(packages).current_dir(into).output().context("no apt-get here")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A script beside the unpacked tree that lets a program of it find the libraries unpacked with it. `version` asks the program for
/// its version, which shows that it runs.
fn launcher(dir: &Path, name: &str, program: &str, version: &str) -> Result<()> {
    let script = dir.join(name);
    let body = format!(
        "#!/bin/sh\n\
         root=\"$(dirname \"$0\")/root\"\n\
         libraries=$(find \"$root\" -name '*.so*' -exec dirname {{}} + | sort -u | tr '\\n' ':')\n\
         LD_LIBRARY_PATH=\"$libraries\" exec \"$root/{program}\" \"$@\"\n"
    );
    fs::write(&script, body)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let run = Command::new(&script).arg(version).output()?;
    if !run.status.success() {
        bail!("the unpacked {name} does not run: {}", text(&run));
    }
    Ok(())
}

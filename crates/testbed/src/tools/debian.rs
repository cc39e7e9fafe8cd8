//! Tools that come as Debian packages: unpacked into the cache, so that no service is installed or started by it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

use super::cache;
use crate::progress;

const BY_HAND: &str = "run `apt-get update && apt-get install redis-server` as root, then try again";

/// A `redis-server` that runs from the cache.
pub(super) fn redis(packages: &[String]) -> Result<PathBuf> {
    let dir =
        cache::entry("redis", |dir| progress::step("redis-server: downloading (2 MB)", || unpack(packages, dir)))?;
    Ok(dir.join("redis-server"))
}

fn unpack(packages: &[String], dir: &Path) -> Result<()> {
    let debs = dir.join("debs");
    fs::create_dir(&debs)?;
    // Apt drops root for a user of its own while it downloads; that user must be able to write here.
    fs::set_permissions(&debs, fs::Permissions::from_mode(0o777))?;
    if !download(packages, &debs)?.status.success() {
        // Fresh machines have no package lists yet, and only root may fetch them.
        let updated = apt().args(["update", "-qq"]).output().with_context(|| format!("no apt-get here: {BY_HAND}"))?;
        let again = download(packages, &debs)?;
        if !again.status.success() {
            bail!("{}{}\n{BY_HAND}", text(&updated), text(&again));
        }
    }
    let root = dir.join("root");
    for deb in fs::read_dir(&debs)? {
        let unpacked = Command::new("dpkg-deb").arg("-x").arg(deb?.path()).arg(&root).output().context("dpkg-deb")?;
        if !unpacked.status.success() {
            bail!("cannot unpack: {}", text(&unpacked));
        }
    }
    fs::remove_dir_all(&debs)?;
    launcher(dir)
}

fn apt() -> Command {
    Command::new("apt-get")
}

fn download(packages: &[String], into: &Path) -> Result<Output> {
    apt()
        .args(["download", "-qq"])
        .args(packages)
        .current_dir(into)
        .output()
        .with_context(|| format!("no apt-get here: {BY_HAND}"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A script beside the unpacked tree that lets the server find the libraries unpacked with it.
fn launcher(dir: &Path) -> Result<()> {
    let script = dir.join("redis-server");
    let body = "#!/bin/sh\n\
        root=\"$(dirname \"$0\")/root\"\n\
        libraries=$(find \"$root\" -name '*.so*' -exec dirname {} + | sort -u | tr '\\n' ':')\n\
        LD_LIBRARY_PATH=\"$libraries\" exec \"$root/usr/bin/redis-server\" \"$@\"\n";
    fs::write(&script, body)?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let run = Command::new(&script).arg("--version").output()?;
    if !run.status.success() {
        bail!("the unpacked redis-server does not run: {}\n{BY_HAND}", text(&run));
    }
    Ok(())
}

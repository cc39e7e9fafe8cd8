//! The node's place in each cgroup hierarchy of the machine.
//!
//! The kubelet wants its root to exist in every hierarchy of version 1, the named one of systemd too, and makes the pods' groups
//! below. Only the node's pods are in these groups.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Handle;
use crate::wait::wait_until_blocking;

const ROOT: &str = "/sys/fs/cgroup";

/// What all pods together weigh where processors are short. By default it would be as much as one thread of the machine's, and
/// the API server, which no real node shares its processors with, would have Envoy wait.
const SHARES: &str = "8192";

/// How long dead processes may stay in a group.
const LETTING_GO: Duration = Duration::from_secs(10);

/// The path of the node's group in each hierarchy, as the kubelet is told.
pub(super) fn path(name: &str) -> String {
    format!("/portcullis-{name}")
}

/// Makes the node's group in every hierarchy.
pub(super) fn create(name: &str) -> Result<()> {
    if Path::new(ROOT).join("cgroup.controllers").exists() {
        bail!(
            "{ROOT} is one unified hierarchy; the node needs the hierarchies of cgroup version 1 \
             (boot with systemd.unified_cgroup_hierarchy=0), or take a cluster without pods"
        );
    }
    for group in groups(name) {
        fs::create_dir_all(&group).with_context(|| format!("cannot create {}", group.display()))?;
        if group.join("cpu.shares").exists() {
            fs::write(group.join("cpu.shares"), SHARES)?;
        }
        let above = group.parent().unwrap_or(Path::new(ROOT));
        // A new cpuset has neither processors nor memory, and no process can be put into it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            if above.join(file).exists() && above.ends_with("cpuset") {
                fs::write(group.join(file), fs::read(above.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Removes the node's groups with all groups below. Their processes must be dead or dying.
pub(super) fn remove(name: &str) -> Result<()> {
    for group in groups(name) {
        let what = format!("{} to be empty", group.display());
        wait_until_blocking(&what, LETTING_GO, || {
            remove_tree(&group);
            !group.exists()
        })?;
    }
    Ok(())
}

/// The memory of a container on a node.
#[derive(Debug)]
pub struct Memory(PathBuf);

impl Memory {
    /// Finds it by the container's id, as its pod's status has it.
    pub(super) fn of(node: &Handle, container: &str) -> Result<Self> {
        node.control_group("memory", container).map(Self)
    }

    /// How many bytes it has.
    pub fn used(&self) -> Result<u64> {
        let file = self.0.join("memory.usage_in_bytes");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Ok(text.trim().parse()?)
    }

    /// Lets it have no more than so many bytes, until it is started again: one that wants more is killed.
    pub fn limit(&self, bytes: u64) -> Result<()> {
        let file = self.0.join("memory.limit_in_bytes");
        fs::write(&file, bytes.to_string()).with_context(|| format!("cannot write {bytes} to {}", file.display()))
    }
}

impl Handle {
    /// The control group of a container in a hierarchy, such as `cpuacct`, by the container's id as its pod's status has it
    /// (without `containerd://`).
    pub fn control_group(&self, hierarchy: &str, container: &str) -> Result<PathBuf> {
        let root = Path::new(ROOT).join(hierarchy).join(path(self.name()).trim_start_matches('/'));
        find(&root, container).with_context(|| format!("no container {container} runs on {}", self.name()))
    }
}

/// The group of that name, at any depth.
fn find(group: &Path, name: &str) -> Option<PathBuf> {
    let below = fs::read_dir(group).ok()?.flatten().map(|entry| entry.path());
    below
        .filter(|path| path.is_dir())
        .find_map(|path| if path.ends_with(name) { Some(path) } else { find(&path, name) })
}

fn groups(name: &str) -> Vec<PathBuf> {
    let Ok(hierarchies) = fs::read_dir(ROOT) else { return Vec::new() };
    let below = path(name);
    let real = |hierarchy: &PathBuf| hierarchy.join("cgroup.procs").exists();
    let hierarchies = hierarchies.filter_map(|entry| Some(entry.ok()?.path())).filter(real);
    hierarchies.map(|hierarchy| hierarchy.join(below.trim_start_matches('/'))).collect()
}

/// A group is removed like an empty directory, though it shows files.
fn remove_tree(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    // Not yet empty: the caller tries again.
    let _ = fs::remove_dir(group);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pods/burstable/pod1/abc")).unwrap();
        assert_eq!(find(dir.path(), "abc"), Some(dir.path().join("pods/burstable/pod1/abc")));
        assert_eq!(find(dir.path(), "none"), None);
    }
}

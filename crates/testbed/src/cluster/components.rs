//! Which components of a cluster run: those that have a log should.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Handle;

/// A component of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The name of its program; also of its log.
    pub name: String,
    /// Whether it runs.
    pub runs: bool,
}

impl Handle {
    /// All components that were started, by name.
    pub fn components(&self) -> Result<Vec<Component>> {
        let running = programs_in(&pid_namespace(&self.init().to_string()));
        let mut components = Vec::new();
        for log in fs::read_dir(self.logs())? {
            let name = log?.path().file_stem().unwrap_or_default().to_string_lossy().into_owned();
            // The first process is a shell, and without it there would be no cluster.
            if name != "init" {
                components.push(Component { runs: running.contains(&name), name });
            }
        }
        components.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(components)
    }
}

/// What a process's PID namespace is called; empty for one that is gone.
fn pid_namespace(process: &str) -> String {
    let link = fs::read_link(format!("/proc/{process}/ns/pid"));
    link.map(|name| name.display().to_string()).unwrap_or_default()
}

/// The programs that run in a PID namespace.
fn programs_in(namespace: &str) -> BTreeSet<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().into_string().ok());
    let ids = ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    let inside = ids.filter(|id| !namespace.is_empty() && pid_namespace(id) == namespace);
    inside.filter_map(|id| program(&id)).collect()
}

fn program(process: &str) -> Option<String> {
    let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let program = String::from_utf8_lossy(line.split(|&byte| byte == 0).next()?).into_owned();
    Some(Path::new(&program).file_name()?.to_string_lossy().into_owned())
}

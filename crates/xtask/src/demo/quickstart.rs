//! A copy of `examples/quickstart` in which the ports are the ones asked for.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ports::Ports;
use crate::workspace::root;

/// Writes the copy into `dir` and gives the path of the server's configuration.
pub(super) fn copy_to(dir: &Path, ports: Ports) -> Result<PathBuf> {
    let example = root().join("examples/quickstart");
    let resources = dir.join("resources");
    fs::create_dir_all(&resources)?;
    for entry in fs::read_dir(example.join("resources"))? {
        let file = entry?.path();
        let text = fs::read_to_string(&file)?
            .replace("port: 8888", &format!("port: {}", ports.gateway))
            .replace("port: 3000", &format!("port: {}", ports.backend));
        fs::write(resources.join(file.file_name().context("a file has a name")?), text)?;
    }
    let text = fs::read_to_string(example.join("standalone.yaml"))?;
    let text = swap(&text, "examples/quickstart/resources", &resources.display().to_string())?;
    // Not that of the user, which another demo or server may be using.
    let runtime = format!("host: {{runtimeDir: {}}}", dir.join("run").display());
    let text = swap(&text, "host: {}", &runtime)?;
    let config = dir.join("standalone.yaml");
    fs::write(&config, swap(&text, "port: 19000", &format!("port: {}", ports.admin))?)?;
    Ok(config)
}

/// Replaces what must be there.
fn swap(text: &str, from: &str, to: &str) -> Result<String> {
    if !text.contains(from) {
        bail!("examples/quickstart/standalone.yaml no longer says `{from}`, which the demo replaces");
    }
    Ok(text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_asked_for_and_the_runtime_directory_is_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let config = copy_to(dir.path(), Ports { gateway: 1, admin: 2, backend: 3 }).unwrap();
        let mut all = fs::read_to_string(config).unwrap();
        for entry in fs::read_dir(dir.path().join("resources")).unwrap() {
            all.push_str(&fs::read_to_string(entry.unwrap().path()).unwrap());
        }
        for (there, gone) in [("port: 1\n", "8888"), ("port: 2\n", "19000"), ("port: 3\n", "3000")] {
            assert!(all.contains(there) && !all.contains(gone), "{all}");
        }
        assert!(all.contains(&format!("runtimeDir: {}/run", dir.path().display())), "{all}");
    }
}

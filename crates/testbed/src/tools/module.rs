//! Go modules of our own that pin others: what is built and taken from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cache;
use crate::progress;

/// A module, as compiled in.
#[derive(Debug)]
pub(super) struct Module {
    /// Paths below its directory, and contents; `go.mod` comes first.
    pub(super) sources: &'static [(&'static str, &'static str)],
}

/// Something to be built from a module.
pub(super) struct Build<'a> {
    pub(super) name: &'a str,
    pub(super) package: &'a str,
    /// What go is told to make: a program, or one of a package's tests.
    pub(super) make: &'a [&'a str],
    pub(super) linker_flags: &'a str,
}

impl Module {
    /// The version of a pinned module, as `v1.36.3`, if this one pins it.
    pub(super) fn version(&self, module: &str) -> Option<&'static str> {
        let find = |line: &'static str| {
            let mut words = line.trim().trim_start_matches("require ").split_whitespace();
            if words.next() == Some(module) { words.next().filter(|word| word.starts_with('v')) } else { None }
        };
        self.sources[0].1.lines().find_map(find)
    }

    /// The executable of a program, built if it is not in the cache. The name of the entry changes with every pin.
    pub(super) fn build(&self, what: &Build<'_>) -> Result<PathBuf> {
        let Build { name, package, make, linker_flags } = *what;
        let dir = cache::entry(&format!("{name}-{}", self.pin()), |dir| {
            progress::step(&format!("{name}: building (the first time takes minutes)"), || {
                self.with_sources(dir, |sources| {
                    let mut build = go(sources)?;
                    build.args(make).args(["-trimpath", "-ldflags", linker_flags, "-o"]).arg(dir.join(name));
                    run(build.arg(package)).map(drop)
                })
            })
        })?;
        Ok(dir.join(name))
    }

    /// A copy of a directory of a pinned module.
    pub(super) fn dir(&self, module: &str, version: &str, dir: &str) -> Result<PathBuf> {
        let is_major = |part: &str| part.strip_prefix('v').is_some_and(|major| major.parse::<u32>().is_ok());
        let leaf = module.rsplit('/').find(|part| !is_major(part)).unwrap_or(module);
        let name = format!("{leaf}-{}-{version}", dir.replace('/', "-"));
        cache::entry(&name, |into| {
            self.with_sources(into, |sources| {
                run(go(sources)?.args(["mod", "download", module]))?;
                let listed = run(go(sources)?.args(["list", "-m", "-f", "{{.Dir}}", module]))?;
                let from = Path::new(listed.trim()).join(dir);
                copy_files(&from, into).with_context(|| format!("{module} has no {dir}"))
            })
        })
    }

    fn pin(&self) -> String {
        cache::key(&self.sources.iter().flat_map(|(path, content)| [*path, *content]).collect::<String>())
    }

    /// Lays the module's files into a directory below `dir` for the time of `work`.
    fn with_sources<T>(&self, dir: &Path, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let sources = dir.join("module");
        for (path, content) in self.sources {
            let file = sources.join(path);
            fs::create_dir_all(file.parent().unwrap_or(&sources))?;
            fs::write(file, content)?;
        }
        let done = work(&sources)?;
        fs::remove_dir_all(&sources)?;
        Ok(done)
    }
}

fn go(sources: &Path) -> Result<Command> {
    let mut command = Command::new(super::go()?);
    // The pins are complete: nothing may change them, and no setting of the caller may.
    command.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOWORK", "off");
    command.current_dir(sources);
    Ok(command)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Copies the files of a directory and below. The module cache is read-only; the copies are not.
fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
        } else {
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

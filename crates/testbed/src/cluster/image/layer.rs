//! The files of an image.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tar::{Builder, EntryType, Header};

/// Paths without a leading slash; files before the directories' names make no difference, they are written in order of path.
pub(super) struct Layer {
    entries: BTreeMap<String, Entry>,
}

enum Entry {
    Directory(u32),
    Text(&'static str),
    Program(PathBuf),
}

impl Layer {
    /// What programs expect everywhere: users by name, and a place for temporary files.
    pub(super) fn new() -> Self {
        let users = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n\
                     nobody:x:65534:65534:nobody:/:/sbin/nologin\n";
        let entries = [
            ("etc".to_owned(), Entry::Directory(0o755)),
            ("etc/passwd".to_owned(), Entry::Text(users)),
            ("etc/group".to_owned(), Entry::Text("root:x:0:\nnonroot:x:65532:\n")),
            ("etc/nsswitch.conf".to_owned(), Entry::Text("hosts: files dns\n")),
            ("tmp".to_owned(), Entry::Directory(0o1777)),
        ];
        Self { entries: entries.into() }
    }

    /// Adds a program at a path, and the libraries that it is linked with at theirs: below `root`, where they are found there.
    pub(super) fn add_program(&mut self, program: &Path, inside: &str, root: Option<&Path>) -> Result<()> {
        let real = program.canonicalize().with_context(|| format!("there is no {}", program.display()))?;
        for library in libraries(&real, root)? {
            let found = Path::new(&library);
            let below = root.and_then(|root| found.strip_prefix(root).ok());
            let path = below.unwrap_or(found).display().to_string();
            self.add(path.trim_start_matches('/').to_owned(), found.canonicalize()?);
        }
        self.add(inside.to_owned(), real);
        Ok(())
    }

    fn add(&mut self, path: String, file: PathBuf) {
        let mut above = Path::new(&path).parent();
        while let Some(dir) = above.filter(|dir| !dir.as_os_str().is_empty()) {
            self.entries.entry(dir.display().to_string()).or_insert(Entry::Directory(0o755));
            above = dir.parent();
        }
        self.entries.insert(path, Entry::Program(file));
    }

    /// Writes them as a tar file: no times, no owners, nothing that differs from one machine to the next.
    pub(super) fn write(&self, to: impl Write) -> Result<()> {
        let mut tar = Builder::new(to);
        for (path, entry) in &self.entries {
            match entry {
                Entry::Directory(mode) => {
                    let mut header = header(EntryType::Directory, *mode, 0);
                    tar.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                }
                Entry::Text(text) => {
                    tar.append_data(&mut header(EntryType::Regular, 0o644, text.len() as u64), path, text.as_bytes())?;
                }
                Entry::Program(file) => {
                    let size = fs::metadata(file)?.len();
                    tar.append_data(&mut header(EntryType::Regular, 0o755, size), path, File::open(file)?)?;
                }
            }
        }
        tar.into_inner()?.flush()?;
        Ok(())
    }
}

pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

/// What `ldd` says that a program needs, loader included; nothing for one that is linked statically.
fn libraries(program: &Path, root: Option<&Path>) -> Result<Vec<String>> {
    let mut ldd = Command::new("ldd");
    if let Some(root) = root {
        let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        ldd.env("LD_LIBRARY_PATH", root.join(machine));
    }
    let output = ldd.arg(program).output().context("cannot run ldd")?;
    if !output.status.success() {
        // "not a dynamic executable"
        return Ok(Vec::new());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(missing) = text.lines().find(|line| line.contains("not found")) {
        bail!("{} does not run here: {}", program.display(), missing.trim());
    }
    // `libm.so.6 => /lib/libm.so.6 (0x…)`, `/lib64/ld-linux.so.2 (0x…)`, and `linux-vdso.so.1 (0x…)`, which is no file.
    let path = |line: &str| {
        let word = line.rsplit("=> ").next()?.split_whitespace().next()?;
        word.starts_with('/').then(|| word.to_owned())
    };
    Ok(text.lines().filter_map(path).collect())
}

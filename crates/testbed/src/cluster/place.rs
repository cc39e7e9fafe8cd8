//! Where a cluster keeps its files, and the claim on its name.
//!
//! ```text
//!   <cache>/clusters/NAME/        everything, gone when the cluster is
//!   <cache>/clusters/NAME.lock    held by the process that the cluster lives and dies with
//! ```
//!
//! The node's cgroups are named by the cluster alone: beside the lock there is a [`Claim`] on the name, which clusters of other
//! caches respect.
//!
//! The kernel releases the lock with its holder, however that ended. So a directory whose lock is free belongs to nobody: whoever
//! comes next sweeps it up, with the one other thing that outlives its makers, the cgroups.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::cgroups;
use super::claim::Claim;
use crate::tools::cache_dir;
use crate::wait::wait_until_blocking;

/// How long dead processes may take to let go of their files.
const LETTING_GO: Duration = Duration::from_secs(10);

/// What the API server was asked for, one JSON object a line.
pub(super) const AUDIT_LOG: &str = "audit.jsonl";

/// A claimed name and its directory. Dropping it removes both.
#[derive(Debug)]
pub(super) struct Place {
    name: String,
    dir: PathBuf,
    _hold: Hold,
}

/// A name that is this process's, whatever cache others use.
#[derive(Debug)]
struct Hold {
    lock: File,
    _claim: Claim,
}

impl Place {
    /// Claims a name, after sweeping up what clusters that nobody holds have left.
    pub(super) fn claim(name: &str) -> Result<Self> {
        check_name(name)?;
        let _turn = turn()?;
        sweep(&names()?)?;
        let Some(mut hold) = try_hold(name)? else {
            bail!("a cluster {name} runs already, here or with another PORTCULLIS_CACHE: take another name")
        };
        hold.lock.set_len(0)?;
        write!(hold.lock, "{}", std::process::id())?;
        let dir = dir_of(name)?;
        fs::create_dir_all(dir.join("log"))?;
        Ok(Self { name: name.to_owned(), dir, _hold: hold })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the log of a part of the cluster is.
    pub(super) fn log(&self, part: &str) -> PathBuf {
        self.dir.join(format!("log/{part}.log"))
    }

    /// What the API server is to write down.
    pub(super) fn audit_policy(&self) -> PathBuf {
        self.dir.join("audit.yaml")
    }

    /// Where it writes it.
    pub(super) fn audit_log(&self) -> PathBuf {
        self.dir.join(AUDIT_LOG)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("cannot clean up after cluster {}: {error:#}", self.name);
        }
    }
}

/// The directory of the cluster of that name.
pub(super) fn dir_of(name: &str) -> Result<PathBuf> {
    Ok(root()?.join(name))
}

/// The names of all clusters that some process holds.
pub fn held() -> Result<Vec<String>> {
    let _turn = turn()?;
    let mut names = names()?;
    names.retain(|name| matches!(try_lock(name), Ok(None)));
    Ok(names)
}

/// Whether some process holds the cluster of that name.
pub fn is_held(name: &str) -> Result<bool> {
    check_name(name)?;
    let _turn = turn()?;
    Ok(root()?.join(format!("{name}.lock")).exists() && try_lock(name)?.is_none())
}

/// The process that holds the cluster of that name, if one does.
pub fn holder(name: &str) -> Result<Option<u32>> {
    if !is_held(name)? {
        return Ok(None);
    }
    Ok(fs::read_to_string(root()?.join(format!("{name}.lock")))?.parse().ok())
}

/// Removes what clusters that nobody holds have left.
pub fn sweep_all() -> Result<()> {
    let _turn = turn()?;
    sweep(&names()?)
}

fn sweep(names: &[String]) -> Result<()> {
    for name in names {
        if let Some(_hold) = try_hold(name)? {
            remove(name).with_context(|| format!("cannot sweep up after cluster {name}"))?;
        }
    }
    Ok(())
}

/// Asking for a lock takes it for a moment; whoever asks or claims takes turns, so that nobody takes a question for an answer.
fn turn() -> Result<File> {
    let root = root()?;
    fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    let file = File::create(root.join("turn"))?;
    file.lock()?;
    Ok(file)
}

fn root() -> Result<PathBuf> {
    let root = std::path::absolute(cache_dir()?.join("clusters"))?;
    // The node has directories of its own in these places.
    if ["/run", "/var/lib", "/var/log", "/usr", "/proc", "/sys"].iter().any(|covered| root.starts_with(covered)) {
        bail!("a cluster cannot live in {}: set PORTCULLIS_CACHE to another directory", root.display());
    }
    Ok(root)
}

/// The names that have a lock file.
fn names() -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(root()?) else { return Ok(Vec::new()) };
    let lock = |name: String| name.strip_suffix(".lock").map(str::to_owned);
    Ok(entries.filter_map(|entry| lock(entry.ok()?.file_name().into_string().ok()?)).collect())
}

/// Takes a name; nothing if somebody has it.
fn try_hold(name: &str) -> Result<Option<Hold>> {
    // First the claim, so that a name that is another cache's gets no lock file in this one.
    let Some(claim) = Claim::take(&format!("portcullis-cluster-{name}"))? else { return Ok(None) };
    Ok(try_lock(name)?.map(|lock| Hold { lock, _claim: claim }))
}

fn try_lock(name: &str) -> Result<Option<File>> {
    let path = root()?.join(format!("{name}.lock"));
    loop {
        let file = File::options().create(true).append(true).open(&path)?;
        match file.try_lock() {
            // The last holder removes the file; a lock on a removed file says nothing.
            Ok(()) if same_file(&file, &path) => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = |meta: &fs::Metadata| (meta.dev(), meta.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(ref a), Ok(ref b)) if inode(a) == inode(b))
}

/// Removes all that is left of a cluster; its lock must be held.
fn remove(name: &str) -> Result<()> {
    cgroups::remove(name)?;
    let dir = dir_of(name)?;
    // Mounts of a namespace that is just ending may keep a directory busy for a moment.
    wait_until_blocking("its files to be released", LETTING_GO, || {
        matches!(fs::remove_dir_all(&dir), Err(error) if error.kind() == std::io::ErrorKind::NotFound) || !dir.exists()
    })?;
    Ok(fs::remove_file(root()?.join(format!("{name}.lock")))?)
}

/// A name is part of host names, paths and cgroups.
fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 40 || !name.bytes().all(fits) || name.starts_with('-') || name.ends_with('-') {
        bail!("{name:?} is no name for a cluster: up to 40 of a-z, 0-9 and -, such as dev");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_claimed_once_and_leaves_nothing() {
        let name = format!("place-{}", std::process::id());
        let place = Place::claim(&name).unwrap();
        assert!(Place::claim(&name).unwrap_err().to_string().contains("runs already"));
        assert!(held().unwrap().contains(&name));
        assert_eq!(holder(&name).unwrap(), Some(std::process::id()));
        fs::write(place.dir().join("file"), "x").unwrap();
        let dir = place.dir().to_owned();
        drop(place);
        assert!(!dir.exists() && !is_held(&name).unwrap());
    }

    #[test]
    fn a_name_that_is_used_with_another_cache_is_not_touched() {
        let name = format!("elsewhere-{}", std::process::id());
        let elsewhere = Claim::take(&format!("portcullis-cluster-{name}")).unwrap();
        assert!(elsewhere.is_some());
        assert!(Place::claim(&name).unwrap_err().to_string().contains("PORTCULLIS_CACHE"));
        let dir = dir_of(&name).unwrap();
        assert!(!dir.exists() && !is_held(&name).unwrap());
        // Nor is what looks as if it were left of it here.
        fs::create_dir_all(&dir).unwrap();
        fs::write(root().unwrap().join(format!("{name}.lock")), "").unwrap();
        sweep_all().unwrap();
        assert!(dir.exists());
        drop(elsewhere);
        sweep_all().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn what_nobody_holds_is_swept_up() {
        let name = format!("swept-{}", std::process::id());
        let dir = dir_of(&name).unwrap();
        fs::create_dir_all(&dir).unwrap();
        fs::write(root().unwrap().join(format!("{name}.lock")), "").unwrap();
        sweep_all().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn names_are_checked() {
        for wrong in ["", "A", "a/b", "-a", "a-", "a.b", &"a".repeat(41)] {
            assert!(Place::claim(wrong).unwrap_err().to_string().contains("such as dev"), "{wrong}");
        }
    }
}

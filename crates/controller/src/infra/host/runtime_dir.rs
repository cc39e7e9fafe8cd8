//! The directory of what ends with the process: sockets, pid files, bootstraps and logs of Envoys.
//!
//! ```text
//! RUNTIME/ controller.lock · xds.sock · admin.sock
//!          envoys/NAME/ fleet · bootstrap.json · envoy.json · admin.sock · envoy.log · access.log
//! ```
//!
//! Its names are the same for every start, so a controller that was killed finds its Envoys again, and they find it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::process::write_atomically;

/// Longest path of a Unix socket that Linux takes, without the final zero.
const LONGEST_SOCKET: usize = 107;
/// What a socket's path has beside the runtime directory and the name of the Envoy's directory.
const AROUND: usize = "/envoys/".len() + "/admin.sock".len();
/// The shortest room for that name that still tells Envoys apart.
const SHORTEST_NAME: usize = 20;
/// The digits of a hash in a name that had to be cut.
const DIGITS: usize = 8;
/// The file in an Envoy's directory that holds the name of its fleet.
const FLEET: &str = "fleet";

/// Why the directory cannot be used. Whoever runs the controller mends it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made or read.
    #[error("cannot use the runtime directory {path}: {why}")]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// Others could read or change what is in it.
    #[error(
        "the runtime directory {0} belongs to another user or is open to others; \
         remove it or choose another (provider.custom.infrastructure.host.runtimeDir)"
    )]
    Unsafe(PathBuf),
    /// A socket in it would have too long a path.
    #[error(
        "the path of the runtime directory {0} is too long for a Unix socket; \
         choose a shorter one (provider.custom.infrastructure.host.runtimeDir)"
    )]
    TooLong(PathBuf),
    /// Another controller runs there.
    #[error(
        "another controller uses the runtime directory {0}; stop it, \
         or choose another directory (provider.custom.infrastructure.host.runtimeDir)"
    )]
    Used(PathBuf),
}

/// The runtime directory, held by this process alone until it is dropped.
#[derive(Debug)]
pub struct RuntimeDir {
    path: PathBuf,
    _lock: File,
}

/// The directory that is used where none is configured: `portcullis-` and the user's id among the temporary files.
pub fn default_path() -> PathBuf {
    std::env::temp_dir().join(format!("portcullis-{}", nix::unistd::geteuid()))
}

/// The socket of the admin interface in a runtime directory.
pub fn admin_socket(runtime: &Path) -> PathBuf {
    runtime.join("admin.sock")
}

/// The socket of the xDS server in a runtime directory.
pub fn xds_socket(runtime: &Path) -> PathBuf {
    runtime.join("xds.sock")
}

/// The directory of one fleet's Envoy in a runtime directory: its name with `_` for `/`, cut where the socket in it would
/// have too long a path.
pub(super) fn of_envoy(runtime: &Path, fleet: &str) -> PathBuf {
    let mut name = fleet.replace('/', "_");
    let room = LONGEST_SOCKET.saturating_sub(runtime.as_os_str().len() + AROUND).max(SHORTEST_NAME);
    if name.len() > room {
        let hash: String = Sha256::digest(fleet).iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
        // Names of resources are ASCII.
        name.truncate(room - DIGITS - 1);
        name = format!("{name}-{hash}");
    }
    runtime.join("envoys").join(name)
}

/// Makes the directory of a fleet's Envoy.
pub(super) fn make_envoy_dir(dir: &Path, fleet: &str) -> Result<(), Error> {
    make_private(dir)?;
    write_atomically(&dir.join(FLEET), fleet.as_bytes()).map_err(|why| Error::Io { path: dir.to_owned(), why })
}

impl RuntimeDir {
    /// Makes the directory where it is missing, for its owner alone, and takes it for this process.
    ///
    /// # Errors
    /// When that fails, others have access to it, or another controller uses it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |why| Error::Io { path: path.to_owned(), why };
        let path = std::path::absolute(path).map_err(failed)?;
        make_private(&path)?;
        if path.as_os_str().len() + AROUND + SHORTEST_NAME > LONGEST_SOCKET {
            return Err(Error::TooLong(path));
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(path.join("controller.lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Used(path)),
            Err(TryLockError::Error(why)) => return Err(failed(why)),
        }
        make_private(&path.join("envoys"))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The socket of the xDS server.
    pub fn xds_socket(&self) -> PathBuf {
        xds_socket(&self.path)
    }

    /// The socket at which the rate limit service gets its configuration.
    pub fn rate_limit_socket(&self) -> PathBuf {
        self.path.join("ratelimit.sock")
    }

    /// The socket of the admin interface.
    pub fn admin_socket(&self) -> PathBuf {
        admin_socket(&self.path)
    }

    /// The directory of one fleet's Envoy.
    pub fn of_envoy(&self, fleet: &str) -> PathBuf {
        of_envoy(&self.path, fleet)
    }

    /// The fleets that have a directory.
    pub fn envoys(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path.join("envoys")).into_iter().flatten().flatten();
        let fleets = entries.filter_map(|entry| fs::read_to_string(entry.path().join(FLEET)).ok());
        let mut fleets: Vec<_> = fleets.collect();
        fleets.sort();
        fleets
    }
}

/// Makes a directory that only its owner may enter.
fn make_private(path: &Path) -> Result<(), Error> {
    let failed = |why| Error::Io { path: path.to_owned(), why };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let meta = fs::symlink_metadata(path).map_err(failed)?;
    let owned = meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw();
    if !owned || meta.permissions().mode() & 0o077 != 0 {
        return Err(Error::Unsafe(path.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_controller_at_a_time_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let held = RuntimeDir::open(&path).unwrap();
        assert!(matches!(RuntimeDir::open(&path), Err(Error::Used(_))));
        drop(held);
        drop(RuntimeDir::open(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(RuntimeDir::open(&path), Err(Error::Unsafe(_))));
        assert!(matches!(RuntimeDir::open(&dir.path().join("x".repeat(100))), Err(Error::TooLong(_))));
    }

    #[test]
    fn fleets_are_found_again_by_their_directory() {
        let dir = tempfile::tempdir().unwrap();
        let runtime = RuntimeDir::open(&dir.path().join("run")).unwrap();
        for fleet in ["default/eg", "merged"] {
            make_envoy_dir(&runtime.of_envoy(fleet), fleet).unwrap();
        }
        assert_eq!(runtime.envoys(), ["default/eg", "merged"]);
        let long = |last: &str| runtime.of_envoy(&format!("{}/{last}", "n".repeat(63)));
        assert!(long(&"g".repeat(200)).join("admin.sock").as_os_str().len() <= LONGEST_SOCKET);
        assert_ne!(long(&"g".repeat(200)), long(&"g".repeat(201)));
    }
}

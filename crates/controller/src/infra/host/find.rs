//! Finds the Envoy binary.

use std::{
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// There is no Envoy.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// One was named, and is not there.
    #[error("{path}, named by {by}, is not a program that can be run")]
    Named {
        /// The path.
        path: PathBuf,
        /// The flag or variable.
        by: &'static str,
    },
    /// None was named and none is where they usually are.
    #[error(
        "no Envoy was found: name one with --envoy-path or PORTCULLIS_ENVOY, or put `envoy` on PATH; looked in {0}"
    )]
    Nowhere(String),
}

/// The Envoy binary: the one named by flag or `PORTCULLIS_ENVOY`, the one in the configured data directory, the one on
/// PATH, or the newest in the cache of fetched tools.
///
/// # Errors
/// When the one that was named cannot be run, or there is none.
pub fn envoy(flag: Option<&Path>, data_home: Option<&Path>) -> Result<PathBuf, NotFound> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let named = flag.map(|path| (path.to_owned(), "--envoy-path"));
    let named = named.or_else(|| variable("PORTCULLIS_ENVOY").map(|path| (PathBuf::from(path), "PORTCULLIS_ENVOY")));
    if let Some((path, by)) = named {
        return if is_program(&path) { Ok(path) } else { Err(NotFound::Named { path, by }) };
    }
    let mut places = Vec::new();
    if let Some(home) = data_home.map(Path::to_owned).or_else(|| home("XDG_DATA_HOME", ".local/share", &variable)) {
        places.push(home.join("envoy"));
        places.extend(newest(&home.join("envoy-versions"), "bin/envoy"));
    }
    places.extend(variable("PATH").iter().flat_map(std::env::split_paths).map(|dir| dir.join("envoy")));
    let cache = variable("PORTCULLIS_CACHE").map(PathBuf::from).or_else(|| home("XDG_CACHE_HOME", ".cache", &variable));
    if let Some(cache) = cache {
        places.extend(newest(&cache.join("tools"), "envoy/_bin/envoy"));
    }
    let nowhere = || places.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    places.iter().find(|path| is_program(path)).cloned().ok_or_else(|| NotFound::Nowhere(nowhere()))
}

/// `portcullis` in one of the user's base directories.
fn home(name: &str, usual: &str, variable: &impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let base = variable(name).map(PathBuf::from).or_else(|| Some(PathBuf::from(variable("HOME")?).join(usual)));
    Some(base?.join("portcullis"))
}

/// `file` in each versioned directory of `dir`, the newest version first.
fn newest(dir: &Path, file: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix("envoy-").unwrap_or(&name).to_owned();
            let numbers = version.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>().ok()?;
            Some((numbers, entry.path().join(file)))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["envoy-1.9.0", "envoy-1.40.0", "envoy-1.40.0.lock", "redis-7"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let found = newest(dir.path(), "envoy");
        assert_eq!(found, [dir.path().join("envoy-1.40.0/envoy"), dir.path().join("envoy-1.9.0/envoy")]);
    }

    #[test]
    fn a_named_one_must_be_a_program() {
        let error = envoy(Some(Path::new("/nowhere/envoy")), None).unwrap_err().to_string();
        assert!(error.contains("--envoy-path"), "{error}");
    }
}

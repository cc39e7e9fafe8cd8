//! The reference's rate limit service (envoyproxy/ratelimit), built from the Go module that `crates/testbed/go-ratelimit` pins.

use std::path::PathBuf;

use anyhow::Result;

use super::cache;
use super::kubernetes::{go, run, with_sources};
use crate::progress;

const SOURCES: &[(&str, &str)] =
    &[("go.mod", include_str!("../../go-ratelimit/go.mod")), ("go.sum", include_str!("../../go-ratelimit/go.sum"))];

/// The executable of the service, built if it is not in the cache.
pub fn ratelimit() -> Result<PathBuf> {
    const NAME: &str = "ratelimit-reference";
    let pin = cache::key(&SOURCES.iter().flat_map(|(path, content)| [*path, *content]).collect::<String>());
    let dir = cache::entry(&format!("{NAME}-{pin}"), |dir| {
        progress::step(&format!("{NAME}: building (the first time takes a minute or two)"), || {
            with_sources(dir, SOURCES, |sources| {
                let mut build = go(sources)?;
                build.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(dir.join(NAME));
                run(build.arg("github.com/envoyproxy/ratelimit/src/service_cmd")).map(drop)
            })
        })
    })?;
    Ok(dir.join(NAME))
}

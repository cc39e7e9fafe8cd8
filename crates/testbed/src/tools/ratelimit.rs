//! The reference's rate limit service (envoyproxy/ratelimit), built from the Go module that `crates/testbed/go-ratelimit` pins.

use std::path::PathBuf;

use anyhow::Result;

use super::module::{Build, Module};

const REFERENCE: Module = Module {
    sources: &[
        ("go.mod", include_str!("../../go-ratelimit/go.mod")),
        ("go.sum", include_str!("../../go-ratelimit/go.sum")),
    ],
};

/// The executable of the service, built if it is not in the cache.
pub fn ratelimit() -> Result<PathBuf> {
    REFERENCE.build(&Build {
        name: "ratelimit-reference",
        package: "github.com/envoyproxy/ratelimit/src/service_cmd",
        make: &["build"],
        linker_flags: "-s -w",
    })
}

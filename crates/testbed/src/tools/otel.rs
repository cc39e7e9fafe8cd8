//! OpenTelemetry's collector, built from the Go module in `crates/testbed/go-otel`.

use std::path::PathBuf;

use anyhow::Result;

use super::module::{Build, Module};

const COLLECTOR: Module = Module {
    sources: &[
        ("go.mod", include_str!("../../go-otel/go.mod")),
        ("go.sum", include_str!("../../go-otel/go.sum")),
        ("main.go", include_str!("../../go-otel/main.go")),
    ],
};

/// The executable, with a receiver of OTLP and a writer of files, built if it is not in the cache.
pub fn otel_collector() -> Result<PathBuf> {
    COLLECTOR.build(&Build { name: "otel-collector", package: ".", make: &["build"], linker_flags: "-s -w" })
}

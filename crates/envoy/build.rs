//! Generates the Rust types of Envoy's protobuf messages and the descriptor set that JSON is made with.
//!
//! The `.proto` files lie in the package of the crate `envoy-types`, which is downloaded but never compiled; `protos.txt`
//! says which ones are wanted, and `proto/` holds the few that the package lacks.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// The import roots below the package's `proto` directory.
const ROOTS: [&str; 8] = [
    "data-plane-api",
    "xds",
    "googleapis",
    "protoc-gen-validate",
    "opentelemetry-proto",
    "client_model",
    "cel-spec/proto",
    "ratelimit",
];

fn main() -> Result<()> {
    for path in ["build.rs", "protos.txt", "proto", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={path}");
    }
    println!("cargo::rustc-check-cfg=cfg(portcullis_never)");
    let files = parse(&package_of_protos()?)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&files))?;
    generate(files)
}

/// Where cargo keeps the package `envoy-types`.
///
/// A build alone does not fetch a dependency that no target uses, so the second try is allowed to.
fn package_of_protos() -> Result<PathBuf> {
    let metadata = metadata(&["--locked", "--offline"]).or_else(|_| metadata(&["--locked"]))?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let package = packages.iter().find(|package| package["name"] == "envoy-types").context("envoy-types is locked")?;
    let manifest = package["manifest_path"].as_str().context("a package has a manifest")?;
    Ok(Path::new(manifest).parent().context("a manifest lies in a directory")?.join("proto"))
}

fn metadata(how: &[&str]) -> Result<serde_json::Value> {
    let cargo = env::var_os("CARGO").context("cargo sets CARGO")?;
    let output = Command::new(cargo).args(["metadata", "--format-version", "1"]).args(how).output()?;
    if !output.status.success() {
        bail!("cargo metadata {}: {}", how.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Parses the files of `protos.txt` and what they import, without comments: they would triple the set.
fn parse(package: &Path) -> Result<prost_types::FileDescriptorSet> {
    let list = std::fs::read_to_string("protos.txt")?;
    let mut resolver = ChainFileResolver::new();
    resolver.add(Qualified(PathBuf::from("proto")));
    for root in ROOTS {
        resolver.add(Qualified(package.join(root)));
    }
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(false);
    for file in list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        compiler.open_file(file).map_err(|error| anyhow!("{file}: {error:?}"))?;
    }
    Ok(compiler.file_descriptor_set())
}

/// Packages that some files name from `common` on, meaning `envoy.extensions.common`.
///
/// The parser takes the innermost package called `common` (that of the clusters, of the filters) and looks no further.
const COMMON: [&str; 3] = ["common.dynamic_forward_proxy.v3.", "common.ratelimit.v3.", "common.tap.v3."];

/// Files below a directory, with the names of [`COMMON`] spelled out.
struct Qualified(PathBuf);

impl FileResolver for Qualified {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let source = std::fs::read_to_string(self.0.join(name)).map_err(|_| protox::Error::file_not_found(name))?;
        let source = COMMON.iter().fold(source, |source, package| {
            source.replace(&format!(" {package}"), &format!(" .envoy.extensions.{package}"))
        });
        File::from_source(name, &source)
    }
}

/// Maps become `BTreeMap`s: equal messages must encode to equal bytes.
fn generate(files: prost_types::FileDescriptorSet) -> Result<()> {
    let mut config = prost_build::Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .btree_map(".")
        .include_file("pb.rs")
        .emit_rerun_if_changed(false)
        .compile_fds_with_config(files, config)
        .context("generating")
}

//! Builds the Go side (`go/`) as a C archive, and Rust declarations of its functions from the header that Go writes.
//!
//! Needs `go`, libclang and a C compiler. The first two are taken from the machine where they are new enough, else from the
//! cache that `cargo xtask tools` fills.

use std::env;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const ARCHIVE: &str = "portcullis_coraza";

/// What of `versions.toml` matters here.
#[derive(Deserialize)]
struct Versions {
    go: Go,
    libclang: Wheel,
}

#[derive(Deserialize)]
struct Go {
    minimum: String,
    wheel: Wheel,
}

#[derive(Deserialize)]
struct Wheel {
    version: String,
}

fn main() -> Result<()> {
    let versions = Path::new("../../versions.toml");
    for path in ["build.rs", "go", "../../versions.toml"] {
        println!("cargo::rerun-if-changed={path}");
    }
    for name in ["PORTCULLIS_CACHE", "LIBCLANG_PATH", "CC"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let versions: Versions = toml::from_str(&std::fs::read_to_string(versions)?)?;
    if let Some(library) = cached_libclang(&versions.libclang) {
        return again_with(&library);
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let archive = out.join(format!("lib{ARCHIVE}.a"));
    build_archive(&go(&versions.go)?, &archive)?;
    println!("cargo::rustc-link-search=native={}", out.display());
    println!("cargo::rustc-link-lib=static={ARCHIVE}");
    declare(&archive.with_extension("h"), &out.join("declarations.rs"))
}

/// The library that `cargo xtask tools` has fetched, unless the caller names another one.
fn cached_libclang(wheel: &Wheel) -> Option<PathBuf> {
    let set = env::var_os("LIBCLANG_PATH").is_some();
    cached(&format!("libclang-{}/clang/native", wheel.version)).filter(|library| !set && library.is_dir())
}

/// bindgen looks for its library in the environment, which a process cannot safely change for itself.
fn again_with(libclang: &Path) -> Result<()> {
    let status = Command::new(env::current_exe()?).env("LIBCLANG_PATH", libclang).status()?;
    if status.success() { Ok(()) } else { bail!("see above") }
}

/// The `go` on PATH where it is new enough, else the one that `cargo xtask tools` has fetched.
fn go(wanted: &Go) -> Result<PathBuf> {
    let on_path = PathBuf::from("go");
    if version_of(&on_path) >= Some(parsed(&wanted.minimum)) {
        return Ok(on_path);
    }
    cached(&format!("go-{}/go/bin/go", wanted.wheel.version))
        .filter(|go| go.is_file())
        .with_context(|| format!("no go {} or newer on PATH: install it, or run `cargo xtask tools`", wanted.minimum))
}

fn version_of(go: &Path) -> Option<(u32, u32)> {
    let output = Command::new(go).arg("version").env("GOTOOLCHAIN", "local").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(2)?.strip_prefix("go").map(parsed)
}

fn parsed(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// A path in the cache of fetched tools.
fn cached(below: &str) -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("PORTCULLIS_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("portcullis")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache/portcullis")))?;
    Some(cache.join("tools").join(below))
}

fn build_archive(go: &Path, archive: &Path) -> Result<()> {
    let mut build = Command::new(go);
    build.current_dir("go").env("CGO_ENABLED", "1").env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    // The pins are complete, and no setting of the caller may change them.
    build.env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOOS", "linux").env("GOARCH", arch()?);
    build.args(["build", "-buildmode=c-archive", "-trimpath", "-ldflags=-s -w", &tags(), "-o"]);
    let output = build.arg(archive).arg(".").output().with_context(|| format!("cannot run {}", go.display()))?;
    if !output.status.success() {
        bail!("{} build, in crates/coraza/go: {}", go.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Bodies are not put into files, and no operator runs a program or asks the network.
fn tags() -> String {
    let mut tags = "-tags=no_fs_access,coraza.disabled_operators.inspectFile,coraza.disabled_operators.rbl".to_owned();
    if env::var_os("CARGO_FEATURE_TESTING").is_some() {
        tags += ",portcullis_testing";
    }
    tags
}

fn arch() -> Result<&'static str> {
    match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("x86_64") => Ok("amd64"),
        Ok("aarch64") => Ok("arm64"),
        other => bail!("the engine is not built for {other:?}, only for x86_64 and aarch64"),
    }
}

fn declare(header: &Path, into: &Path) -> Result<()> {
    let builder = bindgen::Builder::default()
        .header(header.display().to_string())
        .allowlist_item("coraza_.*")
        .clang_args(compiler_headers())
        .rust_edition(bindgen::RustEdition::Edition2024)
        .derive_default(true)
        .layout_tests(false);
    // It panics where it finds no library.
    match std::panic::catch_unwind(AssertUnwindSafe(|| builder.generate())) {
        Ok(declarations) => Ok(declarations?.write_to_file(into)?),
        Err(_) => bail!("no libclang: run `cargo xtask tools`, or install it with `apt-get install libclang-dev`"),
    }
}

/// The fetched libclang comes without the compiler's own headers (stddef.h), which the C compiler that links has too.
fn compiler_headers() -> Option<String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(compiler).arg("-print-file-name=include").output().ok()?;
    Some(format!("-I{}", String::from_utf8(output.stdout).ok()?.trim()))
}

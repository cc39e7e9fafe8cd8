//! The images that every node has, made once and kept with the tools.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};

use super::image::Image;
use super::node::PAUSE_IMAGE;
use crate::progress;
use crate::tools::{self, Program, cache_key, cached, kubernetes};

/// The image of the cluster's DNS server, under the name that the conformance tests of the Gateway API have for it.
pub(super) const DNS_IMAGE: &str = "registry.k8s.io/coredns/coredns:v1.12.2";

/// The archives of the images that no manifest can do without.
pub(super) fn standard() -> Result<Vec<PathBuf>> {
    let pause = Image::of(PAUSE_IMAGE, kubernetes(Program::Pause)?).at("/pause").user("65535:65535");
    let dns = Image::of(DNS_IMAGE, kubernetes(Program::CoreDns)?).at("/coredns");
    [pause, dns, conformance_echo()?, envoy()?].iter().map(archive).collect()
}

/// Envoy under the names by which its maintainers publish it.
fn envoy() -> Result<Image> {
    let name = |flavour: &str| format!("docker.io/envoyproxy/envoy:{flavour}v{}", tools::versions().envoy.version);
    let image = Image::of(&name("distroless-"), tools::envoy()?).at("/usr/local/bin/envoy").user("65532:65532");
    Ok(image.also(&name("")))
}

/// Redis, in the version that Debian has of it.
pub fn redis() -> Result<Image> {
    let (program, root) = tools::redis_program()?;
    let image = Image::of("docker.io/library/redis:7.0", program).at("/usr/local/bin/redis-server").user("65532:65532");
    Ok(match root {
        Some(root) => image.unpacked(root),
        None => image,
    })
}

/// The echo server of the Gateway API's conformance tests, under every name that their manifests have had for it.
fn conformance_echo() -> Result<Image> {
    let registry = "registry.k8s.io/gateway-api";
    let image = Image::of(&format!("{registry}/echo-basic:v1.5.1"), kubernetes(Program::EchoBasic)?).at("/echo-basic");
    let others = ["echo-basic:v1.6.0-dev.2", "echo-basic:v1.6.0-dev.3", "conformance/echo-basic:v0.1.0"];
    let others = others.into_iter().chain(["conformance/echo-basic:v0.2.0"]);
    Ok(others.fold(image, |image, name| image.also(&format!("{registry}/{name}"))))
}

/// The archive of an image, made if its program or anything said about it has changed.
fn archive(image: &Image) -> Result<PathBuf> {
    let program = image.program();
    let meta = program.metadata().with_context(|| format!("there is no {}", program.display()))?;
    let changed = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    let key = cache_key(&format!("{image:?} {} {changed}", meta.len()));
    let leaf = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let write =
        |dir: &Path| progress::step(&format!("{leaf}: packing its image"), || image.write(&dir.join("image.tar")));
    Ok(cached(&format!("image-{leaf}-{key}"), write)?.join("image.tar"))
}

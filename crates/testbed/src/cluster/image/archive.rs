//! An OCI image layout in a tar file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::Result;
use aws_lc_rs::digest::{Context as Hasher, SHA256};
use serde_json::{Value, json};
use tar::{Builder, EntryType};

use super::Image;
use super::layer::{Layer, header};

/// The date of everything.
const CREATED: &str = "1970-01-01T00:00:00Z";

/// What says that the rest is an image layout.
const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes the image with its one layer.
pub(super) fn write(image: &Image, layer: &Layer, path: &Path) -> Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let layer_file = tempfile::NamedTempFile::new_in(dir)?;
    layer.write(BufWriter::new(layer_file.as_file()))?;
    let layer_size = layer_file.as_file().metadata()?.len();
    let layer_digest = digest(File::open(layer_file.path())?)?;

    let config = config(image, &layer_digest).to_string();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &digest(config.as_bytes())?, config.len() as u64),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer_digest, layer_size)],
    })
    .to_string();
    let index = index(image, &digest(manifest.as_bytes())?, manifest.len() as u64).to_string();

    let mut tar = Builder::new(BufWriter::new(File::create(path)?));
    let mut add = |name: &str, size: u64, content: &mut dyn Read| {
        tar.append_data(&mut header(EntryType::Regular, 0o644, size), name, content)
    };
    add("oci-layout", LAYOUT.len() as u64, &mut LAYOUT.as_bytes())?;
    add("index.json", index.len() as u64, &mut index.as_bytes())?;
    for blob in [&manifest, &config] {
        add(&blob_path(&digest(blob.as_bytes())?), blob.len() as u64, &mut blob.as_bytes())?;
    }
    add(&blob_path(&layer_digest), layer_size, &mut File::open(layer_file.path())?)?;
    Ok(tar.into_inner()?.flush()?)
}

fn config(image: &Image, layer: &str) -> Value {
    json!({
        "architecture": architecture(),
        "os": "linux",
        "created": CREATED,
        "config": {
            "Entrypoint": [format!("/{}", image.inside)],
            "Cmd": image.args,
            "User": image.user,
            "WorkingDir": "/",
            "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"],
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{layer}")] },
        "history": [{ "created": CREATED, "created_by": "portcullis testbed" }],
    })
}

/// One entry a name, all of the same manifest.
fn index(image: &Image, manifest: &str, size: u64) -> Value {
    let entry = |name: &String| {
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest, size);
        entry["platform"] = json!({ "architecture": architecture(), "os": "linux" });
        entry["annotations"] = json!({
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rsplit(':').next(),
        });
        entry
    };
    let entries: Vec<Value> = image.names.iter().map(entry).collect();
    json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries })
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": size })
}

fn blob_path(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

/// The machine type in the words of Go.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn digest(content: impl Read) -> Result<String> {
    let (mut content, mut hasher) = (BufReader::with_capacity(1 << 20, content), Hasher::new(&SHA256));
    let mut piece = vec![0; 1 << 20];
    loop {
        match content.read(&mut piece)? {
            0 => break,
            length => hasher.update(&piece[..length]),
        }
    }
    Ok(hasher.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

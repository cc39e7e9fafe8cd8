//! Container images made from plain programs: no registry, no Docker.
//!
//! An image is one layer with the files and, for a program that is linked dynamically, the loader and libraries that `ldd` names,
//! so that Envoy runs in an otherwise empty file system. The archive is an OCI image layout in a tar file, which is what
//! `ctr images import` reads.

mod archive;
mod layer;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use layer::Layer;

/// An image to be made: names, one program, and how it is run.
#[derive(Debug, Clone)]
pub struct Image {
    names: Vec<String>,
    program: PathBuf,
    root: Option<PathBuf>,
    inside: String,
    args: Vec<String>,
    user: String,
}

impl Image {
    /// An image of one program under a full name, such as `docker.io/portcullis/portcullis:dev`. The program is its entry point
    /// and lies in `/usr/local/bin`.
    pub fn of(name: &str, program: impl Into<PathBuf>) -> Self {
        let program = program.into();
        let file = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            names: vec![name.to_owned()],
            program,
            root: None,
            inside: format!("usr/local/bin/{file}"),
            args: Vec::new(),
            user: String::new(),
        }
    }

    /// One more name for the same image.
    #[must_use]
    pub fn also(mut self, name: &str) -> Self {
        self.names.push(name.to_owned());
        self
    }

    /// Where the program lies in the image.
    #[must_use]
    pub fn at(mut self, path: &str) -> Self {
        self.inside = path.trim_start_matches('/').to_owned();
        self
    }

    /// The tree of a small system that the program was unpacked to: libraries are looked for in it too, and lie in the image
    /// where they lie in the tree.
    #[must_use]
    pub fn unpacked(mut self, root: impl Into<PathBuf>) -> Self {
        self.root = Some(root.into());
        self
    }

    /// The arguments that a pod may replace (`CMD`).
    #[must_use]
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self
    }

    /// The user that it runs as, `UID:GID`.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// The first of its names.
    pub fn name(&self) -> &str {
        &self.names[0]
    }

    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Writes the archive. The same files give the same bytes.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut layer = Layer::new();
        layer.add_program(&self.program, &self.inside, self.root.as_deref())?;
        archive::write(self, &layer, path).with_context(|| format!("cannot make the image {}", self.name()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use serde_json::Value;

    use super::*;

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn an_image_holds_its_program_and_the_libraries() {
        let dir = tempfile::tempdir().unwrap();
        let image = Image::of("example.com/a:1", "/bin/sh").also("example.com/b:2").args(&["-c", "true"]).user("1:2");
        image.write(&dir.path().join("a.tar")).unwrap();
        image.write(&dir.path().join("b.tar")).unwrap();
        let bytes = std::fs::read(dir.path().join("a.tar")).unwrap();
        assert!(bytes == std::fs::read(dir.path().join("b.tar")).unwrap(), "the same files give the same bytes");

        let outer = files(&bytes);
        let blob = |digest: &Value| &outer[&format!("blobs/sha256/{}", &digest.as_str().unwrap()[7..])];
        let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let index = json(&outer["index.json"]);
        assert_eq!(index["manifests"][1]["annotations"]["io.containerd.image.name"], "example.com/b:2");
        let manifest = json(blob(&index["manifests"][0]["digest"]));
        let config = json(blob(&manifest["config"]["digest"]));
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/local/bin/sh");
        assert_eq!(
            (config["config"]["User"].as_str(), config["config"]["Cmd"][1].as_str()),
            (Some("1:2"), Some("true"))
        );
        let layer = files(blob(&manifest["layers"][0]["digest"]));
        assert!(layer["usr/local/bin/sh"] == std::fs::read("/bin/sh").unwrap());
        assert!(layer.keys().any(|path| path.ends_with("libc.so.6")), "{:?}", layer.keys());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Image::of("example.com/a:1", "/no/such").write(Path::new("/tmp/never.tar")).unwrap_err();
        assert!(format!("{error:#}").contains("/no/such"), "{error:#}");
    }
}

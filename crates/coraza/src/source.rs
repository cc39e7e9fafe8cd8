//! Where rules come from.

use crate::wire::Writer;

/// The files of a rule set, and the version of the Core Rule Set that they may include as `@owasp_crs/…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Source {
    core: String,
    plain: bool,
    files: Vec<(String, String)>,
}

impl Source {
    /// No files yet, beside a Core Rule Set of [`versions`](crate::versions).
    pub fn new(core: impl Into<String>) -> Self {
        Self { core: core.into(), plain: false, files: Vec::new() }
    }

    /// Adds a file that is loaded, after those before it.
    #[must_use]
    pub fn load(mut self, name: &str, content: impl Into<String>) -> Self {
        self.files.push((format!("+{name}"), content.into()));
        self
    }

    /// Adds a file that others may include or read data from.
    #[must_use]
    pub fn provide(mut self, name: &str, content: impl Into<String>) -> Self {
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// Runs each rule on everything. Else a gate leaves out the rules of which it knows that they cannot match, which changes no
    /// verdict, only what it takes.
    #[must_use]
    pub fn without_gate(mut self) -> Self {
        self.plain = true;
        self
    }

    /// The contents of the files that are loaded, in their order.
    pub fn loaded(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|(name, _)| name.starts_with('+')).map(|(_, content)| content.as_str())
    }

    pub(crate) fn encode(&self) -> Writer {
        let size = self.files.iter().map(|(name, content)| name.len() + content.len() + 8).sum::<usize>();
        let mut batch = Writer::with_capacity(size + 32);
        batch.text(self.core.as_bytes());
        batch.number(u32::from(!self.plain));
        for (name, content) in &self.files {
            batch.text(name.as_bytes());
            batch.text(content.as_bytes());
        }
        batch
    }
}

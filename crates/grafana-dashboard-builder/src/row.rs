//! Rows: a heading and the panels below it.

use crate::AnyPanel;

/// How high panels are, in Grafana's steps of 30 pixels, unless said otherwise.
const HEIGHT: u32 = 8;

/// A heading and panels. They stand side by side, those without a width sharing what the others leave, up to four to a line.
#[derive(Debug, Clone)]
pub struct Row {
    pub(crate) title: String,
    pub(crate) panels: Vec<AnyPanel>,
    pub(crate) height: u32,
    pub(crate) collapsed: bool,
}

impl Row {
    /// A row without panels yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), panels: Vec::new(), height: HEIGHT, collapsed: false }
    }

    /// With one panel more.
    #[must_use]
    pub fn panel(mut self, panel: impl Into<AnyPanel>) -> Self {
        self.panels.push(panel.into());
        self
    }

    /// With more panels, of one kind.
    #[must_use]
    pub fn panels<P: Into<AnyPanel>>(mut self, panels: impl IntoIterator<Item = P>) -> Self {
        self.panels.extend(panels.into_iter().map(Into::into));
        self
    }

    /// How high its panels are, in Grafana's steps of 30 pixels. 8 unless said otherwise.
    #[must_use]
    pub fn height(mut self, height: u32) -> Self {
        self.height = height;
        self
    }

    /// Its panels are hidden, and ask for nothing, until someone opens the row.
    #[must_use]
    pub fn collapsed(mut self) -> Self {
        self.collapsed = true;
        self
    }
}

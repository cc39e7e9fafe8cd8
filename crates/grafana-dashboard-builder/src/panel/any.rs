//! Panels of any kind.

use super::look::{Bars, Buckets, Dial, Lines, Log, Look, Number, Rows};
use super::{Common, Panel};

/// A panel of any kind, as rows take them.
#[derive(Debug, Clone)]
pub struct AnyPanel {
    pub(crate) common: Common,
    pub(crate) look: Look,
}

/// Words, in Markdown. It's the one panel that needs neither unit nor description.
#[derive(Debug, Clone)]
pub struct Text {
    title: String,
    content: String,
    width: Option<u32>,
}

impl Text {
    /// A panel of words.
    pub fn new(title: impl Into<String>, markdown: impl Into<String>) -> Self {
        Self { title: title.into(), content: markdown.into(), width: None }
    }

    /// How wide it is, of 24 columns. Without, it shares what is left of its line.
    #[must_use]
    pub fn width(mut self, columns: u32) -> Self {
        self.width = Some(columns);
        self
    }
}

impl From<Text> for AnyPanel {
    fn from(text: Text) -> Self {
        let common = Common { title: text.title, width: text.width, ..Common::default() };
        Self { common, look: Look::Words(text.content) }
    }
}

macro_rules! any_of {
    ($($look:ident),*) => {$(
        impl From<Panel<$look>> for AnyPanel {
            fn from(panel: Panel<$look>) -> Self {
                Self { common: panel.common, look: Look::$look(panel.look) }
            }
        }
    )*};
}

any_of!(Bars, Buckets, Dial, Lines, Log, Number, Rows);

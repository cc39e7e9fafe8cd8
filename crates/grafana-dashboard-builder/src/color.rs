//! Colours by meaning of Grafana's palette, so that they suit its dark and its light theme.

/// A colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Color {
    Green,
    Yellow,
    Orange,
    Red,
    Blue,
    Purple,
    /// The colour of text: no meaning.
    Plain,
}

impl Color {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Orange => "orange",
            Self::Red => "red",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Plain => "text",
        }
    }
}

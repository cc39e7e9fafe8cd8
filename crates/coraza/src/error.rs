//! What can go wrong.

/// Why rules cannot be used. Whoever writes the rules can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// The file, as its [`Source`](crate::Source) names it; empty when it is about none.
    pub file: String,
    /// The line where the directive begins, from 1; 0 when it is not known.
    pub line: u32,
    /// The directive: `SecRule`.
    pub directive: String,
    /// What is wrong.
    pub what: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.file.is_empty() {
            write!(formatter, "{}:", self.file)?;
            if self.line > 0 {
                write!(formatter, "{}:", self.line)?;
            }
            write!(formatter, " ")?;
        }
        if !self.directive.is_empty() && !self.what.to_lowercase().contains(&self.directive.to_lowercase()) {
            write!(formatter, "{}: ", self.directive)?;
        }
        formatter.write_str(&self.what)
    }
}

/// Why a transaction takes no more steps; others are not concerned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The engine panicked, or could not go on.
    #[error("the engine failed: {0}")]
    Failed(String),
    /// A step took longer than it may (see [`limit`](crate::limit)).
    #[error("the engine took too long")]
    Late,
}

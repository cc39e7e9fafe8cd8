//! Cuts a YAML stream into its documents by text, so that one broken document does not take the others with it and an
//! unchanged document need not be parsed again.

/// The text of one document of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Lines of the stream before this text (0 for the first document).
    pub lines_before: usize,
    /// The text, with its `---` line when it had one.
    pub text: &'a str,
}

/// The documents of `text` in order. Documents without content (nothing but blank lines and comments) are left out.
///
/// A `---` at the start of a line ends the document before it (YAML 1.2.2, 9.1.2), except after directives (`%YAML`), which
/// belong to the document that follows.
pub fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut open = Open::default();
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) && !open.only_directives() {
            open.close(text, offset, &mut chunks);
            open = Open { start: offset, lines_before: number, ..Open::default() };
        }
        open.take(line);
        offset += line.len();
    }
    open.close(text, offset, &mut chunks);
    chunks
}

/// The document being read.
#[derive(Default)]
struct Open {
    start: usize,
    lines_before: usize,
    has_content: bool,
    has_directive: bool,
}

impl Open {
    fn only_directives(&self) -> bool {
        self.has_directive && !self.has_content
    }

    fn take(&mut self, line: &str) {
        if line.starts_with('%') && !self.has_content {
            self.has_directive = true;
            return;
        }
        let rest = if is_marker(line) { &line[3..] } else { line };
        let rest = rest.trim();
        self.has_content |= !rest.is_empty() && !rest.starts_with('#') && rest != "...";
    }

    fn close<'a>(&self, text: &'a str, end: usize, chunks: &mut Vec<Chunk<'a>>) {
        if self.has_content {
            chunks.push(Chunk { lines_before: self.lines_before, text: &text[self.start..end] });
        }
    }
}

fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(usize, &str)> {
        split(text).into_iter().map(|chunk| (chunk.lines_before, chunk.text)).collect()
    }

    #[test]
    fn documents_keep_their_line() {
        assert_eq!(parts("a: 1\n---\nb: 2\n"), [(0, "a: 1\n"), (1, "---\nb: 2\n")]);
    }

    #[test]
    fn empty_documents_are_left_out() {
        assert_eq!(parts("---\n# nothing\n---\n\n---\na: 1"), [(4, "---\na: 1")]);
        assert_eq!(parts(""), []);
    }

    #[test]
    fn content_may_stand_beside_the_marker() {
        assert_eq!(parts("--- {a: 1}\n--- # two\nb: 2\n"), [(0, "--- {a: 1}\n"), (1, "--- # two\nb: 2\n")]);
    }

    #[test]
    fn directives_belong_to_the_next_document() {
        assert_eq!(parts("%YAML 1.2\n---\na: 1\n"), [(0, "%YAML 1.2\n---\na: 1\n")]);
    }

    #[test]
    fn a_longer_dash_line_is_content() {
        assert_eq!(parts("a: |\n  x\n----\n").len(), 1);
        assert_eq!(parts("key: |\n  ---\n  y\n").len(), 1);
    }
}

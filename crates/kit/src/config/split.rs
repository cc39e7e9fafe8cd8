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
    for marker in markers(text) {
        open.read_to(text, marker);
        if !open.only_directives() {
            open.close(text, &mut chunks);
            open = Open { start: marker, end: marker, lines_before: open.lines, lines: open.lines, ..Open::default() };
        }
    }
    open.read_to(text, text.len());
    open.close(text, &mut chunks);
    chunks
}

/// Where lines begin that are markers.
fn markers(text: &str) -> impl Iterator<Item = usize> {
    let later = memchr::memmem::find_iter(text.as_bytes(), "\n---").map(|before| before + 1);
    std::iter::once(0).chain(later).filter(|at| is_marker(&text[*at..]))
}

/// The document being read.
#[derive(Default)]
struct Open {
    start: usize,
    /// As far as it was read.
    end: usize,
    /// Lines before its start, and before its end.
    lines_before: usize,
    lines: usize,
    has_content: bool,
    has_directive: bool,
}

impl Open {
    fn only_directives(&self) -> bool {
        self.has_directive && !self.has_content
    }

    /// Reads on, from the beginning of a line to that of another.
    fn read_to(&mut self, text: &str, end: usize) {
        let part = &text[self.end..end];
        for line in part.lines() {
            if self.has_content {
                break;
            }
            self.take(line);
        }
        self.lines += memchr::memchr_iter(b'\n', part.as_bytes()).count();
        self.end = end;
    }

    fn take(&mut self, line: &str) {
        if line.starts_with('%') {
            self.has_directive = true;
            return;
        }
        let rest = if is_marker(line) { &line[3..] } else { line };
        let rest = rest.trim();
        self.has_content = !rest.is_empty() && !rest.starts_with('#') && rest != "...";
    }

    fn close<'a>(&self, text: &'a str, chunks: &mut Vec<Chunk<'a>>) {
        if self.has_content {
            chunks.push(Chunk { lines_before: self.lines_before, text: &text[self.start..self.end] });
        }
    }
}

/// Whether a text begins with a marker.
fn is_marker(text: &str) -> bool {
    text.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
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
    fn markers_are_found_at_the_end_and_after_other_ends_of_lines() {
        assert_eq!(parts("a: 1\r\n---\r\nb: 2\r\n---"), [(0, "a: 1\r\n"), (1, "---\r\nb: 2\r\n")]);
        assert_eq!(parts("%A\n---\n---\na: 1\n---\nb: 2\n"), [(0, "%A\n---\n---\na: 1\n"), (4, "---\nb: 2\n")]);
    }

    #[test]
    fn a_longer_dash_line_is_content() {
        assert_eq!(parts("a: |\n  x\n----\n").len(), 1);
        assert_eq!(parts("key: |\n  ---\n  y\n").len(), 1);
    }
}

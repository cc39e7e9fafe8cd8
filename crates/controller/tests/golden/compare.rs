//! A golden file and what came out.

use std::{fmt::Write as _, path::Path};

/// Lines shown around a difference.
const CONTEXT: usize = 3;

/// How a file differs from a text. With `UPDATE_GOLDEN` set, the file is written instead.
pub(crate) fn file(path: &Path, text: &str) -> Option<String> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
        return None;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    (golden != text).then(|| format!("{} is not what came out:\n{}", path.display(), difference(&golden, text)))
}

/// The lines that differ, `-` for the golden ones and `+` for those that came, with some around them.
fn difference(golden: &str, text: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (golden.lines().collect(), text.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - same;
    let same_at_end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let mut out = String::new();
    let mut lines = |mark: &str, lines: &[&str]| {
        lines.iter().for_each(|line| writeln!(out, "{mark}{line}").unwrap());
    };
    lines(" ", &old[same.saturating_sub(CONTEXT)..same]);
    lines("-", &old[same..old.len() - same_at_end]);
    lines("+", &new[same..new.len() - same_at_end]);
    lines(" ", &old[old.len() - same_at_end..(old.len() - same_at_end + CONTEXT).min(old.len())]);
    out
}

#[test]
fn a_difference_is_shown_with_what_is_around_it() {
    assert_eq!(difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nd\nX\nf\n"), " b\n c\n d\n-e\n+X\n f\n");
    assert_eq!(difference("a\na\n", "a\n"), " a\n-a\n");
}

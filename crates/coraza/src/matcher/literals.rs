//! What a text must contain for an expression to match: one of some short strings.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Strings in lower case ASCII, one of which is in each text that matches, with ASCII letters of any case and with the two letters
/// of Unicode that fold to ASCII ones, [`FOLDED`]. Nothing where there is no such set of use.
pub(crate) fn required(expression: &Hir) -> Option<Vec<String>> {
    best(expression).filter(|set| set.worth() >= (2, i32::MIN))?.0.into()
}

/// K (Kelvin) and ſ, which match `k` and `s` where case does not matter.
pub(crate) const FOLDED: [&str; 2] = ["\u{212A}", "\u{17F}"];

/// At least one of these.
struct Set(Vec<String>);

impl Set {
    /// The length of the shortest counts most, then how few there are.
    fn worth(&self) -> (usize, i32) {
        let shortest = self.0.iter().map(String::len).min().unwrap_or(0);
        (shortest.min(4), -i32::try_from(self.0.len()).unwrap_or(i32::MAX))
    }
}

fn best(expression: &Hir) -> Option<Set> {
    match expression.kind() {
        HirKind::Capture(group) => best(&group.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => best(&repeated.sub),
        HirKind::Concat(parts) => of_parts(parts),
        HirKind::Alternation(branches) => {
            let mut any = Vec::new();
            for branch in branches {
                any.append(&mut best(branch)?.0);
            }
            any.sort_unstable();
            any.dedup();
            Some(Set(any))
        }
        HirKind::Literal(_) | HirKind::Class(_) => plain(expression).map(|text| Set(vec![text])),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The best of a sequence: a run of plain characters, or what one of its parts needs.
fn of_parts(parts: &[Hir]) -> Option<Set> {
    let mut found: Vec<Set> = Vec::new();
    let mut run = String::new();
    for part in parts {
        if let Some(text) = plain(part) {
            run.push_str(&text);
            continue;
        }
        // What looks around takes no room.
        if !matches!(part.kind(), HirKind::Look(_)) && !run.is_empty() {
            found.push(Set(vec![std::mem::take(&mut run)]));
        }
        found.extend(best(part));
    }
    if !run.is_empty() {
        found.push(Set(vec![run]));
    }
    found.into_iter().max_by_key(Set::worth)
}

/// The text that a part stands for, if it is one text but for case.
fn plain(part: &Hir) -> Option<String> {
    match part.kind() {
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.is_ascii().then(|| text.to_ascii_lowercase())
        }
        HirKind::Class(Class::Unicode(class)) => {
            let mut members = class.iter().flat_map(|range| range.start()..=range.end());
            let first = members.find(char::is_ascii)?.to_ascii_lowercase();
            let same = |other: char| {
                other.to_ascii_lowercase() == first || FOLDED.iter().any(|folded| folded.starts_with(other))
            };
            members.take(4).all(same).then(|| first.to_string())
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut members = class.iter().flat_map(|range| range.start()..=range.end());
            let first = members.next()?.to_ascii_lowercase();
            (first.is_ascii() && members.take(4).all(|other| other.to_ascii_lowercase() == first))
                .then(|| char::from(first).to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> Option<Vec<String>> {
        required(&regex_syntax::parse(expression).expect("an expression"))
    }

    #[test]
    fn an_expression_needs_one_of_these() {
        let set = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(of("(?i)union"), set(&["union"]));
        assert_eq!(of(r"(?is)sleep\s*\("), set(&["sleep"]));
        assert_eq!(of("(?i)(?:and|or|xor)[0-9]"), set(&["and", "or", "xor"]));
        assert_eq!(of(r"\.(?:ini|conf)$"), set(&["conf", "ini"]));
        assert_eq!(of("(?:/etc/)+passwd"), set(&["passwd"]));
        assert_eq!(of(r"a\bbc"), set(&["abc"]));
        assert_eq!(of("(?i)ask"), set(&["ask"]));
    }

    #[test]
    fn some_need_nothing_in_particular() {
        for expression in ["", ".", "a?", "(?:ab)*", "(?:ab|)", "[a-c]", "x", "[^a]b", r"\bx\b", "ä", "ab|c"] {
            assert_eq!(of(expression), None, "{expression}");
        }
    }
}

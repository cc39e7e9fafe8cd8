//! The path of a field, as it is shown to people (`spec.rules[2].matches[0].path`).

use std::fmt;

/// Where in a document we are: a list linked from the inside to the outside, so that walking costs no allocation.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
            Self::Key(parent, key) if !is_plain(key) => write!(formatter, "{parent}[{key:?}]"),
            Self::Key(Self::Root, key) => formatter.write_str(key),
            Self::Key(parent, key) => write!(formatter, "{parent}.{key}"),
        }
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// One step of a written path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// Reads a written path back: `a.b[0]["x.y"]`. A path that is not well formed gives the steps up to the fault.
pub(super) fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let Some((step, after)) = step(rest) else { break };
        steps.push(step);
        rest = after.strip_prefix('.').unwrap_or(after);
    }
    steps
}

fn step(rest: &str) -> Option<(Step<'_>, &str)> {
    if let Some(quoted) = rest.strip_prefix("[\"") {
        let (key, after) = quoted.split_once("\"]")?;
        return Some((Step::Key(key), after));
    }
    if let Some(index) = rest.strip_prefix('[') {
        let (index, after) = index.split_once(']')?;
        return Some((Step::Index(index.parse().ok()?), after));
    }
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    (end > 0).then(|| (Step::Key(&rest[..end]), &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_and_read_back() {
        let root = Path::Root;
        let spec = Path::Key(&root, "spec");
        let rule = Path::Index(&spec, 2);
        let label = Path::Key(&rule, "a.b/c");
        assert_eq!(label.to_string(), r#"spec[2]["a.b/c"]"#);
        assert_eq!(steps(&label.to_string()), [Step::Key("spec"), Step::Index(2), Step::Key("a.b/c")]);
        assert_eq!(steps("a.b[0].c"), [Step::Key("a"), Step::Key("b"), Step::Index(0), Step::Key("c")]);
    }
}

//! Whose fault a NACK is: Envoy answers a whole response and names the culprits in words at best.

use crate::resource::Name;

/// The resources whose names stand in the message as words of their own.
pub(super) fn culprits(message: &str, names: impl Iterator<Item = Name>) -> Vec<Name> {
    names.filter(|name| !name.is_empty() && is_named(message, name)).collect()
}

/// What a message that names several culprits says of one of them: from its name to that of the next. All of it where it is the
/// only one.
pub(super) fn words_of<'a>(message: &'a str, name: &str, culprits: &[Name]) -> &'a str {
    let Some(start) = find(message, name).filter(|_| culprits.len() > 1) else { return message };
    let others = culprits.iter().filter(|other| &***other != name);
    let end = others.filter_map(|other| Some(start + name.len() + find(&message[start + name.len()..], other)?)).min();
    message[start..end.unwrap_or(message.len())].trim_end()
}

fn is_named(message: &str, name: &str) -> bool {
    find(message, name).is_some()
}

/// Where a name stands as a word of its own.
fn find(message: &str, name: &str) -> Option<usize> {
    let mut places = message.match_indices(name).map(|(start, _)| start);
    places.find(|start| {
        let (before, after) = (&message[..*start], &message[start + name.len()..]);
        !before.chars().next_back().is_some_and(is_part_of_name) && !continues(after)
    })
}

/// A full stop may end a sentence or go on with a name: only what follows tells.
fn continues(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        Some('.') => chars.next().is_some_and(is_part_of_name),
        Some(next) => is_part_of_name(next),
        None => false,
    }
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(message: &str) -> Vec<Name> {
        culprits(message, ["a", "a/b", "a/b-2", "c.d"].into_iter().map(Name::from))
    }

    #[test]
    fn each_of_several_culprits_has_its_own_words() {
        let message = "Error adding/updating listener(s) tcp-80: no such filter\ntcp-81: cannot bind '0.0.0.0:81'\n";
        let both = ["tcp-80", "tcp-81"].map(Name::from);
        assert_eq!(words_of(message, "tcp-80", &both), "tcp-80: no such filter");
        assert_eq!(words_of(message, "tcp-81", &both), "tcp-81: cannot bind '0.0.0.0:81'");
        assert_eq!(words_of(message, "tcp-80", &both[..1]), message);
        // One that stands before the other again is the other's no more than its own.
        assert_eq!(words_of("b: like a, a: no", "a", &["a", "b"].map(Name::from)), "a, a: no");
    }

    #[test]
    fn names_count_as_whole_words() {
        assert_eq!(found("Error adding/updating listener(s) a/b: no filter"), [Name::from("a/b")]);
        assert_eq!(found("cluster a/b-2, c.d."), ["a/b-2", "c.d"].map(Name::from));
        assert!(found("malformed IP address: c.d.e").is_empty());
        assert_eq!(found("route 'a' is bad"), [Name::from("a")]);
    }
}

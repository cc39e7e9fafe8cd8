//! Whose fault a NACK is: Envoy answers a whole response and names the culprits in words at best.

use crate::resource::Name;

/// The resources whose names stand in the message as words of their own.
pub(super) fn culprits(message: &str, names: impl Iterator<Item = Name>) -> Vec<Name> {
    names.filter(|name| !name.is_empty() && is_named(message, name)).collect()
}

fn is_named(message: &str, name: &str) -> bool {
    message.match_indices(name).any(|(start, _)| {
        let (before, after) = (&message[..start], &message[start + name.len()..]);
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
    fn names_count_as_whole_words() {
        assert_eq!(found("Error adding/updating listener(s) a/b: no filter"), [Name::from("a/b")]);
        assert_eq!(found("cluster a/b-2, c.d."), ["a/b-2", "c.d"].map(Name::from));
        assert!(found("malformed IP address: c.d.e").is_empty());
        assert_eq!(found("route 'a' is bad"), [Name::from("a")]);
    }
}

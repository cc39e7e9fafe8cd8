//! What Envoy's words say of the culprit: they quote the value that they dislike.

use api::{ObjectRef, Resources};

/// Shorter texts stand everywhere.
const SHORTEST: usize = 3;

/// The suspects that hold one of the texts that Envoy quotes, or are named by it; nothing when it quotes none that helps.
pub(super) fn named(suspects: &[ObjectRef], resources: &Resources, words: &str) -> Vec<ObjectRef> {
    let by_name = |suspect: &&ObjectRef| words.contains(&format!("{}/{}", suspect.namespace, suspect.name));
    let named: Vec<_> = suspects.iter().filter(by_name).cloned().collect();
    if !named.is_empty() {
        return named;
    }
    let quoted = quoted(words);
    let holds = |suspect: &&ObjectRef| {
        // The debug form escapes what the words may have in plain: compare both in that form.
        let text = resources.get(suspect).map(|object| format!("{object:?}")).unwrap_or_default();
        quoted.iter().any(|quote| text.contains(&format!("{quote:?}")))
    };
    suspects.iter().filter(holds).cloned().collect()
}

/// Whether it is no resource's doing: a socket that the machine does not give.
pub(super) fn blame_the_machine(words: &str) -> bool {
    words.contains("cannot bind '")
}

/// The texts in quotes, and the last word after a colon.
fn quoted(words: &str) -> Vec<&str> {
    let in_quotes = ['\'', '"', '`'].into_iter().flat_map(|quote| words.split(quote).skip(1).step_by(2));
    let last = words.rsplit(": ").next();
    let all = in_quotes.chain(last).map(str::trim);
    all.filter(|text| text.len() >= SHORTEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_found() {
        let found = quoted("route: invalid regex 'a(b': missing ): a(b");
        assert_eq!(found, ["a(b", "a(b"]);
    }
}

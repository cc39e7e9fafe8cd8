//! Which buckets a tree has.
//!
//! The bucket of a key has *all* routes that a path with this longest key may match, in their order:
//!
//! - routes whose own path begins with the key, unless a longer key is their bucket,
//! - routes whose path is a beginning of the key (`/` is one of every key),
//! - routes with a regular expression, about which nothing is known.
//!
//! Keys are cut between characters wherever it suits; whether a prefix ends at an element or a path is exact is still for the
//! route to say, which keeps its whole match.

use std::sync::Arc;

/// A list of at most so many routes costs less than 3 µs to go through, and a bucket that is smaller costs more at each update.
pub(super) const SHORT: usize = 64;

/// The lists of all buckets together may be so many times as long as the list itself. Beyond that (many regular expressions)
/// the tree would cost more memory than it saves time.
const MOST_COPIES: usize = 3;

/// A route by the characters that its paths begin with; nothing is known of a regular expression.
struct Entry<'a> {
    path: &'a str,
    order: usize,
}

/// The key of a bucket, and its routes in their order.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) key: String,
    pub(super) routes: Vec<usize>,
}

/// The buckets of routes whose paths begin so, in the order of their keys, if a tree is worth it. The bucket of the empty key is
/// for paths that no other key begins.
pub(super) fn plan(beginnings: &[Arc<str>]) -> Option<Vec<Bucket>> {
    if beginnings.len() <= SHORT {
        return None;
    }
    let mut entries: Vec<Entry<'_>> =
        beginnings.iter().enumerate().map(|(order, path)| Entry { path, order }).collect();
    // Stable, so that equal paths stay in their order; and quick, as lists mostly come in a few sorted stretches.
    entries.sort_by_key(|entry| entry.path);
    let mut buckets = Vec::new();
    split(&entries, 0, &mut Vec::new(), &mut buckets);
    let copies: usize = buckets.iter().map(|bucket| bucket.routes.len()).sum();
    // One bucket is the list itself.
    if buckets.len() < 2 || copies > beginnings.len() * MOST_COPIES {
        return None;
    }
    buckets.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    Some(buckets)
}

/// Makes the buckets of entries that share their first `depth` bytes. `above` are the routes whose paths end before that.
fn split(entries: &[Entry<'_>], depth: usize, above: &mut Vec<usize>, buckets: &mut Vec<Bucket>) {
    // What all share is no choice.
    let common =
        entries.first().zip(entries.last()).map_or(depth, |(first, last)| depth + shared(first.path, last.path, depth));
    let key = |length: usize| entries.first().map(|first| first.path[..length].to_owned()).unwrap_or_default();
    if entries.len() <= SHORT && depth > 0 {
        return buckets.push(bucket(key(depth), entries, above));
    }
    // Sorted, those that end here come first.
    let ending = entries.iter().take_while(|entry| entry.path.len() == common).count();
    let (here, longer) = entries.split_at(ending);
    let before = above.len();
    above.extend(here.iter().map(|entry| entry.order));
    for group in longer.chunk_by(|one, other| character(one.path, common) == character(other.path, common)) {
        let width = character(group[0].path, common).map_or(0, char::len_utf8);
        split(group, common + width, above, buckets);
    }
    // Paths that go on in another way than any of the groups. A shorter path than what all share matches none of these,
    // but may match what is above: that is the bucket of the level above.
    if !above.is_empty() {
        buckets.push(bucket(key(common), &[], above));
    }
    above.truncate(before);
}

fn bucket(key: String, entries: &[Entry<'_>], above: &[usize]) -> Bucket {
    let mut routes: Vec<usize> = above.iter().copied().chain(entries.iter().map(|entry| entry.order)).collect();
    routes.sort_unstable();
    Bucket { key, routes }
}

fn character(path: &str, at: usize) -> Option<char> {
    path[at..].chars().next()
}

/// How many bytes two paths share from a place on, in whole characters.
fn shared(one: &str, other: &str, from: usize) -> usize {
    let pairs = one[from..].chars().zip(other[from..].chars());
    pairs.take_while(|(one, other)| one == other).map(|(character, _)| character.len_utf8()).sum()
}

//! A resource, and all resources of one type.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// A resource's name, unique among those of its type.
pub type Name = Arc<str>;

/// What tells two contents of a resource apart: the first half of the SHA-256 of its bytes, written as 32 hex digits.
///
/// It says nothing of when or by whom the resource was made, so that it is the same after a restart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u128);

impl Version {
    /// The version of what this server never made.
    pub(crate) const UNKNOWN: Self = Self(0);

    /// The version of these bytes.
    pub fn of(body: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(body).into();
        let (half, _) = hash.split_at(16);
        Self(half.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte)))
    }

    /// Reads what [`Display`](fmt::Display) wrote; `None` for what another server called a version.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 32).then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An encoded resource: the bytes of its message, without the `Any` around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    version: Version,
    body: Bytes,
}

impl Resource {
    /// A resource of these bytes.
    pub fn new(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { version: Version::of(&body), body }
    }

    /// A resource that a client says it has: of this version, with bytes that nobody here knows.
    pub(crate) fn known_by_version(version: Version) -> Self {
        Self { version, body: Bytes::new() }
    }

    /// What tells its content apart.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The encoded message.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// All resources of one type, by name. Cheap to clone; what did not change is shared with the set it was built from.
#[derive(Debug, Clone, Default)]
pub struct Resources(Arc<BTreeMap<Name, Arc<Resource>>>);

impl Resources {
    /// The set of these items. What `previous` has with the same bytes is taken from there, without hashing it again; when
    /// nothing differs the result *is* `previous`. Of two items with one name the last wins.
    pub fn build<N, B>(previous: &Self, items: impl IntoIterator<Item = (N, B)>) -> Self
    where
        N: AsRef<str>,
        B: AsRef<[u8]> + Into<Bytes>,
    {
        let mut reused = 0;
        let map: BTreeMap<_, _> = items
            .into_iter()
            .map(|(name, body)| match previous.0.get_key_value(name.as_ref()) {
                Some((name, same)) if same.body == body.as_ref() => {
                    reused += 1;
                    (Arc::clone(name), Arc::clone(same))
                }
                Some((name, _)) => (Arc::clone(name), Arc::new(Resource::new(body))),
                None => (Name::from(name.as_ref()), Arc::new(Resource::new(body))),
            })
            .collect();
        if reused == map.len() && map.len() == previous.len() { previous.clone() } else { Self(Arc::new(map)) }
    }

    /// The same with one resource added or replaced.
    #[must_use]
    pub fn with(&self, name: impl Into<Name>, body: impl Into<Bytes>) -> Self {
        let mut map = BTreeMap::clone(&self.0);
        map.insert(name.into(), Arc::new(Resource::new(body)));
        Self(Arc::new(map))
    }

    /// The same without one resource.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut map = BTreeMap::clone(&self.0);
        map.remove(name);
        Self(Arc::new(map))
    }

    /// The resource of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Resource>> {
        self.0.get(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Arc<Resource>)> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same set in memory; then they are equal, but equal sets need not be the same.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The names whose resource was added, replaced or removed between `self` and `next`.
    pub fn changed(&self, next: &Self) -> Vec<Name> {
        if self.is_same(next) {
            return Vec::new();
        }
        let mut changed = Vec::new();
        let (mut old, mut new) = (self.0.iter().peekable(), next.0.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return changed,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((one, _)), Some((other, _))) if Arc::ptr_eq(one, other) => std::cmp::Ordering::Equal,
                (Some((one, _)), Some((other, _))) => one.cmp(other),
            };
            let before = if order.is_le() { old.next() } else { None };
            let after = if order.is_ge() { new.next() } else { None };
            let is_same = |((_, one), (_, other)): (Entry<'_>, Entry<'_>)| {
                Arc::ptr_eq(one, other) || one.version == other.version
            };
            if !before.zip(after).is_some_and(is_same) {
                changed.extend(before.or(after).map(|(name, _)| Arc::clone(name)));
            }
        }
    }
}

type Entry<'a> = (&'a Name, &'a Arc<Resource>);

#[cfg(test)]
mod tests {
    use super::*;

    fn build(previous: &Resources, items: &[(&str, &str)]) -> Resources {
        Resources::build(previous, items.iter().map(|(name, body)| (*name, body.as_bytes().to_vec())))
    }

    #[test]
    fn versions_are_of_the_content_and_read_back() {
        let version = Version::of(b"x");
        assert_eq!(version, Resource::new("x").version());
        assert_ne!(version, Version::of(b"y"));
        assert_eq!(Version::parse(&version.to_string()), Some(version));
        assert_eq!(Version::parse("7"), None);
    }

    #[test]
    fn what_is_unchanged_is_shared() {
        let one = build(&Resources::default(), &[("a", "1"), ("b", "1"), ("c", "1")]);
        assert!(build(&one, &[("c", "1"), ("b", "1"), ("a", "1")]).is_same(&one));
        let two = build(&one, &[("a", "1"), ("b", "2"), ("d", "1")]);
        assert!(Arc::ptr_eq(one.get("a").unwrap(), two.get("a").unwrap()));
        assert_eq!(one.changed(&two), ["b", "c", "d"].map(Name::from));
        assert_eq!(two.changed(&one), ["b", "c", "d"].map(Name::from));
        assert!(one.changed(&one.clone()).is_empty());
    }

    #[test]
    fn one_fewer_is_a_change() {
        let one = build(&Resources::default(), &[("a", "1"), ("b", "1")]);
        let two = build(&one, &[("a", "1")]);
        assert_eq!(two.len(), 1);
        assert_eq!(one.changed(&two), [Name::from("b")]);
        assert!(one.without("b").changed(&two).is_empty());
        assert_eq!(two.with("b", "2").changed(&one), [Name::from("b")]);
    }
}

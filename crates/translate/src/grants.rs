//! References across namespaces: allowed only where a ReferenceGrant in the other namespace says so (GEP-709).

use api::{Resources, Stored};

/// Who refers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referrer<'a> {
    /// Its API group.
    pub(crate) group: &'a str,
    /// Its kind.
    pub(crate) kind: &'a str,
    /// Its namespace.
    pub(crate) namespace: &'a str,
}

impl<'a> Referrer<'a> {
    /// The referrer that a resource is.
    pub(crate) fn of<T: Stored>(resource: &'a T) -> Self {
        Self { group: T::GROUP, kind: resource.kind(), namespace: resource.namespace() }
    }
}

/// Who is referred to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Referent<'a> {
    /// Its API group.
    pub(crate) group: &'a str,
    /// Its kind.
    pub(crate) kind: &'a str,
    /// Its namespace.
    pub(crate) namespace: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
}

/// Whether the reference is allowed. Within a namespace it always is.
pub(crate) fn permits(resources: &Resources, from: Referrer<'_>, to: Referent<'_>) -> bool {
    from.namespace == to.namespace
        || resources.reference_grants.in_namespace(to.namespace).any(|grant| {
            let from_fits = grant
                .spec
                .from
                .iter()
                .any(|item| item.group == from.group && item.kind == from.kind && item.namespace == from.namespace);
            let to_fits = grant.spec.to.iter().any(|item| {
                let named = item.name.as_deref().filter(|name| !name.is_empty());
                item.group == to.group && item.kind == to.kind && named.is_none_or(|name| name == to.name)
            });
            from_fits && to_fits
        })
}

/// What to say of a reference that is not.
pub(crate) fn refusal(from: Referrer<'_>, to: Referent<'_>) -> String {
    format!(
        "{} {}/{} may not be referred to from a {} in namespace {}; a ReferenceGrant in namespace {} can allow it",
        to.kind, to.namespace, to.name, from.kind, from.namespace, to.namespace
    )
}

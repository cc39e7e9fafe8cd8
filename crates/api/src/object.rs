//! How any resource is named.

use std::fmt;

use crate::ObjectMeta;

/// What every stored resource has: a kind and metadata.
pub trait Stored: PartialEq + Send + Sync + 'static {
    /// The API group, empty for the core group.
    const GROUP: &'static str;
    /// The kind, as in `kind:`. For [`crate::Route`], which stands for five kinds, see [`Stored::kind`].
    const KIND: &'static str;

    /// The resource's metadata.
    fn meta(&self) -> &ObjectMeta;

    /// The kind of this resource.
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    /// The name, empty when there is none.
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    /// The namespace, empty for cluster-scoped resources.
    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.generation`, zero when there is none.
    fn generation(&self) -> i64 {
        self.meta().generation.unwrap_or_default()
    }

    /// The value of a label.
    fn label(&self, key: &str) -> Option<&str> {
        self.meta().labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The value of an annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The order of the Gateway API between competing resources: the older first, then by namespace and name.
    fn age(&self) -> (Option<k8s_openapi::jiff::Timestamp>, String) {
        let created = self.meta().creation_timestamp.as_ref().map(|time| time.0);
        (created, format!("{}/{}", self.namespace(), self.name()))
    }

    /// The reference to this resource.
    fn reference(&self) -> ObjectRef {
        ObjectRef::new(Self::GROUP, self.kind(), self.namespace(), self.name())
    }
}

/// Names one resource of any kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct ObjectRef {
    /// The API group, empty for the core group.
    pub group: String,
    /// The kind, as in `kind:`.
    pub kind: String,
    /// The namespace, empty for cluster-scoped kinds.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Names a resource.
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self { group: group.to_owned(), kind: kind.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

/// `Kind namespace/name`, as logs and messages show it.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

//! Which group's configuration a client shall get.

use std::sync::Arc;

use envoy::core::Node;
use kit::incoming::Peer;

/// Why a client gets nothing. The stream ends with `PERMISSION_DENIED` and this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Decides which group a client belongs to, by what the transport says of it (over a Unix socket nothing: whoever may open
/// the socket's file is let in) and by what it says of itself. The group need not exist: the client then waits for it.
pub type Admission = Arc<dyn Fn(&Peer, &Node) -> Result<Arc<str>, Refusal> + Send + Sync>;

/// The group that a node names as its `cluster` (Envoy's `--service-cluster`), whoever it is.
pub fn admit_by_cluster() -> Admission {
    Arc::new(|_, node| match node.cluster.as_str() {
        "" => Err(Refusal("the node names no cluster (--service-cluster)".to_owned())),
        cluster => Ok(Arc::from(cluster)),
    })
}

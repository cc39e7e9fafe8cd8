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

/// The group that a node names as its `cluster`, if its certificate allows it: it must have the identity (URI) of that
/// group, which `id` tells, or the one that is good for `any`. Who has no certificate comes by a Unix socket, or from this
/// machine where the server speaks no TLS.
pub fn admit_by_identity(id: fn(&str) -> String, any: &'static str) -> Admission {
    let by_cluster = admit_by_cluster();
    Arc::new(move |peer, node| {
        let group = by_cluster(peer, node)?;
        let Some(identity) = &peer.identity else { return Ok(group) };
        let wanted = id(&group);
        match identity.uris.iter().any(|uri| *uri == wanted || uri == any) {
            true => Ok(group),
            false => Err(Refusal(format!("the certificate does not name {wanted}"))),
        }
    })
}

/// One group for all, whatever they name, if their certificate has this identity (URI); see [`admit_by_identity`].
pub fn admit_to(group: &str, id: &'static str) -> Admission {
    let group: Arc<str> = Arc::from(group);
    Arc::new(move |peer, _| match &peer.identity {
        Some(identity) if !identity.uris.iter().any(|uri| uri == id) => {
            Err(Refusal(format!("the certificate does not name {id}")))
        }
        _ => Ok(Arc::clone(&group)),
    })
}

#[cfg(test)]
mod tests {
    use kit::tls::Identity;

    use super::*;

    fn peer(uris: Option<&[&str]>) -> Peer {
        let identity = uris.map(|uris| {
            let uris = uris.iter().map(|uri| (*uri).to_owned()).collect();
            Arc::new(Identity { uris, ..Identity::default() })
        });
        Peer { address: None, identity }
    }

    fn admitted(uris: Option<&[&str]>, cluster: &str) -> Result<Arc<str>, Refusal> {
        let node = Node { cluster: cluster.to_owned(), ..Node::default() };
        admit_by_identity(|group| format!("of/{group}"), "all")(&peer(uris), &node)
    }

    #[test]
    fn a_certificate_is_good_for_its_own_group() {
        let own = Ok(Arc::from("a/b"));
        assert_eq!(admitted(Some(&["other", "of/a/b"]), "a/b"), own);
        assert_eq!(admitted(Some(&["all"]), "a/b"), own);
        assert_eq!(admitted(None, "a/b"), own);
        for (uris, cluster) in
            [(&["of/a/b"][..], "a/c"), (&["of/a/b"], "a"), (&["of/a/b"], ""), (&[], "a/b"), (&["al"], "a/b")]
        {
            assert!(admitted(Some(uris), cluster).is_err(), "{uris:?} {cluster}");
        }
    }

    #[test]
    fn one_group_is_for_its_identity_whatever_a_node_names() {
        let admitted = |uris| admit_to("limits", "the/service")(&peer(uris), &Node::default());
        assert_eq!(admitted(Some(&["the/service"])), Ok(Arc::from("limits")));
        assert_eq!(admitted(None), Ok(Arc::from("limits")));
        assert!(admitted(Some(&["of/a/b"])).is_err() && admitted(Some(&[])).is_err());
    }
}

//! What many routes have in common is kept once: thousands of routes ask for the same features and use the same back ends.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use ir::{Cluster, ClusterName, Features};

/// So many names of clusters may be there before those that nobody uses any more are let go of.
const FEW: usize = 64;

/// What was made for routes looked at before, to be used again.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    clusters: HashMap<ClusterName, Weak<Cluster>>,
    /// How many clusters were in use at the last look.
    used: usize,
    /// What routes without policies and filters ask for.
    nothing: Arc<Features>,
    /// What the last route with some asked for. Routes come ordered by namespace, and a policy holds for neighbours.
    last: Arc<Features>,
}

impl Shared {
    /// The cluster that is there, where it is the same.
    pub(crate) fn cluster(&mut self, cluster: Arc<Cluster>) -> Arc<Cluster> {
        let known = self.clusters.get(&cluster.name).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| *known == cluster) {
            return known;
        }
        if self.clusters.len() > 2 * self.used.max(FEW) {
            self.clusters.retain(|_, cluster| cluster.strong_count() > 0);
            self.used = self.clusters.len();
        }
        self.clusters.insert(Arc::clone(&cluster.name), Arc::downgrade(&cluster));
        cluster
    }

    /// The features that are there, where they are the same.
    pub(crate) fn features(&mut self, features: Features) -> Arc<Features> {
        if features == *self.nothing {
            return Arc::clone(&self.nothing);
        }
        if features != *self.last {
            self.last = Arc::new(features);
        }
        Arc::clone(&self.last)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use ir::{Cluster, Discovery, Features, UpstreamProtocol, route::HeaderMutation};

    use super::{FEW, Shared};

    fn cluster(name: &str, seconds: u64) -> Arc<Cluster> {
        Arc::new(Cluster {
            name: name.into(),
            discovery: Discovery::Delivered(Vec::new()),
            protocol: UpstreamProtocol::Http1,
            tls: None,
            connect_timeout: Duration::from_secs(seconds),
            ejects_failing: false,
            sources: Vec::new(),
        })
    }

    #[test]
    fn equal_clusters_are_one_and_others_are_not() {
        let mut shared = Shared::default();
        let first = shared.cluster(cluster("a", 1));
        assert!(Arc::ptr_eq(&first, &shared.cluster(cluster("a", 1))));
        let other = shared.cluster(cluster("a", 2));
        assert_eq!(
            other.connect_timeout,
            Duration::from_secs(2),
            "the same name with another content is another cluster"
        );
    }

    #[test]
    fn clusters_that_nobody_uses_are_forgotten() {
        let mut shared = Shared::default();
        for number in 0..100 * FEW {
            drop(shared.cluster(cluster(&number.to_string(), 1)));
        }
        assert!(shared.clusters.len() <= 2 * FEW + 1, "{} names are kept", shared.clusters.len());
    }

    #[test]
    fn equal_features_are_one() {
        let mut shared = Shared::default();
        let features = |name: &str| Features {
            request_headers: HeaderMutation { remove: vec![name.to_owned()], ..HeaderMutation::default() },
            ..Features::default()
        };
        let some = shared.features(features("a"));
        assert!(Arc::ptr_eq(&shared.features(Features::default()), &shared.features(Features::default())));
        assert!(Arc::ptr_eq(&some, &shared.features(features("a"))));
        assert_eq!(*shared.features(features("b")), features("b"));
    }
}

//! More than one Redis: a master with a replica and a Sentinel that watches them, and a cluster.

use anyhow::{Context, Result};

use super::{Redis, Spec, free_address};
use crate::PATIENCE;
use crate::wait::wait_until;

/// A Sentinel that watches a master under a name, decides alone, and decides quickly. It has found the replicas when this
/// returns.
pub async fn sentinel(name: &str, master: &Redis, replicas: usize) -> Result<Redis> {
    let (ip, port) = (master.address().ip(), master.address().port());
    let text = format!(
        "sentinel monitor {name} {ip} {port} 1\nsentinel down-after-milliseconds {name} 400\n\
         sentinel failover-timeout {name} 2000\n"
    );
    let sentinel = Spec { sentinel: Some(text), ..Spec::default() }.start().await?;
    let found = async || {
        let known = sentinel.command(&["SENTINEL", "REPLICAS", name]).await;
        known.is_ok_and(|text| text.lines().filter(|line| *line == "master-link-status").count() == replicas)
    };
    wait_until("the Sentinel to find the replicas", PATIENCE, found).await?;
    Ok(sentinel)
}

/// A cluster of masters without replicas.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes; the slots are shared out evenly and in order.
    pub nodes: Vec<Redis>,
}

/// All slots of a cluster.
const SLOTS: usize = 16_384;

impl Cluster {
    /// Starts so many nodes and waits until all of them know of all slots.
    pub async fn start(size: usize) -> Result<Self> {
        let mut nodes: Vec<Redis> = Vec::new();
        for index in 0..size {
            let bus = free_address()?.port().to_string();
            let node = Spec::new()
                .args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus])
                .start()
                .await?;
            let (from, to) = (index * SLOTS / size, (index + 1) * SLOTS / size - 1);
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &to.to_string()]).await?;
            if let Some(first) = nodes.first() {
                let (ip, port) = (node.address().ip().to_string(), node.address().port().to_string());
                first.command(&["CLUSTER", "MEET", &ip, &port, &bus]).await?;
            }
            nodes.push(node);
        }
        let cluster = Self { nodes };
        wait_until("the cluster to be complete", PATIENCE, async || cluster.complete().await).await?;
        Ok(cluster)
    }

    async fn complete(&self) -> bool {
        for node in &self.nodes {
            let Ok(info) = node.command(&["CLUSTER", "INFO"]).await else { return false };
            let known = format!("cluster_known_nodes:{}", self.nodes.len());
            if !info.contains("cluster_state:ok") || !info.contains(&known) {
                return false;
            }
        }
        true
    }

    /// The keys of all nodes that match a pattern, each with the index of its node.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<(String, usize)>> {
        let mut found = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let keys = node.command(&["KEYS", pattern]).await?;
            found.extend(keys.lines().map(|key| (key.to_owned(), index)));
        }
        Ok(found)
    }

    /// Moves the slot of a key, with all that is in it, from one node to another.
    pub async fn move_slot(&self, key: &str, from: usize, to: usize) -> Result<()> {
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let slot = source.command(&["CLUSTER", "KEYSLOT", key]).await?;
        let (source_id, target_id) =
            (source.command(&["CLUSTER", "MYID"]).await?, target.command(&["CLUSTER", "MYID"]).await?);
        target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]).await?;
        source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]).await?;
        let (ip, port) = (target.address().ip().to_string(), target.address().port().to_string());
        let keys = source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).await?;
        for key in keys.lines() {
            source.command(&["MIGRATE", &ip, &port, key, "0", "5000"]).await.context("cannot move a key")?;
        }
        for node in [target, source] {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]).await?;
        }
        Ok(())
    }
}

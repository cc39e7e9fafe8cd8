//! Faults of the control plane, on demand: an API server that is killed and comes back, and a store that forgets its history.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Cluster;
use super::control_plane::{ETCD_PORT, Parts};
use super::spec::ready;

const API_SERVER: &str = "kube-apiserver";

impl Cluster {
    /// Kills the API server (SIGKILL) and waits until it is gone. All that was stored stays.
    pub fn kill_api_server(&mut self) -> Result<()> {
        let daemons = &mut self.owned.daemons;
        let index = daemons.iter().position(|daemon| daemon.name() == API_SERVER).context("the API server is down")?;
        drop(daemons.remove(index));
        Ok(())
    }

    /// Starts the API server again, and waits until it is ready.
    pub async fn start_api_server(&mut self) -> Result<()> {
        let is_up = self.owned.daemons.iter().any(|daemon| daemon.name() == API_SERVER);
        ensure!(!is_up, "the API server runs already");
        let inside = self.owned.namespaces.inside();
        let (credentials, audited) = (&self.credentials, self.audited);
        let parts = Parts { place: &self.owned.place, inside, net: self.handle.net(), credentials, audited };
        self.owned.daemons.push(parts.apiserver()?);
        ready("the API server", &mut self.owned.daemons, async || self.api.ready().await.then_some(())).await
    }

    /// Makes etcd forget all states but the present one, as it does with old ones by and by: whoever asks for what happened
    /// since an older one is answered with 410 Gone. The API server remembers some for itself until it is started anew.
    pub async fn forget_history(&self) -> Result<()> {
        let now = self.etcd("/v3/kv/range", &json!({ "key": "AA==", "limit": "1" })).await?;
        let revision = now["header"]["revision"].as_str().context("etcd does not say its revision")?.to_owned();
        self.etcd("/v3/kv/compaction", &json!({ "revision": revision, "physical": true })).await.map(drop)
    }

    /// One call of etcd's JSON gateway, which only the node itself can reach.
    async fn etcd(&self, path: &str, call: &Value) -> Result<Value> {
        let (body, port) = (call.to_string(), ETCD_PORT);
        let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf '%s' \"$1\" >&3; cat <&3");
        let length = body.len();
        let request = format!("POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n{body}");
        let answer = self.run("bash", &["-c", &script, "etcd", &request]).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer of etcd")?;
        ensure!(head.lines().next().is_some_and(|line| line.contains(" 200 ")), "etcd answers {answer}");
        serde_json::from_str(body).with_context(|| format!("etcd answers {answer}"))
    }
}

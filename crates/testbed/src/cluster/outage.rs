//! Faults of the control plane, on demand: an API server and a store that are killed and come back, and a store that forgets
//! its history.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::control_plane::{ETCD_PORT, Parts};
use super::spec::ready;
use super::{Cluster, Handle, Memory};

const API_SERVER: &str = "kube-apiserver";
const ETCD: &str = "etcd";

impl Cluster {
    /// Kills the API server (SIGKILL) and waits until it is gone. All that was stored stays.
    pub fn kill_api_server(&mut self) -> Result<()> {
        self.kill(API_SERVER)
    }

    /// Starts the API server again, and waits until it is ready.
    pub async fn start_api_server(&mut self) -> Result<()> {
        let api_server = self.parts(API_SERVER)?.apiserver()?;
        self.owned.daemons.push(api_server);
        ready("the API server", &mut self.owned.daemons, async || self.api.ready().await.then_some(())).await
    }

    /// Kills etcd (SIGKILL) and waits until it is gone: the API server answers nothing any more. All that was stored stays.
    pub fn kill_etcd(&mut self) -> Result<()> {
        self.kill(ETCD)
    }

    /// Starts etcd again, and waits until it answers, and the API server, if that runs, is ready.
    pub async fn start_etcd(&mut self) -> Result<()> {
        let etcd = self.parts(ETCD)?.etcd()?;
        self.owned.daemons.push(etcd);
        let with_api_server = self.runs(API_SERVER);
        let daemons = &mut self.owned.daemons;
        ready("etcd", daemons, async || ask_etcd(&self.handle, NOW, &now()).await.ok().map(drop)).await?;
        if !with_api_server {
            return Ok(());
        }
        ready("the API server", daemons, async || self.api.ready().await.then_some(())).await
    }

    fn runs(&self, name: &str) -> bool {
        self.owned.daemons.iter().any(|daemon| daemon.name() == name)
    }

    fn kill(&mut self, name: &str) -> Result<()> {
        let daemons = &mut self.owned.daemons;
        let index = daemons.iter().position(|daemon| daemon.name() == name);
        drop(daemons.remove(index.with_context(|| format!("{name} is down"))?));
        Ok(())
    }

    /// What it takes to start a component that does not run.
    fn parts(&self, name: &str) -> Result<Parts<'_>> {
        ensure!(!self.runs(name), "{name} runs already");
        let (inside, net) = (self.owned.namespaces.inside(), self.handle.net());
        let (credentials, audited) = (&self.credentials, self.audited);
        Ok(Parts { place: &self.owned.place, inside, net, credentials, audited })
    }

    /// The memory of a container that runs, by its id as its pod's status has it (without `containerd://`).
    pub fn memory_of(&self, container: &str) -> Result<Memory> {
        Memory::of(&self.handle, container)
    }

    /// Makes etcd forget all states but the present one, as it does with old ones by and by: whoever asks for what happened
    /// since an older one is answered with 410 Gone. The API server remembers some for itself until it is started anew.
    pub async fn forget_history(&self) -> Result<()> {
        let now = ask_etcd(&self.handle, NOW, &now()).await?;
        let revision = now["header"]["revision"].as_str().context("etcd does not say its revision")?.to_owned();
        let compaction = json!({ "revision": revision, "physical": true });
        ask_etcd(&self.handle, "/v3/kv/compaction", &compaction).await.map(drop)
    }
}

/// Where etcd is asked for the present state, and how: for one key, whatever it is.
const NOW: &str = "/v3/kv/range";

fn now() -> Value {
    json!({ "key": "AA==", "limit": "1" })
}

/// One call of etcd's JSON gateway, which only the node itself can reach.
async fn ask_etcd(node: &Handle, path: &str, call: &Value) -> Result<Value> {
    let (body, port) = (call.to_string(), ETCD_PORT);
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; printf '%s' \"$1\" >&3; cat <&3");
    let length = body.len();
    let request = format!("POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n{body}");
    let answer = node.run("bash", &["-c", &script, "etcd", &request]).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer of etcd")?;
    ensure!(head.lines().next().is_some_and(|line| line.contains(" 200 ")), "etcd answers {answer}");
    serde_json::from_str(body).with_context(|| format!("etcd answers {answer}"))
}

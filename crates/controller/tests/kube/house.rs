//! The cluster that all tests of this binary share: it starts with the first of them and ends with the last.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use testbed::cluster::{Channel, Cluster, Handle};
use tokio::runtime::Runtime;

use super::manifests;

/// Who reads under the name of this account is written down.
pub(crate) const AUDITED: &str = "system:serviceaccount:audit:reader";
/// Of that account everything that concerns contents is written down, with the server's answers.
const AUDIT: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- {level: RequestResponse, users: ['system:serviceaccount:audit:reader'], verbs: [get, list, watch], resources: [{group: '', \
resources: [secrets, configmaps]}]}
- {level: None}
";
/// How long a test that ends waits for another one to begin, before it ends the cluster.
const LINGER: Duration = Duration::from_millis(300);

static STATE: Mutex<State> = Mutex::new(State { users: 0, house: None });
static CAME: Condvar = Condvar::new();

struct State {
    users: usize,
    house: Option<Arc<House>>,
}

/// A cluster with the resource definitions of all kinds, and the runtime on which it is looked after.
struct House {
    cluster: Cluster,
    _runtime: Runtime,
}

/// The shared cluster, for as long as this is held.
pub(crate) struct Stay(Option<Arc<House>>);

impl Stay {
    /// Enters the cluster; the first one starts it.
    pub(crate) async fn begin() -> Self {
        tokio::task::spawn_blocking(Self::enter).await.expect("it does not panic").expect("the cluster starts")
    }

    fn enter() -> Result<Self> {
        let mut state = lock();
        if state.house.is_none() {
            state.house = Some(Arc::new(House::build()?));
        }
        state.users += 1;
        CAME.notify_all();
        Ok(Self(state.house.clone()))
    }

    pub(crate) fn cluster(&self) -> &Handle {
        &self.0.as_ref().expect("it is held until it is dropped").cluster
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.0 = None;
        let mut state = lock();
        state.users -= 1;
        let waited = CAME.wait_timeout_while(state, LINGER, |state| state.users == 0);
        state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.users == 0
            && let Some(house) = state.house.take()
        {
            // A runtime may not end within another one.
            let ended = std::thread::spawn(move || drop(house)).join();
            ended.expect("the cluster ends");
        }
    }
}

impl House {
    fn build() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let cluster = runtime.block_on(async {
            let cluster = Cluster::api_only().audit(AUDIT).start().await?;
            cluster.install_gateway_api(Channel::Experimental).await?;
            cluster.apply(&manifests::extension_crds()).await?;
            cluster.wait(&["--for=condition=Established", "crd", "--all"]).await?;
            anyhow::Ok(cluster)
        });
        Ok(Self { cluster: cluster?, _runtime: runtime })
    }
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What the API server says of routes and Gateway, as it changes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use testbed::cluster::Api;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::manifests;

/// Where the Gateway is among others.
const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/bench/gateways";
/// The longest that is waited for something.
const LATEST: Duration = Duration::from_secs(240);

/// What is known of the status of all.
#[derive(Debug)]
pub(super) struct Standing {
    accepted: watch::Receiver<usize>,
    attached: watch::Receiver<usize>,
    /// Ends with this.
    _tasks: JoinSet<()>,
}

impl Standing {
    /// Begins to watch.
    pub(super) fn follow(api: &Api) -> Self {
        let ((tell_accepted, accepted), (tell_attached, attached)) = (watch::channel(0), watch::channel(0));
        let mut tasks = JoinSet::new();
        let mut names = HashSet::new();
        tasks.spawn(follow(api.clone(), manifests::ROUTES, move |deleted, route| {
            let Some(name) = route["metadata"]["name"].as_str() else { return };
            if !deleted && is_accepted(route) {
                names.insert(name.to_owned());
            } else {
                names.remove(name);
            }
            tell_accepted.send_replace(names.len());
        }));
        tasks.spawn(follow(api.clone(), GATEWAYS, move |_, gateway| {
            let attached = gateway["status"]["listeners"][0]["attachedRoutes"].as_u64().unwrap_or_default();
            tell_attached.send_replace(usize::try_from(attached).unwrap_or(usize::MAX));
        }));
        Self { accepted, attached, _tasks: tasks }
    }

    /// Waits until so many routes say that they are accepted; how long that took since then.
    pub(super) async fn accepted(&self, routes: usize, since: Instant) -> Result<Duration> {
        reach(self.accepted.clone(), routes, since).await.context("not all routes say Accepted")
    }

    /// Waits until the Gateway says that so many routes are attached; how long that took since then.
    pub(super) async fn attached(&self, routes: usize, since: Instant) -> Result<Duration> {
        reach(self.attached.clone(), routes, since)
            .await
            .context("the Gateway does not say that all routes are attached")
    }
}

async fn reach(mut number: watch::Receiver<usize>, wanted: usize, since: Instant) -> Result<Duration> {
    let reached = tokio::time::timeout(LATEST, number.wait_for(|&number| number == wanted)).await;
    if reached.is_ok_and(|reached| reached.is_ok()) {
        return Ok(since.elapsed());
    }
    bail!("{} of {wanted} after {} s", *number.borrow(), LATEST.as_secs())
}

fn is_accepted(route: &Value) -> bool {
    let parents = route["status"]["parents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let conditions = parents.iter().filter_map(|parent| parent["conditions"].as_array()).flatten();
    conditions.into_iter().any(|one| one["type"] == "Accepted" && one["status"] == "True")
}

/// Tells all that is there and each change, until it is dropped. An API server ends a watch now and then.
async fn follow(api: Api, path: &str, mut tell: impl FnMut(bool, &Value)) {
    loop {
        if let Err(error) = once(&api, path, &mut tell).await {
            eprintln!("  {path}: {error:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn once(api: &Api, path: &str, tell: &mut impl FnMut(bool, &Value)) -> Result<()> {
    let list = api.get(path).await?;
    for object in list["items"].as_array().into_iter().flatten() {
        tell(false, object);
    }
    let from = list["metadata"]["resourceVersion"].as_str().context("a list without a version")?;
    let mut changes = api.watch(path, from).await?;
    while let Some(change) = changes.next().await? {
        if change["type"] == "ERROR" {
            bail!("{}", change["object"]);
        }
        tell(change["type"] == "DELETED", &change["object"]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_route_is_accepted_when_a_parent_says_so() {
        let route = |status: &str| {
            let conditions =
                json!([{"type": "ResolvedRefs", "status": "True"}, {"type": "Accepted", "status": status}]);
            json!({"status": {"parents": [{"conditions": conditions}]}})
        };
        assert!(is_accepted(&route("True")));
        assert!(!is_accepted(&route("False")));
        assert!(!is_accepted(&json!({})));
    }

    #[tokio::test]
    async fn a_number_is_waited_for() {
        let (tell, number) = watch::channel(1);
        let reached = tokio::spawn(reach(number, 3, Instant::now()));
        tell.send_replace(2);
        tell.send_replace(3);
        assert!(reached.await.unwrap().unwrap() < LATEST);
    }
}

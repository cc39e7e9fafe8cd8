//! Limits that are counted for all Envoys: the service that counts comes with the first policy, is there again when it was
//! killed, and goes with the last policy.

use std::{net::IpAddr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use controller::install::RATE_LIMIT_IMAGE;
use serde_json::json;
use testbed::{
    PATIENCE,
    binary::binary,
    cluster::{Image, redis_image},
    wait::wait_for,
};
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    installed::{HOST, Site, TAG, get},
    world::ENVOYS,
};

/// A policy of ten lines, and a Redis.
const EXAMPLE: &str = include_str!("../../../../examples/kubernetes/rate-limit.yaml");
const SERVICE: &str = "deployment/envoy-ratelimit";
const PODS: &str = "--selector=app.kubernetes.io/component=ratelimit";

impl Site {
    /// Gives the node what counts, and tells the controller to run it.
    async fn with_limits(&self) -> Result<()> {
        let build = || Ok::<_, anyhow::Error>((binary("ratelimit", "portcullis-ratelimit")?, redis_image()?));
        let (program, redis) = tokio::task::spawn_blocking(build).await??;
        self.cluster.import(&redis).await?;
        self.cluster.import(&Image::of(RATE_LIMIT_IMAGE, program).user("65532:65532")).await?;
        // This machine has two cores, and more to do than to answer within 20 ms.
        let backend = json!({"type": "Redis", "redis": {"url": "redis.default.svc:6379"}});
        self.configure("rateLimit", &json!({"backend": backend, "timeout": "1s"})).await
    }

    /// Which objects there are of the service, with its pods.
    async fn of_service(&self) -> Result<String> {
        self.kubectl(&["get", "deployments,services,serviceaccounts,pods", PODS, "--output=name"]).await
    }
}

/// Requests one after the other, with a count of those that passed, until it's told to stop.
struct Asking {
    stop: Arc<Notify>,
    task: JoinHandle<Result<(u32, u32)>>,
}

impl Asking {
    fn start(address: IpAddr) -> Self {
        let stop = Arc::new(Notify::new());
        let (told, request) = (Arc::clone(&stop), get(address, HOST));
        let ask = async move {
            let (mut passed, mut refused) = (0, 0);
            loop {
                let answer = tokio::select! {
                    answer = request.send() => answer?,
                    () = told.notified() => return Ok((passed, refused)),
                };
                match answer.status.as_u16() {
                    200 => passed += 1,
                    429 => refused += 1,
                    other => anyhow::bail!("it was answered {other}"),
                }
            }
        };
        Self { stop, task: tokio::spawn(ask) }
    }

    /// How many passed, and how many were refused.
    async fn stop(self) -> Result<(u32, u32)> {
        self.stop.notify_one();
        self.task.await?
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_of_ten_lines_limits_and_the_service_comes_and_goes_with_it() -> Result<()> {
    let site = Site::start().await?;
    let before = site.at_rest().await?;
    site.install(TAG).await?;
    let address = site.quickstart().await?;
    site.with_limits().await?;
    site.takes_effect(address, "configured").await?;
    assert_eq!(site.of_service().await?, "", "nobody needs it yet");

    site.cluster.apply(EXAMPLE).await?;
    site.cluster.wait(&["--for=condition=Available", "deployment/redis"]).await?;
    site.answers(address, HOST, 429).await?;
    for _ in 0..10 {
        assert_eq!(get(address, HOST).send().await?.status, 429, "the hour is long");
    }
    // The limit is one route's.
    assert_eq!(get(address, "configured.example.com").send().await?.status, 200);
    site.speaks_tls_only("rate-limit-service").await?;

    killed(&site, address).await?;
    rolled(&site, address).await?;
    repaired(&site).await?;

    site.cluster.kubectl(&["delete", "backendtrafficpolicy", "limit"]).await?;
    site.answers(address, HOST, 200).await?;
    let nothing = async || site.of_service().await.is_ok_and(|left| left.is_empty()).then_some(());
    wait_for("the service to be gone", PATIENCE, nothing).await?;

    let manifests = tempfile::NamedTempFile::with_suffix(".yaml")?;
    std::fs::write(&manifests, EXAMPLE)?;
    let file = manifests.path().display().to_string();
    site.cluster.kubectl(&["delete", "--ignore-not-found", "--cascade=foreground", "--filename", &file]).await?;
    site.cluster.kubectl(&["delete", "httproute", "configured"]).await?;
    site.leaves_nothing(&before).await?;
    site.cluster.stop().await
}

impl Site {
    /// Looks at what an Envoy has of a service that it asks: its connections are encrypted, all of them.
    pub(crate) async fn speaks_tls_only(&self, cluster: &str) -> Result<()> {
        let pods = self.pods(ENVOYS).await?;
        let path = format!("/stats?filter={cluster}");
        let stats = self.page(pods.first().context("there is an Envoy")?, 19000, &path).await?;
        let stat = |name: &str| {
            let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cluster.{cluster}.{name}: ")));
            line.and_then(|value| value.trim().parse::<u64>().ok()).with_context(|| format!("{name}: {stats}"))
        };
        let (connected, encrypted) = (stat("upstream_cx_total")?, stat("ssl.handshake")?);
        ensure!(encrypted > 0 && connected - stat("upstream_cx_connect_fail")? <= encrypted, "{stats}");
        Ok(())
    }
}

/// Without the service requests pass, and its counters are not forgotten.
async fn killed(site: &Site, address: IpAddr) -> Result<()> {
    let pods = site.pods(PODS).await?;
    let container = pods.first().and_then(Site::container).context("it runs")?;
    let asking = Asking::start(address);
    // A deleted pod ends in order, however little time it is given, and the next one may be there before it has ended.
    site.cluster.run("ctr", &["--namespace=k8s.io", "tasks", "kill", "--signal=SIGKILL", container]).await?;
    site.answers(address, HOST, 200).await?;
    let is_back = async || {
        let pods = site.pods(PODS).await.ok()?;
        let is_another = pods.first().and_then(Site::container).is_some_and(|now| now != container);
        (is_another && !site.ready_pods(PODS).await.ok()?.is_empty()).then_some(())
    };
    wait_for("the service to be started again", PATIENCE, is_back).await?;
    site.answers(address, HOST, 429).await?;
    let (passed, refused) = asking.stop().await?;
    println!("service killed: {passed} passed without it, {refused} were refused");
    ensure!(passed > 0, "it was there all the time");
    assert_eq!(get(address, HOST).send().await?.status, 429);
    Ok(())
}

/// Where it ends in order, no request passes that should not.
async fn rolled(site: &Site, address: IpAddr) -> Result<()> {
    let old = site.ready_pods(PODS).await?;
    let asking = Asking::start(address);
    site.kubectl(&["rollout", "restart", SERVICE]).await?;
    site.rolled_out(SERVICE).await?;
    site.gone(&old).await?;
    let (passed, refused) = asking.stop().await?;
    println!("service rolled: {passed} passed without it, {refused} were refused");
    ensure!(passed == 0 && refused > 0, "{passed} passed, {refused} were refused");
    Ok(())
}

/// What others change is set back.
async fn repaired(site: &Site) -> Result<()> {
    site.kubectl(&["set", "image", SERVICE, "envoy-ratelimit=docker.io/library/redis:7.0"]).await?;
    site.kubectl(&["delete", "service", "envoy-ratelimit"]).await?;
    let image = "--output=jsonpath={.spec.template.spec.containers[0].image}";
    let is_ours = async || {
        let service = site.kubectl(&["get", "service", "envoy-ratelimit"]).await;
        let image = site.kubectl(&["get", SERVICE, image]).await.ok()?;
        (service.is_ok() && image == RATE_LIMIT_IMAGE).then_some(())
    };
    wait_for("the service to be as it should", PATIENCE, is_ours).await?;
    site.rolled_out(SERVICE).await
}

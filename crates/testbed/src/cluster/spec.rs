//! Which cluster is wanted, and how it comes to life.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::balancer::Balancer;
use super::control_plane::Parts;
use super::credentials::Credentials;
use super::image::Image;
use super::namespaces::Namespaces;
use super::net::Net;
use super::place::Place;
use super::{Cluster, Handle, Owned, cgroups, dns, images};
use crate::process::Process;
use crate::tools::{self, Program, kubernetes};
use crate::wait::wait_for;

/// How long one component may take to be ready on a small and busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// Which cluster is wanted.
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is started"]
pub struct Spec {
    name: Option<String>,
    net: Option<Net>,
    pods: bool,
    kwok: bool,
    audit: Option<String>,
    images: Vec<Image>,
}

impl Spec {
    pub(super) fn new(pods: bool) -> Self {
        Self { name: None, net: None, pods, kwok: false, audit: None, images: Vec::new() }
    }

    /// Its name, also its node's. Without one it gets one that no other has.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Its addresses. Without them it gets free ones.
    pub fn net(mut self, net: Net) -> Self {
        self.net = Some(net);
        self
    }

    /// Runs kwok and a scheduler as well: nodes that somebody creates seem to live, and so do the pods on them.
    pub fn kwok(mut self) -> Self {
        self.kwok = true;
        self
    }

    /// Writes down what the API server is asked for, as a `Policy` of `audit.k8s.io/v1` says: see [`Handle::audited`].
    pub fn audit(mut self, policy: &str) -> Self {
        self.audit = Some(policy.to_owned());
        self
    }

    /// Gives the node one more image from the start.
    pub fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// Builds and fetches all that is needed and not in the cache yet. The first time, this takes minutes.
    pub fn prepare(&self) -> Result<()> {
        use Program::{Etcd, KubeApiserver, KubeControllerManager, KubeProxy, KubeScheduler, Kubectl, Kubelet, Kwok};
        tools::node()?;
        for program in [Etcd, KubeApiserver, KubeControllerManager, Kubectl] {
            kubernetes(program)?;
        }
        if self.kwok {
            kubernetes(Kwok)?;
        }
        if self.kwok || self.pods {
            kubernetes(KubeScheduler)?;
        }
        if self.pods {
            kubernetes(Kubelet)?;
            kubernetes(KubeProxy)?;
            images::standard()?;
        }
        Ok(())
    }

    /// Starts it, and waits until it can be used.
    pub async fn start(self) -> Result<Cluster> {
        check_root()?;
        if self.kwok && self.pods {
            bail!("kwok would take the real node for one of its own: take it without pods");
        }
        let spec = self.clone();
        tokio::task::spawn_blocking(move || spec.prepare()).await??;
        let name = self.name.clone().unwrap_or_else(unused_name);
        let steps = Steps { start: Instant::now() };
        let place = Place::claim(&name)?;
        if self.pods {
            cgroups::create(&name)?;
        }
        let mut namespaces = Namespaces::create(&place, &tools::node()?).await?;
        let net = claim(&mut namespaces, &name, self.net).await?;
        namespaces.connect().await?;
        steps.done(&format!("namespaces, network {net}.0.0/16"));
        let credentials = Credentials::create(&place.dir().join("credentials"), &name, net)?;
        let handle = Handle::new(&name, net, place.dir(), namespaces.inside(), self.pods);
        if let Some(policy) = &self.audit {
            fs::write(place.audit_policy(), policy)?;
        }
        let audited = self.audit.is_some();
        let parts = Parts { place: &place, inside: namespaces.inside(), net, credentials: &credentials, audited };
        let daemons = if self.pods {
            let (daemons, ()) = tokio::try_join!(self.daemons(parts, &steps), self.give_images(&handle, &steps))?;
            daemons
        } else {
            self.daemons(parts, &steps).await?
        };
        let api = credentials.api(net);
        let balancer = Balancer::start(api.clone(), net)?;
        if self.pods {
            handle.apply(&dns::manifests(net)).await?;
            handle.kubectl(&["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"]).await?;
            steps.done("DNS");
        }
        handle.publish()?;
        steps.done(&format!("cluster {name} is up"));
        Ok(Cluster {
            handle,
            api,
            credentials,
            audited,
            owned: Owned { _balancer: balancer, daemons, namespaces, place },
        })
    }

    /// Starts the daemons in the order in which they need each other.
    async fn daemons(&self, parts: Parts<'_>, steps: &Steps) -> Result<Vec<Process>> {
        let mut daemons = vec![parts.etcd()?, parts.apiserver()?];
        if self.pods {
            daemons.push(parts.containerd()?);
        }
        let api = parts.credentials.api(parts.net);
        ready("the API server", &mut daemons, async || api.ready().await.then_some(())).await?;
        steps.done("API server");
        daemons.push(parts.controller_manager()?);
        if self.pods || self.kwok {
            daemons.push(parts.scheduler()?);
        }
        if self.kwok {
            daemons.push(parts.kwok()?);
        }
        if self.pods {
            daemons.extend([parts.kubelet()?, parts.proxy()?]);
            let node = format!("/api/v1/nodes/{}", parts.place.name());
            let is_ready = async || {
                let node = api.get(&node).await.ok()?;
                let conditions = node["status"]["conditions"].as_array()?;
                conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True").then_some(())
            };
            ready("the node", &mut daemons, is_ready).await?;
            steps.done("node");
        }
        // Pods need the account, and it shows that the controllers work.
        let account = "/api/v1/namespaces/default/serviceaccounts/default";
        ready("the controllers", &mut daemons, async || api.get(account).await.ok().map(drop)).await?;
        steps.done("controllers");
        Ok(daemons)
    }

    /// Gives the node its images, as soon as containerd answers.
    async fn give_images(&self, handle: &Handle, steps: &Steps) -> Result<()> {
        let answers = async || handle.run("ctr", &["version"]).await.ok();
        wait_for("containerd", DEADLINE, answers).await?;
        for archive in images::standard()? {
            handle.import_archive(&archive).await?;
        }
        for image in &self.images {
            handle.import(image).await?;
        }
        steps.done("images");
        Ok(())
    }
}

/// Claims the addresses asked for, or the first that are free.
async fn claim(namespaces: &mut Namespaces, name: &str, wanted: Option<Net>) -> Result<Net> {
    if let Some(net) = wanted {
        namespaces.claim(net).await?;
        return Ok(net);
    }
    let mut refused = None;
    for net in Net::candidates(name) {
        match namespaces.claim(net).await {
            Ok(()) => return Ok(net),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.context("there are candidates")?.context("no network is free: ask for one"))
}

/// Waits for a condition, or for the end of a daemon, which is told with its last words.
pub(super) async fn ready(
    what: &str,
    daemons: &mut [Process],
    mut look: impl AsyncFnMut() -> Option<()>,
) -> Result<()> {
    let outcome = wait_for(what, DEADLINE, async || {
        if let Some(ended) = daemons.iter_mut().find_map(|daemon| daemon.exited().map(|_| daemon.tail())) {
            return Some(Err(ended));
        }
        look().await.map(Ok)
    });
    match outcome.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(last_words)) => bail!("a component ended while {what} was to get ready:\n{last_words}"),
        Err(late) => {
            let logs: Vec<String> =
                daemons.iter().map(|one| format!("{}:\n{}", one.log_path().display(), one.tail())).collect();
            Err(late).with_context(|| logs.join("\n"))
        }
    }
}

/// Says what is missing where this process is not root.
pub fn check_root() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    // This process itself belongs to whom it acts for.
    let user = Path::new("/proc/self").metadata().context("/proc is not mounted")?.uid();
    if user != 0 {
        bail!("a cluster needs namespaces, mounts and network devices of its own: run this as root");
    }
    Ok(())
}

/// A name for the cluster of one test.
fn unused_name() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A line for every step, with the time since the start.
struct Steps {
    start: Instant,
}

impl Steps {
    fn done(&self, what: &str) {
        eprintln!("{:6.1} s  {what}", self.start.elapsed().as_secs_f64());
    }
}

//! Where resources come from and where statuses go, as the configuration says: files, or the API server.

use std::path::PathBuf;

use api::config::Kubernetes;
use kit::{Kit, drain::Shutdown, health::Gate, tasks::BoxError};
use tokio::sync::watch;

use crate::{
    api_server::ApiServer,
    engine::Outlets,
    leader::Candidate,
    metrics::Metrics,
    source::{Seen, Severity, file::FileSource, kube::KubeSource},
    status_writer::{StatusWriter, finalizer},
};

/// Where resources come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// These files and directories.
    Files(Vec<PathBuf>),
    /// The API server.
    Cluster(Box<Kubernetes>),
}

/// A source that reads. It ends when this is dropped.
#[derive(Debug)]
pub enum Source {
    /// Files.
    Files(FileSource),
    /// The API server.
    Cluster(Box<Cluster>),
}

/// What is read from a cluster, and the way back to it.
#[derive(Debug)]
pub struct Cluster {
    /// The way to the API server.
    pub server: ApiServer,
    /// What is read.
    pub source: KubeSource,
    /// How.
    pub config: Kubernetes,
    /// Whether this controller is the leader, who writes.
    pub leads: watch::Sender<bool>,
}

impl Origin {
    /// Begins to read.
    ///
    /// # Errors
    /// No thread can be started, or it's not known where the API server is.
    pub async fn start(self, metrics: &Metrics) -> Result<Source, BoxError> {
        match self {
            Self::Files(paths) => Ok(Source::Files(FileSource::start(paths)?)),
            Self::Cluster(config) => {
                let server = ApiServer::find(config.client.rate_limit, metrics).await?;
                let source = KubeSource::start(&server.client, config.watch.as_ref());
                let leads = watch::Sender::new(config.leader_election.disable);
                Ok(Source::Cluster(Box::new(Cluster { server, source, config: *config, leads })))
            }
        }
    }
}

impl Source {
    /// What is read, as it changes.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        match self {
            Self::Files(source) => source.seen(),
            Self::Cluster(cluster) => cluster.source.seen(),
        }
    }

    /// Waits until everything was read once; the gate says what it waits for.
    pub async fn listed(&self, gate: &Gate) {
        let Self::Cluster(cluster) = self else { return };
        let (mut seen, mut listed) = (cluster.source.seen(), cluster.source.listed());
        loop {
            let problems = std::sync::Arc::clone(&seen.borrow_and_update().problems);
            let worst = problems.iter().filter(|problem| problem.severity != Severity::Note).min_by_key(|p| p.severity);
            gate.close(worst.map_or_else(|| "resources are read".to_owned(), ToString::to_string));
            tokio::select! {
                // An error means that the source has ended: the engine ends with it.
                _ = listed.wait_for(|listed| *listed) => return,
                _ = seen.changed() => {}
            }
        }
    }

    /// Writes statuses, while this controller is the leader. Files have none to write.
    pub fn write_statuses(&self, kit: &Kit, controller: &str, outlets: &Outlets, metrics: &Metrics) {
        let Self::Cluster(cluster) = self else { return };
        let Cluster { server, source, config, leads } = &**cluster;
        let leads = leads.clone();
        let (client, records) = (server.client.clone(), source.records().clone());
        let writer = StatusWriter::new(client.clone(), controller, records.clone(), metrics.clone());
        let writing = writer.run(outlets.statuses.subscribe(), leads.subscribe());
        spawn(kit, "statuses", writing);
        let output = outlets.output.subscribe();
        let finalizing = finalizer::keep(client, controller.to_owned(), records, output, leads.subscribe());
        spawn(kit, "finalizers", finalizing);
        let candidate = Candidate::new(server, config.leader_election.times());
        let (disabled, metrics, stop) = (config.leader_election.disable, metrics.clone(), kit.shutdown.clone());
        kit.tasks.spawn("leader", async move {
            elect(candidate, disabled, leads, &metrics, &stop).await;
            Ok::<(), BoxError>(())
        });
    }
}

/// Runs until the server stops.
fn spawn(kit: &Kit, name: &str, task: impl Future<Output = ()> + Send + 'static) {
    let stop = kit.shutdown.clone();
    kit.tasks.spawn(name, async move {
        stop.unless_stopping(task).await;
        Ok::<(), BoxError>(())
    });
}

/// Stands for election until the server stops, then lets another one lead.
async fn elect(
    mut candidate: Candidate,
    disabled: bool,
    leads: watch::Sender<bool>,
    metrics: &Metrics,
    stop: &Shutdown,
) {
    if disabled {
        metrics.leader(true);
        stop.stopping().await;
        return;
    }
    stop.unless_stopping(candidate.run(&leads, metrics)).await;
    candidate.release(&leads).await;
}

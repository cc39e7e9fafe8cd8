//! Envoys as processes of this machine: one for each fleet.
//!
//! ```text
//! fleets that are wanted ─▶ Host ─▶ Supervisor, one a fleet ─▶ Envoy (its own process group, files instead of pipes)
//! ```
//!
//! Traffic does not depend on the controller: an Envoy goes on when the controller is killed, and the next controller
//! adopts it. Only an orderly end of the controller, or of its Gateway, ends an Envoy.

mod drain;
mod find;
mod plan;
mod process;
mod runtime_dir;
mod supervise;
mod tail;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{sync::watch, task::JoinSet};

pub use find::{NotFound, envoy as find_envoy};
pub use plan::{Plan, settings};
pub use runtime_dir::{
    Error as RuntimeDirError, RuntimeDir, admin_socket, default_path as default_runtime_dir, xds_socket,
};
pub use supervise::{EnvoySpec, EnvoyState};

use nix::sys::signal::Signal;

use process::{Files, Process};
use supervise::Supervisor;

/// The Envoys that are wanted, by fleet.
pub type Wanted = BTreeMap<Arc<str>, Arc<EnvoySpec>>;
/// The Envoys that are there, by fleet.
pub type States = BTreeMap<Arc<str>, EnvoyState>;

/// The socket of an Envoy's admin interface in a runtime directory.
pub fn envoy_admin_socket(runtime: &Path, fleet: &str) -> PathBuf {
    Files::new(runtime_dir::of_envoy(runtime, fleet)).admin_socket()
}

/// Runs Envoys.
#[derive(Debug)]
pub struct Host {
    runtime: Arc<RuntimeDir>,
    program: PathBuf,
    envoys: BTreeMap<Arc<str>, Handle>,
    running: JoinSet<()>,
}

#[derive(Debug)]
struct Handle {
    wanted: watch::Sender<Option<Arc<EnvoySpec>>>,
    state: watch::Receiver<EnvoyState>,
    task: tokio::task::Id,
}

impl Host {
    /// Nothing runs yet.
    pub fn new(runtime: Arc<RuntimeDir>, program: &Path) -> Self {
        Self { runtime, program: program.to_owned(), envoys: BTreeMap::new(), running: JoinSet::new() }
    }

    /// Runs what is wanted, as it changes, until `stop`; then ends all Envoys, those that still have something to finish
    /// at `force`. `states` hears how they are.
    ///
    /// Nothing is done before `wanted` says something for the first time: until then the Envoys of an earlier
    /// controller go on.
    pub async fn run(
        mut self,
        mut wanted: watch::Receiver<Option<Wanted>>,
        states: watch::Sender<States>,
        stop: impl Future<Output = ()>,
        force: impl Future<Output = ()>,
    ) {
        // What was said before we listened counts, too.
        wanted.mark_changed();
        let mut stop = std::pin::pin!(stop);
        let mut look = tokio::time::interval(std::time::Duration::from_millis(250));
        loop {
            tokio::select! {
                () = &mut stop => break,
                changed = wanted.changed() => match changed {
                    Ok(()) => {
                        let now = wanted.borrow_and_update().clone();
                        if let Some(now) = now {
                            self.want(&now);
                        }
                    }
                    Err(_) => break,
                },
                Some(ended) = self.running.join_next_with_id() => self.ended(ended),
                _ = look.tick() => {}
            }
            self.tell(&states);
        }
        self.want(&Wanted::new());
        tokio::select! {
            () = async { while self.running.join_next().await.is_some() {} } => {}
            () = force => {}
        }
        self.kill();
    }

    fn kill(&self) {
        for fleet in self.runtime.envoys() {
            let files = Files::new(self.runtime.of_envoy(&fleet));
            if let Some(mut process) = Process::find(&files) {
                process.signal(Signal::SIGKILL);
            }
        }
    }

    fn want(&mut self, wanted: &Wanted) {
        // Those of an earlier controller that nobody wants any more are adopted to be ended.
        let earlier: BTreeSet<Arc<str>> = self.runtime.envoys().into_iter().map(Arc::from).collect();
        let all: BTreeSet<_> = self.envoys.keys().chain(wanted.keys()).chain(&earlier).cloned().collect();
        for fleet in all {
            let spec = wanted.get(&fleet).cloned();
            match self.envoys.get(&fleet) {
                Some(handle) => drop(handle.wanted.send_if_modified(|now| {
                    let changed = *now != spec;
                    *now = spec;
                    changed
                })),
                None => self.supervise(fleet, spec),
            }
        }
    }

    fn supervise(&mut self, fleet: Arc<str>, spec: Option<Arc<EnvoySpec>>) {
        let (wanted, receiver) = watch::channel(spec);
        let (sender, state) = watch::channel(EnvoyState::default());
        let files = Files::new(self.runtime.of_envoy(&fleet));
        let program = self.program.clone();
        let supervisor = Supervisor { fleet: Arc::clone(&fleet), program, files, wanted: receiver, state: sender };
        let task = self.running.spawn(supervisor.run()).id();
        self.envoys.insert(fleet, Handle { wanted, state, task });
    }

    /// A supervisor ended: its Envoy was not wanted any more. If it is wanted again meanwhile, it starts anew.
    fn ended(&mut self, ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(component = "infrastructure", %error, "the supervision of an Envoy broke off");
                error.id()
            }
        };
        let fleet = self.envoys.iter().find(|(_, handle)| handle.task == id).map(|(fleet, _)| Arc::clone(fleet));
        let Some(fleet) = fleet else { return };
        let handle = self.envoys.remove(&fleet);
        let spec = handle.and_then(|handle| handle.wanted.borrow().clone());
        if spec.is_some() {
            self.supervise(fleet, spec);
        }
    }

    fn tell(&self, states: &watch::Sender<States>) {
        let now = self.envoys.iter().map(|(fleet, handle)| (Arc::clone(fleet), handle.state.borrow().clone()));
        let now: States = now.collect();
        states.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

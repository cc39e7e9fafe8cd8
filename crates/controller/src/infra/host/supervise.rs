//! Keeps one Envoy running: adopts or starts it, starts it again when it ends, ends it when it is not wanted any more.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    drain::{drain, terminate},
    process::{Files, Process, write_atomically},
    runtime_dir::make_envoy_dir,
    tail,
};

/// The first wait before an Envoy that ended is started again; doubled with each time …
const SHORTEST: Duration = Duration::from_millis(100);
/// … up to this, and back to the first wait once it ran for this long.
const LONGEST: Duration = Duration::from_secs(30);

/// What is wanted of one Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoySpec {
    /// The bootstrap, as JSON.
    pub bootstrap: Arc<str>,
    /// Further arguments, without the path of the bootstrap.
    pub args: Vec<String>,
    /// How long it may take to finish what it has when it is to end.
    pub drain_timeout: Duration,
}

/// How one Envoy is, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyState {
    /// Its process id, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// How often it was started again after it had ended by itself.
    pub restarts: u32,
    /// How it ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ending: Option<String>,
}

/// One Envoy under supervision.
pub(super) struct Supervisor {
    pub(super) fleet: Arc<str>,
    pub(super) program: PathBuf,
    pub(super) files: Files,
    pub(super) wanted: watch::Receiver<Option<Arc<EnvoySpec>>>,
    pub(super) state: watch::Sender<EnvoyState>,
}

/// Why an Envoy does not run any more.
enum Turn {
    /// It ended by itself.
    Ended,
    /// Something else is wanted.
    Changed,
}

impl Supervisor {
    /// Runs until the Envoy is not wanted any more and has ended.
    pub(super) async fn run(mut self) {
        let fleet = Arc::clone(&self.fleet);
        let (log, access_log) = (self.files.log(), self.files.access_log());
        if let Err(error) = make_envoy_dir(self.files.dir(), &fleet) {
            tracing::error!(component = "infrastructure", %fleet, %error, "Envoy cannot be started");
            return;
        }
        tokio::select! {
            () = self.supervise() => {}
            () = async { tail::follow(&fleet, &log, &access_log).await; std::future::pending().await } => {}
        }
    }

    async fn supervise(&mut self) {
        let mut wait = SHORTEST;
        let mut adopted = Process::find(&self.files);
        loop {
            let spec = self.wanted.borrow_and_update().clone();
            let Some(spec) = spec else {
                if let Some(process) = adopted {
                    self.end(process, Duration::ZERO).await;
                }
                return self.forget();
            };
            let started = Instant::now();
            match self.adopt_or_start(adopted.take(), &spec).await {
                Ok(process) => match self.watch(process, &spec).await {
                    Turn::Changed => {
                        wait = SHORTEST;
                        continue;
                    }
                    Turn::Ended => {}
                },
                Err(error) => self.cannot_start(&error),
            }
            if started.elapsed() > LONGEST {
                wait = SHORTEST;
            }
            self.state.send_modify(|state| state.restarts += 1);
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.wanted.changed() => {}
            }
            wait = (wait * 2).min(LONGEST);
        }
    }

    /// The Envoy of an earlier controller, when it was made from the same; otherwise a new one.
    async fn adopt_or_start(&self, adopted: Option<Process>, spec: &EnvoySpec) -> std::io::Result<Process> {
        let made_from = self.made_from(spec);
        let fleet = &*self.fleet;
        if let Some(mut process) = adopted {
            if process.record.made_from == made_from {
                tracing::info!(
                    component = "infrastructure",
                    fleet,
                    pid = process.record.pid,
                    "Envoy is running already"
                );
                return Ok(process);
            }
            tracing::info!(component = "infrastructure", fleet, "Envoy has another bootstrap, it is started anew");
            terminate(&mut process).await;
        }
        write_atomically(&self.files.bootstrap(), spec.bootstrap.as_bytes())?;
        let mut args = vec!["--config-path".to_owned(), self.files.bootstrap().display().to_string()];
        args.extend(spec.args.iter().cloned());
        let process = Process::start(&self.program, &args, &self.files, &made_from)?;
        tracing::info!(component = "infrastructure", fleet, pid = process.record.pid, "Envoy is started");
        Ok(process)
    }

    /// Waits until the Envoy ends or something else is wanted of it; then ends it.
    async fn watch(&mut self, mut process: Process, spec: &EnvoySpec) -> Turn {
        self.state.send_modify(|state| state.pid = Some(process.record.pid));
        loop {
            tokio::select! {
                () = process.ended() => {
                    let how = process.ending();
                    tracing::error!(component = "infrastructure", fleet = &*self.fleet, how,
                        "Envoy ended by itself, it is started again");
                    self.state.send_modify(|state| (state.pid, state.last_ending) = (None, Some(how)));
                    return Turn::Ended;
                }
                changed = self.wanted.changed() => {
                    let next = changed.ok().and_then(|()| self.wanted.borrow_and_update().clone());
                    let is_same = next.as_ref().is_some_and(|next| self.made_from(next) == process.record.made_from);
                    if is_same {
                        continue;
                    }
                    // There is no hot restart: the listeners are closed for the moment that the new one takes to start.
                    let patience = if next.is_some() { Duration::ZERO } else { spec.drain_timeout };
                    self.end(process, patience).await;
                    return Turn::Changed;
                }
            }
        }
    }

    async fn end(&self, process: Process, patience: Duration) {
        drain(process, &self.files, &self.fleet, patience).await;
        self.state.send_modify(|state| state.pid = None);
    }

    fn cannot_start(&self, error: &std::io::Error) {
        let program = self.program.display();
        tracing::error!(component = "infrastructure", fleet = &*self.fleet, %program, %error, "Envoy cannot be started");
        self.state.send_modify(|state| state.last_ending = Some(format!("cannot be started: {error}")));
    }

    /// What tells this Envoy from another: its program, arguments and bootstrap.
    fn made_from(&self, spec: &EnvoySpec) -> String {
        let mut hash = Sha256::new();
        hash.update(self.program.as_os_str().as_encoded_bytes());
        for part in spec.args.iter().map(String::as_str).chain([&*spec.bootstrap]) {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn forget(&self) {
        // What cannot be removed is found by the next start and removed then.
        let _ = std::fs::remove_dir_all(self.files.dir());
    }
}

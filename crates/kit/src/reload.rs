//! A value that follows its files: load, check, swap. Files that are not usable leave the old value in force.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use crate::drain::Shutdown;
use crate::metrics::Metrics;
use crate::tasks::{BoxError, Tasks, chain};
use crate::watch::{Changes, Mode};

/// The latest good value. Clones follow the same files.
#[derive(Debug)]
pub struct Reloading<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Reloading<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Reloading<T> {
    /// A value that never changes: for tests, and where there is no file.
    pub fn fixed(value: T) -> Self {
        Self(watch::channel(Arc::new(value)).1)
    }

    /// The value now.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits for the next value; for ever when nothing changes it. Values in between are skipped. Cancel safe.
    pub async fn changed(&mut self) -> Arc<T> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

/// What following files needs of its process.
#[derive(Debug, Clone)]
pub struct Reloader {
    /// Where reloads are counted.
    pub metrics: Metrics,
    /// Who runs the following task.
    pub tasks: Tasks,
    /// When it ends.
    pub shutdown: Shutdown,
    /// How changes are noticed.
    pub mode: Mode,
}

impl Reloader {
    /// Loads once, which must work, and then at every change of `files` (files or directories). `name` labels logs and
    /// metrics. `load` reads the files itself; it runs on a thread that may block.
    pub async fn follow<T, E, L>(&self, name: &str, files: &[PathBuf], load: L) -> Result<Reloading<T>, BoxError>
    where
        T: Send + Sync + 'static,
        E: Into<BoxError> + Send + 'static,
        L: Fn() -> Result<T, E> + Send + Sync + 'static,
    {
        // Watching comes first, so that a change during the first load is not missed.
        let changes = crate::watch::watch(files, self.mode)?;
        let load: Load<T> = Arc::new(move || load().map_err(Into::into));
        let (sender, receiver) = watch::channel(Arc::new(run(&load).await?));
        self.metrics.reloads().current.with_label_values(&[name]).set(1);
        self.metrics.reloads().failures.with_label_values(&[name]);
        let follower = Follower { name: name.to_owned(), load, sender, metrics: self.metrics.clone() };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(format!("reload {name}"), async move {
            shutdown.unless_stopping(follower.run(changes)).await;
            Ok::<(), BoxError>(())
        });
        Ok(Reloading(receiver))
    }
}

type Load<T> = Arc<dyn Fn() -> Result<T, BoxError> + Send + Sync>;

struct Follower<T> {
    name: String,
    load: Load<T>,
    sender: watch::Sender<Arc<T>>,
    metrics: Metrics,
}

impl<T: Send + Sync + 'static> Follower<T> {
    async fn run(self, mut changes: Changes) {
        let (name, reloads) = (self.name.as_str(), self.metrics.reloads());
        loop {
            changes.changed().await;
            let loaded = run(&self.load).await;
            reloads.current.with_label_values(&[name]).set(loaded.is_ok().into());
            match loaded {
                Ok(value) => {
                    reloads.successes.with_label_values(&[name]).inc();
                    tracing::info!(config = name, "reloaded");
                    self.sender.send_replace(Arc::new(value));
                }
                Err(error) => {
                    reloads.failures.with_label_values(&[name]).inc();
                    tracing::error!(config = name, "not usable, the last good one stays in force: {}", chain(&*error));
                }
            }
        }
    }
}

/// Loads on a thread that may block. A panic while loading counts as a failure to load.
async fn run<T: Send + 'static>(load: &Load<T>) -> Result<T, BoxError> {
    let load = Arc::clone(load);
    tokio::task::spawn_blocking(move || load()).await?
}

//! The value that is handed down from `main`: everything a part of a service may need of its process.

use crate::admin::Admin;
use crate::drain::Shutdown;
use crate::health::Gates;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::tasks::Tasks;
use crate::telemetry::LogControl;
use crate::watch::Mode;

/// The parts of a process. Clones share them.
#[derive(Debug, Clone)]
pub struct Kit {
    /// The service's name: `ratelimit`.
    pub service: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Readiness.
    pub gates: Gates,
    /// The metrics registry.
    pub metrics: Metrics,
    /// The word that the process ends.
    pub shutdown: Shutdown,
    /// Supervised tasks.
    pub tasks: Tasks,
    /// Log levels.
    pub log: LogControl,
    /// The admin pages.
    pub admin: Admin,
}

impl Kit {
    /// The parts of a new process; nothing is started.
    pub fn new(service: &'static str, version: &'static str, log: LogControl) -> Self {
        let (gates, metrics, shutdown) = (Gates::new(), Metrics::new(service, version), Shutdown::new());
        let admin = Admin::new(gates.clone(), metrics.clone(), log.clone(), shutdown.clone());
        Self { service, version, gates, metrics, shutdown, tasks: Tasks::new(), log, admin }
    }

    /// What following files needs.
    pub fn reloader(&self) -> Reloader {
        Reloader {
            metrics: self.metrics.clone(),
            tasks: self.tasks.clone(),
            shutdown: self.shutdown.clone(),
            mode: Mode::default(),
        }
    }
}

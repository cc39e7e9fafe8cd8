//! Readiness: named gates that a service opens as its parts come up. Ready is when all are open; a process without gates
//! has not started yet and is not ready. A service makes all its gates before it opens the first.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

/// All gates of a process. Clones share the gates.
#[derive(Debug, Clone)]
pub struct Gates(Arc<watch::Sender<Readiness>>);

/// The state of all gates at one moment, as `/readyz` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// The gates by name.
    pub gates: BTreeMap<String, GateState>,
}

/// The state of one gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum GateState {
    /// This part is ready.
    Open,
    /// This part is not ready.
    Closed {
        /// Why not, for people.
        reason: String,
    },
}

impl Readiness {
    /// Whether there are gates and all are open.
    pub fn is_ready(&self) -> bool {
        !self.gates.is_empty() && self.gates.values().all(|gate| *gate == GateState::Open)
    }

    /// The closed gates with their reasons.
    pub fn closed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.gates.iter().filter_map(|(name, state)| match state {
            GateState::Open => None,
            GateState::Closed { reason } => Some((name.as_str(), reason.as_str())),
        })
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self::new()
    }
}

impl Gates {
    /// No gates yet: not ready.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Readiness::default())))
    }

    /// Adds a gate, closed until its part opens it.
    pub fn gate(&self, name: impl Into<String>) -> Gate {
        let gate = Gate { name: name.into(), gates: self.clone() };
        gate.close("starting");
        gate
    }

    /// The state now.
    pub fn readiness(&self) -> Readiness {
        self.0.borrow().clone()
    }

    /// Follows the state; the last value wins.
    pub fn watch(&self) -> watch::Receiver<Readiness> {
        self.0.subscribe()
    }

    /// Waits until all gates are open.
    pub async fn ready(&self) {
        // The sender lives in self, so waiting ends by success only.
        let _ = self.watch().wait_for(Readiness::is_ready).await;
    }

    fn set(&self, name: &str, state: GateState) {
        self.0.send_if_modified(|readiness| {
            if readiness.gates.get(name) == Some(&state) {
                return false;
            }
            match &state {
                GateState::Open => tracing::info!(gate = name, "ready"),
                GateState::Closed { reason } => tracing::info!(gate = name, reason, "not ready"),
            }
            readiness.gates.insert(name.to_owned(), state);
            true
        });
    }
}

/// The handle of one gate. Clones move the same gate; dropping it leaves the gate as it is.
#[derive(Debug, Clone)]
pub struct Gate {
    name: String,
    gates: Gates,
}

impl Gate {
    /// This part is ready.
    pub fn open(&self) {
        self.gates.set(&self.name, GateState::Open);
    }

    /// This part is not ready, for this reason.
    pub fn close(&self, reason: impl Into<String>) {
        self.gates.set(&self.name, GateState::Closed { reason: reason.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_is_when_all_gates_are_open() {
        let gates = Gates::new();
        assert!(!gates.readiness().is_ready());
        let (xds, config) = (gates.gate("xds"), gates.gate("config"));
        assert!(!gates.readiness().is_ready());
        xds.open();
        config.close("no file");
        assert_eq!(gates.readiness().closed().collect::<Vec<_>>(), [("config", "no file")]);
        let waiting = tokio::spawn({
            let gates = gates.clone();
            async move { gates.ready().await }
        });
        config.open();
        waiting.await.unwrap();
        xds.close("lost");
        assert!(!gates.readiness().is_ready());
    }

    #[test]
    fn an_unchanged_gate_wakes_nobody() {
        let gates = Gates::new();
        let gate = gates.gate("xds");
        gate.open();
        let mut seen = gates.watch();
        seen.mark_unchanged();
        gate.open();
        assert!(!seen.has_changed().unwrap());
    }
}

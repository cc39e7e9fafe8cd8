//! `Programmed`: whether Envoy has acknowledged what a report says.
//!
//! A report is in force once every Envoy of its fleet has acknowledged the revision with which its generation came into
//! the output. Later revisions, of routes say, don't take that back.

use std::{collections::BTreeMap, sync::Arc};

use api::ObjectRef;
use translate::{Changed, Report};
use xds::Ledger;

use crate::{infra::kube::FleetState, pipeline::Output, status::Programmed};

/// Since which revision each report stands.
#[derive(Debug, Default)]
pub struct Progress(BTreeMap<Arc<ObjectRef>, Since>);

#[derive(Debug)]
struct Since {
    generation: i64,
    fleet: Arc<str>,
    revision: u64,
}

impl Progress {
    /// Takes note of a new output.
    pub fn note(&mut self, output: &Output) {
        let all: Vec<_>;
        let changed = match &output.changed {
            Changed::Some(changed) => changed,
            Changed::All => {
                self.0.retain(|reference, _| output.reports.get(reference).is_some());
                all = output.reports.into_iter().map(|(reference, _)| Arc::clone(reference)).collect();
                &all
            }
        };
        for reference in changed {
            let Some(report) = output.reports.get(reference) else {
                self.0.remove(reference);
                continue;
            };
            let Some(fleet) = &report.fleet else { continue };
            let known = self.0.get(reference);
            if known.is_some_and(|since| since.generation == report.generation && since.fleet == *fleet) {
                continue;
            }
            let revision = output.fleets.get(fleet).map_or(output.revision, |fleet| fleet.snapshot.revision());
            let since = Since { generation: report.generation, fleet: Arc::clone(fleet), revision };
            self.0.insert(Arc::clone(reference), since);
        }
    }

    /// The resources whose reports wait for Envoy's word.
    pub fn waiting(&self) -> impl Iterator<Item = &Arc<ObjectRef>> {
        self.0.keys()
    }

    /// Whether a report is in force. `refused` has Envoy's words where it does not take a fleet's configuration and no
    /// single resource can be left out; `there` says how the fleets in the cluster are.
    ///
    /// An Envoy in the cluster may be connected to another controller than this one. It is ready only when it has its
    /// configuration, and every controller has the same: so an Envoy that is ready and not connected here has it.
    pub fn of(
        &self,
        reference: &ObjectRef,
        report: &Report,
        ledger: &Ledger,
        refused: &BTreeMap<Arc<str>, String>,
        there: Option<&BTreeMap<Arc<str>, FleetState>>,
    ) -> Programmed {
        let (Some(fleet), Some(since)) = (&report.fleet, self.0.get(reference)) else { return Programmed::Yes };
        if let Some(why) = refused.get(fleet) {
            return Programmed::Refused(why.clone());
        }
        if let Some(there) = there {
            let state = there.get(fleet);
            if let Some(error) = state.and_then(|state| state.error.as_ref()) {
                return Programmed::Refused(error.clone());
            }
            if state.is_none_or(|state| state.available == 0) {
                return Programmed::Pending("no Envoy is ready yet".to_owned());
            }
            if ledger.group(fleet).next().is_none() {
                return Programmed::Yes;
            }
        }
        match ledger.acked(fleet) {
            Some(acked) if acked >= since.revision => Programmed::Yes,
            _ if ledger.group(fleet).next().is_none() => Programmed::Pending("no Envoy is connected".to_owned()),
            _ => Programmed::Pending("Envoy has not acknowledged it yet".to_owned()),
        }
    }
}

//! `Programmed`: whether Envoy has acknowledged what a report says.
//!
//! A report is in force once every Envoy of its fleet has acknowledged the revision with which its generation came into
//! the output. Later revisions, of routes say, don't take that back.

use std::{collections::BTreeMap, sync::Arc};

use api::ObjectRef;
use translate::Report;
use xds::Ledger;

use crate::{pipeline::Output, status::Programmed};

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
        self.0.retain(|reference, _| output.reports.contains_key(reference));
        for (reference, report) in &*output.reports {
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

    /// Whether a report is in force. `refused` has Envoy's words where it does not take a fleet's configuration and no
    /// single resource can be left out.
    pub fn of(
        &self,
        reference: &ObjectRef,
        report: &Report,
        ledger: &Ledger,
        refused: &BTreeMap<Arc<str>, String>,
    ) -> Programmed {
        let (Some(fleet), Some(since)) = (&report.fleet, self.0.get(reference)) else { return Programmed::Yes };
        if let Some(why) = refused.get(fleet) {
            return Programmed::Refused(why.clone());
        }
        match ledger.acked(fleet) {
            Some(acked) if acked >= since.revision => Programmed::Yes,
            _ if ledger.group(fleet).next().is_none() => Programmed::Pending("no Envoy is connected".to_owned()),
            _ => Programmed::Pending("Envoy has not acknowledged it yet".to_owned()),
        }
    }
}

//! The whole way, and what is remembered of it.

use std::sync::Arc;

use api::{Resources, Route};

use crate::{
    Changed, Options, Reports, Translation,
    assemble::{self, FleetMemo},
    plan::{Plan, plan},
    policies::{self, Ancestry, Row},
    routes::{Outcome, RouteScope, outcome},
    shared::Shared,
    standing::{Change, Standing},
    status::{self, Counts},
    tables::{Moves, TableBuilder, Tables},
    usage::{self, Usage},
};

/// Translates, and remembers what a change did not touch.
///
/// What is made of a route depends on the route and on the plan, which depends on everything else. So while the plan
/// stands, only the routes that changed are looked at again, and what is counted and sorted over all routes is changed by
/// what they were and are.
#[derive(Debug)]
pub struct Translator {
    options: Options,
    before: Option<(Resources, Made)>,
    fleets: FleetMemo,
}

/// What was made under one plan.
#[derive(Debug)]
struct Made {
    plan: Arc<Plan>,
    standing: Standing,
    shared: Shared,
    usages: Vec<Usage>,
    tables: Tables,
    counts: Counts,
    reports: Reports,
}

impl Made {
    /// Nothing but the plan.
    fn new(resources: &Resources, options: &Options) -> Self {
        let plan = Arc::new(plan(resources, options));
        let scope = RouteScope { resources, options, plan: &plan };
        let usages = (0..plan.fleets.len()).map(|fleet| Usage::new(scope, fleet)).collect();
        let reports = plan.reports.insert_many(status::of_backends(resources, options));
        let (standing, counts) = (Standing::new(&plan), Counts::new(&plan));
        Self { plan, standing, shared: Shared::default(), usages, tables: Tables::default(), counts, reports }
    }
}

impl Translator {
    /// Nothing is remembered yet.
    pub fn new(options: Options) -> Self {
        Self { options, before: None, fleets: FleetMemo::default() }
    }

    /// Translates all resources.
    pub fn translate(&mut self, resources: &Resources) -> Translation {
        let before = self.before.take().filter(|(before, _)| before.same_surroundings(resources));
        let stands = before.is_some();
        let mut made = before.map_or_else(|| Made::new(resources, &self.options), |(_, made)| made);
        let plan = Arc::clone(&made.plan);
        let scope = RouteScope { resources, options: &self.options, plan: &plan };
        let shared = &mut made.shared;
        let make = |route: &Arc<Route>| -> Arc<Outcome> { Arc::new(outcome(scope, route, shared)) };
        let changes = made.standing.update(resources, make);
        usage::note(&mut made.usages, &plan, &changes);
        let changed = report(scope, &mut made, &changes, stands);
        let gateways = self.gateways(resources, &mut made, &changes);
        let (reports, staying) = (made.reports.clone(), plan.staying.clone());
        self.before = Some((resources.clone(), made));
        Translation { gateways, staying, reports, changed }
    }

    /// Puts all fleets together, but for those that stay as they are.
    fn gateways(&mut self, resources: &Resources, made: &mut Made, changes: &[Change]) -> Vec<Arc<ir::Gateway>> {
        let Made { plan, standing, usages, tables, .. } = made;
        let (layer4, moves) = (standing.layer4(resources), Moves::of(changes));
        let mut builder = TableBuilder { plan, moves: &moves, tables };
        let fleets = usages.iter_mut().enumerate().filter(|(fleet, _)| !plan.fleets[*fleet].stays);
        let gateways =
            fleets.map(|(fleet, usage)| assemble::gateway(plan, fleet, usage, &layer4, &mut builder, &mut self.fleets));
        let mut gateways: Vec<_> = gateways.collect();
        gateways.sort_by(|a, b| a.name.cmp(&b.name));
        gateways
    }
}

/// Brings the reports up to date.
fn report(scope: RouteScope<'_>, made: &mut Made, changes: &[Change], stands: bool) -> Changed {
    let RouteScope { resources, plan, .. } = scope;
    let touched = made.counts.note(changes);
    let mut rows: Vec<Row> = status::parents(resources, plan, &made.counts, stands.then_some(&touched));
    if plan.has_policies() && (!stands || policies::concerned(resources, plan, changes)) {
        rows.extend(policies::reports(&Ancestry::new(resources, plan, made.standing.outcomes())));
    }
    let mut changed: Vec<_> = rows.iter().map(|(reference, _)| Arc::clone(reference)).collect();
    for change in changes {
        let side = |side: &Option<Arc<Outcome>>| {
            side.as_ref()
                .and_then(|outcome| Some((Arc::clone(&outcome.reference), Arc::clone(outcome.report.as_ref()?))))
        };
        let (before, after) = (side(&change.before), side(&change.after));
        changed.extend(before.iter().chain(&after).map(|(reference, _)| Arc::clone(reference)));
        match (before, after) {
            (_, Some(row)) => rows.push(row),
            (Some((reference, _)), None) => drop(made.reports.remove_cow(&reference)),
            (None, None) => {}
        }
    }
    made.reports = made.reports.insert_many(rows);
    if stands { Changed::Some(changed) } else { Changed::All }
}

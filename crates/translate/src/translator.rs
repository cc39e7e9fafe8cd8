//! The whole way, and what is remembered of it.

use std::{collections::HashMap, sync::Arc};

use api::{Resources, RouteKind};

use crate::{
    Options, Translation,
    assemble::{self, FleetMemo},
    plan::{Plan, plan},
    policies::{self, Ancestry},
    routes::{Outcome, RouteScope, contests, outcome},
    status,
    tables::{self, TableBuilder, TableMemo},
};

/// Translates, and remembers what a change did not touch.
///
/// What is made of a route depends on the route and on the plan, which depends on everything else. So while the
/// plan stands, only the routes that changed are looked at again.
#[derive(Debug)]
pub struct Translator {
    options: Options,
    memo: Memo,
}

#[derive(Debug, Default)]
struct Memo {
    resources: Option<Resources>,
    plan: Option<Arc<Plan>>,
    /// Whether the plan is that of the translation before.
    plan_stands: bool,
    /// By the address of the route, which the outcome keeps alive.
    outcomes: HashMap<usize, Arc<Outcome>>,
    tables: TableMemo,
    fleets: FleetMemo,
}

impl Translator {
    /// Nothing is remembered yet.
    pub fn new(options: Options) -> Self {
        Self { options, memo: Memo::default() }
    }

    /// Translates all resources.
    pub fn translate(&mut self, resources: &Resources) -> Translation {
        let plan = self.plan(resources);
        let outcomes = self.outcomes(resources, &plan);
        let known = self.memo.plan_stands.then_some(&self.memo.tables);
        let mut builder = TableBuilder::new(known);
        let routes = tables::by_listener(&plan, &outcomes);
        let mut gateways = Vec::with_capacity(plan.fleets.len());
        let mut reports = plan.reports.clone();
        for fleet in 0..plan.fleets.len() {
            let scope = RouteScope { resources, options: &self.options, plan: &plan };
            gateways.push(assemble::gateway(scope, fleet, &outcomes, &routes, &mut builder, &mut self.memo.fleets));
        }
        gateways.sort_by(|a, b| a.name.cmp(&b.name));
        let counts = status::attached_routes(&plan, &outcomes);
        status::parents(resources, &plan, &counts, &mut reports);
        status::of_backends(resources, &mut reports);
        if plan.has_policies() {
            policies::reports(&Ancestry::new(resources, &plan, &outcomes), &mut reports);
        }
        let of_routes = outcomes.iter().filter_map(|outcome| Some((outcome, outcome.report.as_ref()?)));
        let of_routes = of_routes.map(|(outcome, report)| (Arc::clone(&outcome.reference), Arc::clone(report)));
        // Built at once from what is nearly sorted: many times faster than one by one.
        let reports = reports.into_iter().chain(of_routes).collect();
        drop(routes);
        self.memo.tables = builder.after;
        Translation { gateways, reports }
    }

    /// The plan: the one before, where nothing but routes and end points changed.
    fn plan(&mut self, resources: &Resources) -> Arc<Plan> {
        let same = self.memo.resources.as_ref().is_some_and(|before| before.same_surroundings(resources));
        self.memo.plan_stands = same;
        if !same {
            self.memo.outcomes.clear();
            self.memo.plan = None;
        }
        self.memo.resources = Some(resources.clone());
        Arc::clone(self.memo.plan.get_or_insert_with(|| Arc::new(plan(resources, &self.options))))
    }

    /// What became of each route, in the order of the tables.
    fn outcomes(&mut self, resources: &Resources, plan: &Plan) -> Vec<Arc<Outcome>> {
        let scope = RouteScope { resources, options: &self.options, plan };
        let mut known = std::mem::take(&mut self.memo.outcomes);
        self.memo.outcomes.reserve(known.len());
        let mut outcomes = Vec::with_capacity(known.len());
        for route in RouteKind::ALL.into_iter().flat_map(|kind| resources.routes(kind).iter()) {
            let address = Arc::as_ptr(route).addr();
            let outcome = known.remove(&address).unwrap_or_else(|| Arc::new(outcome(scope, route)));
            self.memo.outcomes.insert(address, Arc::clone(&outcome));
            outcomes.push(outcome);
        }
        for (index, settled) in contests::settle(plan, &outcomes) {
            outcomes[index] = settled;
        }
        outcomes
    }
}

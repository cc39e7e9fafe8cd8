//! What an `EnvoyProxy` asks for and cannot have, said where it is named: on the class or the gateway, and on itself.
//!
//! A telemetry sink that does not resolve is left out and all else goes on, so it is `ResolvedRefs` that does not hold. A
//! bootstrap that does not fit is `InvalidParameters`; Envoys that run go on with the one they have.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    ObjectRef, Resources, Stored,
    ext::EnvoyProxy,
    gateway::{Gateway, ParentRef},
};

use super::{Fleet, GatewayPlan, Plan, Proxy, classes::Class};
use crate::{
    Options,
    features::SUPPORTED_FEATURES,
    problem::{Problem, condition},
    report::{AncestorStatus, Condition, Report, Status},
    routes::RouteScope,
    telemetry,
};

/// What is wrong with the settings of some Envoys.
#[derive(Clone, Debug, Default)]
struct Faults {
    unfit: Option<Problem>,
    unresolved: Vec<Problem>,
}

/// Follows the references of each fleet's settings, and reports on classes and on each `EnvoyProxy`.
pub(super) fn follow(resources: &Resources, options: &Options, classes: &BTreeMap<&str, Class<'_>>, plan: &mut Plan) {
    let mut of_classes: BTreeMap<&str, Faults> = BTreeMap::new();
    let mut of_proxies: BTreeMap<ObjectRef, (Arc<EnvoyProxy>, Vec<AncestorStatus>)> = BTreeMap::new();
    let mut note = |proxy: &Proxy, named_by: &ObjectRef, faults: &Faults| {
        let Some(source) = &proxy.source else { return };
        let known = of_proxies.entry(source.reference()).or_insert_with(|| (Arc::clone(source), Vec::new()));
        known.1.push(faults.of_proxy(named_by));
    };
    for index in 0..plan.fleets.len() {
        let scope = RouteScope { resources, options, plan };
        let sinks = telemetry::follow(scope, &plan.fleets[index]);
        plan.fleets[index].telemetry = sinks;
        let fleet = &plan.fleets[index];
        let faults = faults(options, fleet);
        for gateway in &fleet.gateways {
            let gateway = &mut plan.gateways[*gateway];
            faults.say_of(gateway);
            let Some((name, class)) = classes.get_key_value(gateway.resource.spec.gateway_class_name.as_str()) else {
                continue;
            };
            match class.proxy.same_source(&fleet.proxy) {
                true => of_classes.entry(name).or_default().add(&faults),
                false => note(&fleet.proxy, &gateway.resource.reference(), &faults),
            }
        }
    }
    for (name, class) in classes {
        let faults = of_classes.remove(name).unwrap_or_default();
        note(&class.proxy, &class.resource.reference(), &faults);
        plan.reports.insert_cow(Arc::new(class.resource.reference()), Arc::new(faults.of_class(class)));
    }
    for (reference, (proxy, ancestors)) in of_proxies {
        let report = Report { generation: proxy.generation(), status: Status::Ancestors(ancestors), fleet: None };
        plan.reports.insert_cow(Arc::new(reference), Arc::new(report));
    }
}

/// What is wrong with the settings of a fleet, in words that name where they stand.
fn faults(options: &Options, fleet: &Fleet) -> Faults {
    let place = match &fleet.proxy.source {
        Some(source) => format!("EnvoyProxy {}/{}", source.namespace(), source.name()),
        None => "envoyProxy of the controller's configuration".to_owned(),
    };
    let unfit = options.check_bootstrap.filter(|_| fleet.proxy.spec.bootstrap.is_some()).and_then(|check| {
        let words = check(&fleet.without_listeners()).err()?;
        Some(Problem::new("InvalidParameters", format!("{place}: {words}")))
    });
    let told = |problem: &Problem| Problem::new(problem.reason, format!("{place}: {}", problem.message));
    Faults { unfit, unresolved: fleet.telemetry.problems.iter().map(told).collect() }
}

impl Faults {
    fn add(&mut self, other: &Self) {
        self.unfit = self.unfit.take().or_else(|| other.unfit.clone());
        self.unresolved.extend(other.unresolved.iter().cloned());
    }

    /// Says it of a gateway whose Envoys have the settings.
    fn say_of(&self, gateway: &mut GatewayPlan) {
        if let Some(problem) = self.unfit.as_ref().filter(|_| gateway.accepted) {
            gateway.conditions.retain(|item| !["Accepted", "Programmed"].contains(&item.r#type));
            gateway.conditions.push(Condition::no("Accepted", problem.reason, &problem.message));
            let message = "Envoys that run go on with the bootstrap they have, none is started";
            gateway.conditions.push(Condition::no("Programmed", "Invalid", message));
        }
        if self.unresolved.is_empty() {
            return;
        }
        let Condition { reason, mut message, .. } = condition("ResolvedRefs", "", &self.unresolved);
        match gateway.conditions.iter_mut().find(|item| item.r#type == "ResolvedRefs") {
            Some(known) => {
                if !known.message.is_empty() {
                    message = format!("{}; {message}", known.message);
                }
                let reason = if known.holds() { reason } else { known.reason };
                *known = Condition::no("ResolvedRefs", reason, message);
            }
            None => gateway.conditions.push(Condition::no("ResolvedRefs", reason, message)),
        }
    }

    /// The report of a class that names the settings.
    fn of_class(&self, class: &Class<'_>) -> Report {
        let mut conditions = vec![
            condition("Accepted", "Accepted", class.problem.iter().chain(&self.unfit)),
            Condition::yes("SupportedVersion", "SupportedVersion", ""),
        ];
        if !self.unresolved.is_empty() {
            conditions.push(condition("ResolvedRefs", "ResolvedRefs", &self.unresolved));
        }
        let status = Status::Plain { conditions, supported_features: SUPPORTED_FEATURES.to_vec() };
        Report { generation: class.resource.generation(), status, fleet: None }
    }

    /// What an `EnvoyProxy`'s status says towards the class or gateway that names it.
    fn of_proxy(&self, named_by: &ObjectRef) -> AncestorStatus {
        let ancestor = ParentRef {
            group: Some(Gateway::GROUP.to_owned()),
            kind: Some(named_by.kind.clone()),
            namespace: Some(named_by.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: named_by.name.clone(),
            ..ParentRef::default()
        };
        let conditions = vec![
            condition("Accepted", "Accepted", &self.unfit),
            condition("ResolvedRefs", "ResolvedRefs", &self.unresolved),
        ];
        AncestorStatus { ancestor, conditions }
    }
}

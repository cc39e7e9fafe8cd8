//! Which objects each fleet wants.

use std::{collections::BTreeMap, fmt, sync::Arc};

use api::gateway::Gateway;

use super::{
    Wanted, WantedFleet,
    render::{self, AskedService, Fleet, Identity, Settings},
};
use crate::pipeline::{self, Output};

/// Knows who a fleet's Envoys are. What it says of a fleet stays the same until its certificate is replaced.
pub type Identify = Box<dyn FnMut(&ir::Gateway) -> Arc<Identity> + Send>;

/// Plans the fleets.
pub struct Plan {
    settings: Settings,
    identify: Identify,
    made: BTreeMap<Arc<str>, Made>,
    services: Vec<Service>,
}

/// A service that Envoys ask, which may be wanted.
struct Service {
    name: Arc<str>,
    in_any_case: bool,
    is_needed_by: fn(&ir::Gateway) -> bool,
    wanted: Arc<WantedFleet>,
}

impl From<AskedService> for Service {
    fn from(service: AskedService) -> Self {
        let AskedService { name, in_any_case, is_needed_by, owner, objects } = service;
        let wanted = Arc::new(WantedFleet { owner, objects: Some(objects) });
        Self { name: Arc::from(name), in_any_case, is_needed_by, wanted }
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Plan").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What was planned the last time, and from what.
struct Made {
    from: Source,
    wanted: Arc<WantedFleet>,
    error: Option<String>,
}

#[derive(Clone)]
struct Source {
    gateway: Arc<ir::Gateway>,
    gateways: Vec<Arc<Gateway>>,
    identity: Arc<Identity>,
}

impl Source {
    /// Whether both make the same objects: of what a fleet serves only the ports are in them.
    fn is_same(&self, other: &Self) -> bool {
        let same_gateway = || {
            let (one, other) = (&self.gateway, &other.gateway);
            one.proxy == other.proxy
                && one.telemetry == other.telemetry
                && Fleet { gateway: one, gateways: &[], identity: &self.identity }.ports()
                    == Fleet { gateway: other, gateways: &[], identity: &self.identity }.ports()
        };
        self.identity == other.identity
            && self.gateways.len() == other.gateways.len()
            && self.gateways.iter().zip(&other.gateways).all(|(one, other)| {
                Arc::ptr_eq(one, other) || (one.spec == other.spec && one.metadata.uid == other.metadata.uid)
            })
            && (Arc::ptr_eq(&self.gateway, &other.gateway) || same_gateway())
    }
}

impl Plan {
    /// Nothing is planned yet. `services` are to run when a policy needs them.
    pub fn new(settings: Settings, identify: Identify, services: impl IntoIterator<Item = AskedService>) -> Self {
        let services = services.into_iter().map(Service::from).collect();
        Self { settings, identify, made: BTreeMap::new(), services }
    }

    /// The fleets that an output wants, and the services that it needs. One whose `EnvoyProxy` is wrong keeps
    /// what it had; [`Plan::errors`] has the reason.
    pub fn make(&mut self, output: &Output) -> Wanted {
        self.made.retain(|name, _| output.fleets.contains_key(name));
        for (name, fleet) in &output.fleets {
            let from = self.from(output, fleet);
            let known = self.made.get(name);
            if !known.is_some_and(|made| made.from.is_same(&from)) {
                let made = self.render(name, from, known.map(|made| &*made.wanted));
                self.made.insert(Arc::clone(name), made);
            }
        }
        let is_needed = |service: &&Service| {
            service.in_any_case || output.fleets.values().any(|fleet| (service.is_needed_by)(&fleet.gateway))
        };
        let services = self.services.iter().filter(is_needed);
        let services = services.map(|service| (Arc::clone(&service.name), Arc::clone(&service.wanted)));
        // Of a fleet that nobody has seen it cannot be told what it needs: what is there stays.
        let is_unknown = output.staying.iter().any(|name| !output.fleets.contains_key(name));
        let others = self.services.iter().filter(|service| is_unknown && !is_needed(service));
        let others = others.map(|service| {
            let stays = WantedFleet { owner: service.wanted.owner.clone(), objects: None };
            (Arc::clone(&service.name), Arc::new(stays))
        });
        let fleets = self.made.iter().map(|(name, made)| (Arc::clone(name), Arc::clone(&made.wanted)));
        let staying = output.staying.iter().filter(|name| !output.fleets.contains_key(*name));
        let stays = |name| Arc::new(WantedFleet { owner: render::owner_of(name), objects: None });
        let staying = staying.map(|name| (Arc::clone(name), stays(name)));
        fleets.chain(staying).chain(services).chain(others).collect()
    }

    /// What is wrong with the `EnvoyProxy` of a fleet.
    pub fn errors(&self) -> impl Iterator<Item = (&Arc<str>, &String)> {
        self.made.iter().filter_map(|(name, made)| Some((name, made.error.as_ref()?)))
    }

    fn from(&mut self, output: &Output, fleet: &pipeline::Fleet) -> Source {
        let gateways = fleet.gateway.gateways.iter();
        let gateways = gateways.filter_map(|of| output.resources.gateways.get(&of.namespace, &of.name));
        Source {
            gateway: Arc::clone(&fleet.gateway),
            gateways: gateways.cloned().collect(),
            identity: (self.identify)(&fleet.gateway),
        }
    }

    fn render(&self, name: &Arc<str>, from: Source, before: Option<&WantedFleet>) -> Made {
        let fleet = Fleet { gateway: &from.gateway, gateways: &from.gateways, identity: &from.identity };
        let (objects, error) = match render::render(&fleet, &self.settings) {
            Ok(objects) => (Some(objects), None),
            Err(error) => {
                let error = error.to_string();
                tracing::error!(component = "infrastructure", fleet = &**name, error, "the EnvoyProxy cannot be used");
                (before.and_then(|before| before.objects.clone()), Some(error))
            }
        };
        let wanted = Arc::new(WantedFleet { owner: render::owner_of(name), objects });
        Made { from, wanted, error }
    }
}

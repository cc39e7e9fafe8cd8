//! Which objects each fleet wants.

use std::{collections::BTreeMap, fmt, sync::Arc};

use api::gateway::Gateway;

use super::{
    Wanted, WantedFleet,
    render::{self, Fleet, Identity, RateLimitService, Settings},
};
use crate::pipeline::{self, Output};

/// Knows who a fleet's Envoys are. What it says of a fleet stays the same until its certificate is replaced.
pub type Identify = Box<dyn FnMut(&ir::Gateway) -> Arc<Identity> + Send>;

/// Plans the fleets.
pub struct Plan {
    settings: Settings,
    identify: Identify,
    made: BTreeMap<Arc<str>, Made>,
    rate_limit: Option<RateLimit>,
}

/// What stands for a fleet's name where it is the rate limit service. No fleet can have it.
const RATE_LIMIT: &str = "(rate limit service)";

/// The rate limit service that may be wanted.
struct RateLimit {
    in_any_case: bool,
    wanted: Arc<WantedFleet>,
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
    /// Nothing is planned yet. `service` is the rate limit service that is to run when a policy needs it.
    ///
    /// # Errors
    /// A patch of the service cannot be used.
    pub fn new(
        settings: Settings,
        identify: Identify,
        service: Option<&RateLimitService>,
    ) -> Result<Self, render::Error> {
        let rate_limit = match service {
            Some(service) => {
                let objects = Some(render::render_rate_limit(service, &settings)?);
                let wanted = Arc::new(WantedFleet { owner: render::rate_limit_owner(&settings), objects });
                Some(RateLimit { in_any_case: service.runs_in_any_case(), wanted })
            }
            None => None,
        };
        Ok(Self { settings, identify, made: BTreeMap::new(), rate_limit })
    }

    /// The fleets that an output wants, and the rate limit service when it needs that. One whose `EnvoyProxy` is wrong keeps
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
        let needs_limits = output.fleets.values().any(|fleet| fleet.gateway.rate_limit_service.is_some());
        let service = self.rate_limit.iter().filter(|service| service.in_any_case || needs_limits);
        let service = service.map(|service| (Arc::from(RATE_LIMIT), Arc::clone(&service.wanted)));
        self.made.iter().map(|(name, made)| (Arc::clone(name), Arc::clone(&made.wanted))).chain(service).collect()
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
        let wanted = Arc::new(WantedFleet { owner: fleet.owner(&self.settings), objects });
        Made { from, wanted, error }
    }
}

//! Which Envoy a fleet wants: its bootstrap and arguments.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use lower::{
    BootstrapSettings,
    bootstrap::{Address, Xds},
};

use super::{EnvoySpec, RuntimeDir, Wanted, envoy_admin_socket};
use crate::pipeline::Output;

/// Plans the Envoys of this machine.
#[derive(Debug)]
pub struct Plan {
    runtime: Arc<RuntimeDir>,
    made: BTreeMap<Arc<str>, Made>,
}

/// What was planned the last time, and from what.
#[derive(Debug)]
struct Made {
    gateway: Arc<ir::Gateway>,
    spec: Option<Arc<EnvoySpec>>,
    error: Option<String>,
}

impl Plan {
    /// Nothing is planned yet.
    pub fn new(runtime: Arc<RuntimeDir>) -> Self {
        Self { runtime, made: BTreeMap::new() }
    }

    /// The Envoys that an output wants. A fleet whose own bootstrap is wrong keeps the one it had; [`Plan::errors`]
    /// has the reason.
    pub fn make(&mut self, output: &Output) -> Wanted {
        self.made.retain(|name, _| output.fleets.contains_key(name));
        for (name, fleet) in &output.fleets {
            let known = self.made.get(name);
            if !known.is_some_and(|made| wants_the_same(&made.gateway, &fleet.gateway)) {
                let spec = spec(&self.runtime, &fleet.gateway);
                let last_good = known.and_then(|made| made.spec.clone());
                let (spec, error) = match spec {
                    Ok(spec) => (Some(Arc::new(spec)), None),
                    Err(error) => (last_good, Some(error.to_string())),
                };
                if let Some(error) = &error {
                    tracing::error!(
                        component = "infrastructure",
                        fleet = &**name,
                        error,
                        "the EnvoyProxy's bootstrap cannot be used"
                    );
                }
                self.made.insert(Arc::clone(name), Made { gateway: Arc::clone(&fleet.gateway), spec, error });
            }
        }
        let wanted = self.made.iter().filter_map(|(name, made)| Some((Arc::clone(name), made.spec.clone()?)));
        wanted.collect()
    }

    /// What is wrong with the bootstrap of a fleet.
    pub fn errors(&self) -> impl Iterator<Item = (&Arc<str>, &String)> {
        self.made.iter().filter_map(|(name, made)| Some((name, made.error.as_ref()?)))
    }
}

fn wants_the_same(before: &Arc<ir::Gateway>, now: &Arc<ir::Gateway>) -> bool {
    Arc::ptr_eq(before, now) || (before.proxy == now.proxy && before.telemetry == now.telemetry)
}

fn spec(runtime: &RuntimeDir, gateway: &ir::Gateway) -> Result<EnvoySpec, lower::BootstrapError> {
    let settings = settings(&envoy_admin_socket(runtime.path(), &gateway.name), &runtime.xds_socket(), &gateway.name);
    let bootstrap = lower::bootstrap(gateway, &settings)?;
    Ok(EnvoySpec {
        bootstrap: bootstrap.to_string().into(),
        args: lower::envoy_args(&gateway.proxy),
        drain_timeout: gateway.proxy.drain_timeout(),
    })
}

/// The settings of an Envoy of this machine. There is one in each fleet, so it has the fleet's name.
pub fn settings(admin: &Path, xds: &Path, fleet: &str) -> BootstrapSettings {
    BootstrapSettings {
        node_id: fleet.to_owned(),
        node_cluster: fleet.to_owned(),
        admin: Address::Unix(admin.display().to_string()),
        xds: Xds::Unix(xds.display().to_string()),
        zone: None,
        ready: None,
        metrics: None,
    }
}

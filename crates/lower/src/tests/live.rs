//! Served by a real Envoy: what its documentation leaves open, or what a mistake here would be dangerous in.

mod backends;
mod policies;
mod routing;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use ir::{Endpoint, Endpoints, Gateway, backend::EndpointsOfGroup};
use testbed::{client::Request, echo::Echo, envoy::Envoy};

use crate::{
    BootstrapSettings,
    bootstrap::{Address, Xds},
};

/// A gateway that is served, and its back ends by the name of their cluster.
struct Served {
    envoy: Envoy,
    address: SocketAddr,
}

impl Served {
    async fn new(gateway: &Gateway, backends: &[(&str, &Echo)]) -> Self {
        let endpoints = backends.iter().map(|(name, echo)| (*name, vec![endpoint(echo, false)])).collect();
        Self::with_endpoints(gateway, endpoints).await
    }

    async fn with_endpoints(gateway: &Gateway, endpoints: BTreeMap<&str, Vec<Endpoint>>) -> Self {
        Self::in_zone(gateway, endpoints, "").await
    }

    /// By an Envoy that is told of its zone as in a cluster.
    async fn in_zone(gateway: &Gateway, endpoints: BTreeMap<&str, Vec<Endpoint>>, zone: &str) -> Self {
        let mut gateway = gateway.clone();
        for listener in &mut gateway.listeners {
            Arc::make_mut(listener).port = 0;
        }
        let lowered = crate::lower(&gateway, &crate::Settings::default(), &mut crate::Memo::default());
        let assignment = |(name, endpoints): (&str, Vec<Endpoint>)| {
            let groups = vec![EndpointsOfGroup { weight: None, priority: 0, endpoints }];
            (name.to_owned(), crate::endpoints(&Endpoints { cluster: name.into(), groups }))
        };
        let endpoints = endpoints.into_iter().map(assignment).collect();
        let mut bootstrap = crate::static_bootstrap(&lowered, &endpoints).unwrap();
        let own = crate::bootstrap(&gateway, &settings(zone)).unwrap();
        bootstrap["cluster_manager"] = own["cluster_manager"].clone();
        let fleet = own["static_resources"]["clusters"].as_array().unwrap().iter().find(|one| one["name"] == "fleet");
        bootstrap["static_resources"]["clusters"].as_array_mut().unwrap().push(fleet.unwrap().clone());
        let spec = testbed::envoy::Spec::new(bootstrap.to_string()).args(["--service-zone", zone]);
        let envoy = spec.log_level("error").start().await.unwrap();
        let name = gateway.listeners[0].name.to_string();
        let mut address = envoy.listener(&name).await.unwrap();
        address.set_ip([127, 0, 0, 1].into());
        Self { envoy, address }
    }

    fn get(&self, host: &str, path: &str) -> Request {
        Request::get(&format!("http://{host}{path}")).to(self.address)
    }

    async fn status(&self, path: &str) -> u16 {
        self.get("a.example", path).send().await.unwrap().status.as_u16()
    }

    async fn seen(&self, path: &str) -> String {
        self.get("a.example", path).send().await.unwrap().echoed().unwrap().path
    }
}

fn settings(zone: &str) -> BootstrapSettings {
    BootstrapSettings {
        node_id: "envoy".to_owned(),
        node_cluster: "default/eg".to_owned(),
        admin: Address::Ip(([127, 0, 0, 1], 0).into()),
        xds: Xds::Unix("/run/xds.sock".to_owned()),
        zone: Some(zone.to_owned()),
        ready: None,
        metrics: None,
    }
}

fn endpoint(echo: &Echo, draining: bool) -> Endpoint {
    let address = echo.address();
    Endpoint::Ip { address: address.ip(), port: address.port(), zone: None, hostname: None, draining }
}

//! The resources that are measured with: as users write them, and parsed.

use anyhow::{Context, Result};
use api::{Object, Resources};
use clap::ValueEnum;
use serde_json::Value;

/// How many Services share the routes, where not each route has its own.
const SERVICES: usize = 10;

/// What the routes have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    /// Each route has a host of its own; ten Services.
    Hosts,
    /// All routes are of one host, each with a path of its own; ten Services.
    Paths,
    /// Each route has a host and a Service of its own.
    Services,
}

impl Layout {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Hosts => "hosts",
            Self::Paths => "paths",
            Self::Services => "services",
        }
    }

    /// In words.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Hosts => "a host each",
            Self::Paths => "one host",
            Self::Services => "a host and Service each",
        }
    }

    /// How many Services so many routes have.
    pub(crate) fn services(self, routes: usize) -> usize {
        match self {
            Self::Hosts | Self::Paths => SERVICES,
            Self::Services => routes,
        }
    }

    /// The host of a route.
    pub(crate) fn host(self, route: usize) -> String {
        match self {
            Self::Hosts | Self::Services => format!("h{route:05}.example.com"),
            Self::Paths => "www.example.com".to_owned(),
        }
    }

    /// A route, in one of its versions: each has another path.
    pub(crate) fn route(self, route: usize, version: usize) -> String {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: r{route:05}\nspec:\n  \
             parentRefs:\n  - name: eg\n  hostnames:\n  - {host}\n  rules:\n  - matches:\n    - path:\n        type: \
             PathPrefix\n        value: {path}\n    backendRefs:\n    - name: s{service}\n      port: 80\n",
            host = self.host(route),
            path = path(route, version),
            service = route % self.services(usize::MAX),
        )
    }
}

/// The path of a route in one of its versions. The paths of other versions are none of it.
pub(crate) fn path(route: usize, version: usize) -> String {
    format!("/r{route:05}-{version}")
}

/// A class, and a Gateway with one HTTP listener.
pub(crate) fn gateway(port: u16) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata:\n  name: eg\nspec:\n  controllerName: \
         gateway.envoyproxy.io/gatewayclass-controller\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
         metadata:\n  name: eg\nspec:\n  gatewayClassName: eg\n  listeners:\n  - name: http\n    protocol: HTTP\n    \
         port: {port}\n"
    )
}

/// A Service.
pub(crate) fn service(service: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: s{service}\nspec:\n  clusterIP: 10.0.0.1\n  ports:\n  - name: \
         http\n    port: 80\n    targetPort: 80\n"
    )
}

/// The end point of a Service, on this machine.
pub(crate) fn endpoint(service: usize, port: u16) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: s{service}-a\n  labels:\n    \
         kubernetes.io/service-name: s{service}\naddressType: IPv4\nendpoints:\n- addresses:\n  - 127.0.0.1\nports:\n- \
         name: http\n  port: {port}\n"
    )
}

/// All resources, parsed.
pub(crate) fn resources(layout: Layout, routes: usize) -> Result<Resources> {
    let mut resources = Resources::default();
    for document in gateway(8080).split("---\n") {
        resources.insert(object(document)?);
    }
    resources.insert(object("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: default\n")?);
    for index in 0..layout.services(routes) {
        resources.insert(object(&service(index))?);
        resources.insert(object(&endpoint(index, 80))?);
    }
    for index in 0..routes {
        resources.insert(object(&layout.route(index, 0))?);
    }
    Ok(resources)
}

/// One document, parsed.
pub(crate) fn object(document: &str) -> Result<Object> {
    let value: Value = serde_saphyr::from_str(document).with_context(|| document.to_owned())?;
    Ok(api::parse(value)?.object)
}

/// The settings of a server without a configuration of its own.
pub(crate) fn settings() -> controller::pipeline::Settings {
    controller::config::pipeline_settings(&controller::config::offline(), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_taken_and_reaches_its_service() {
        for layout in [Layout::Hosts, Layout::Paths, Layout::Services] {
            let resources = resources(layout, 30).unwrap();
            let mut state = controller::pipeline::State::new(settings());
            let output = controller::pipeline::compile(&resources, &mut state);
            let fleet = output.fleets.values().next().unwrap();
            assert_eq!(fleet.gateway.clusters.len(), layout.services(30));
            let mut routes = (&output.reports).into_iter().filter(|(reference, _)| reference.kind == "HTTPRoute");
            let refused = routes.find(|(_, report)| report.to_json("c").to_string().contains("\"False\""));
            assert!(refused.is_none(), "{refused:#?}");
        }
    }
}

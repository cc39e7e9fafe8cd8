//! Which port Envoy binds for a listener's.
//!
//! On a machine it is the same. In a pod Envoy is not root, and some ports are taken by what stands beside it: a port that
//! cannot be had is moved up by 10000, and further while that is another listener's. The Service in front has the
//! listeners' own ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use ir::Gateway;

/// The ports of a pod that are not for listeners: Envoy's admin interface, metrics, the shutdown manager, readiness.
pub const POD_PORTS: RangeInclusive<u16> = 19000..=19003;
/// By how much a port is moved.
const STEP: u16 = 10_000;
/// The first port that everybody may bind.
const UNPRIVILEGED: u16 = 1024;

/// The port that Envoy binds, by listener port, on a machine or in a pod.
pub fn bound_ports(gateway: &Gateway, in_pod: bool) -> BTreeMap<u16, u16> {
    let ports: BTreeSet<u16> = gateway.listeners.iter().map(|listener| listener.port).collect();
    let kubernetes = gateway.proxy.kubernetes();
    let own = kubernetes.and_then(|kubernetes| kubernetes.use_listener_port_as_container_port).unwrap_or_default();
    let stays = |port: u16| !in_pod || ((own || port >= UNPRIVILEGED) && !POD_PORTS.contains(&port));
    let bind = |port: u16| {
        let others = (1..).map_while(|step| port.checked_add(STEP.checked_mul(step)?));
        let free = |other: &u16| !ports.contains(other) && !POD_PORTS.contains(other);
        // Who has a listener at each of them has no room left; Envoy then says that the port cannot be bound.
        if stays(port) { port } else { others.into_iter().find(free).unwrap_or(port) }
    };
    ports.iter().map(|port| (*port, bind(*port))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::testing;

    fn bound(listeners: &[u16], own: bool, in_pod: bool) -> Vec<u16> {
        let listener = |port: &u16| testing::tcp_listener(*port, Vec::new());
        let proxy = json!({"provider": {"type": "Kubernetes", "kubernetes": {"useListenerPortAsContainerPort": own}}});
        let mut gateway = testing::gateway(listeners.iter().map(listener).collect(), Vec::new());
        gateway.proxy = Arc::new(serde_json::from_value(proxy).unwrap());
        bound_ports(&gateway, in_pod).into_values().collect()
    }

    #[test]
    fn on_a_machine_ports_stay() {
        assert_eq!(bound(&[80, 19001], false, false), [80, 19001]);
    }

    #[test]
    fn in_a_pod_low_and_taken_ports_move() {
        assert_eq!(bound(&[80, 443, 8080, 19001], false, true), [10080, 10443, 8080, 29001]);
        assert_eq!(bound(&[80, 19001], true, true), [80, 29001]);
    }

    #[test]
    fn a_port_never_moves_onto_another() {
        assert_eq!(bound(&[80, 10080], false, true), [20080, 10080]);
        assert_eq!(bound(&[80, 10080, 20080, 30080, 40080, 50080, 60080], false, true)[0], 80);
    }
}

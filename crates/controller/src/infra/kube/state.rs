//! How a fleet is, by what the API server says of its objects.

use kube::core::DynamicObject;
use serde_json::Value;
use translate::report::Address;

use super::Kind;

/// How a fleet is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetState {
    /// The addresses at which it's reached. Empty while it has none.
    pub addresses: Vec<Address>,
    /// How many of its Envoys are ready.
    pub available: i64,
    /// What went wrong with its objects, and with whom.
    pub error: Option<String>,
}

impl FleetState {
    /// Takes in what an object says. `nodes` are the addresses of the cluster's nodes.
    pub(super) fn add(&mut self, kind: Kind, object: &DynamicObject, nodes: &[Address]) {
        match kind {
            Kind::Deployment => self.available += number(object, "/status/availableReplicas"),
            Kind::DaemonSet => self.available += number(object, "/status/numberAvailable"),
            Kind::Service => self.addresses.extend(of_service(&object.data, nodes)),
            Kind::ServiceAccount | Kind::Secret | Kind::HorizontalPodAutoscaler | Kind::PodDisruptionBudget => {}
        }
    }
}

fn number(object: &DynamicObject, field: &str) -> i64 {
    object.data.pointer(field).and_then(Value::as_i64).unwrap_or_default()
}

/// Fixed addresses where there are some; otherwise what the type of Service gives.
fn of_service(service: &Value, nodes: &[Address]) -> Vec<Address> {
    let fixed = texts(service, "/spec/externalIPs");
    if !fixed.is_empty() {
        return fixed.into_iter().map(ip).collect();
    }
    match service.pointer("/spec/type").and_then(Value::as_str) {
        Some("LoadBalancer") => {
            let ingress = service.pointer("/status/loadBalancer/ingress").and_then(Value::as_array);
            ingress.into_iter().flatten().filter_map(of_ingress).collect()
        }
        Some("NodePort") => nodes.to_vec(),
        _ => texts(service, "/spec/clusterIPs").into_iter().filter(|address| *address != "None").map(ip).collect(),
    }
}

fn of_ingress(ingress: &Value) -> Option<Address> {
    let field = |name: &str| ingress.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    field("ip")
        .map(ip)
        .or_else(|| field("hostname").map(|name| Address { r#type: "Hostname".to_owned(), value: name.to_owned() }))
}

fn texts<'a>(value: &'a Value, field: &str) -> Vec<&'a str> {
    value.pointer(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// An IP address as statuses have it.
pub(super) fn ip(address: &str) -> Address {
    Address { r#type: "IPAddress".to_owned(), value: address.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn addresses(service: &Value) -> Vec<String> {
        of_service(service, &[ip("10.1.1.1")]).into_iter().map(|address| address.value).collect()
    }

    #[test]
    fn each_type_of_service_has_its_addresses() {
        let balanced = json!({"spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "lb.example"}]}}});
        assert_eq!(addresses(&balanced), ["192.0.2.1", "lb.example"]);
        assert_eq!(addresses(&json!({"spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"]}})), [""; 0]);
        assert_eq!(addresses(&json!({"spec": {"type": "NodePort"}})), ["10.1.1.1"]);
        let own = json!({"spec": {"type": "ClusterIP", "clusterIPs": ["10.0.0.1", "fd00::1"]}});
        assert_eq!(addresses(&own), ["10.0.0.1", "fd00::1"]);
        let fixed = json!({"spec": {"type": "NodePort", "externalIPs": ["192.0.2.9"]}});
        assert_eq!(addresses(&fixed), ["192.0.2.9"]);
    }
}

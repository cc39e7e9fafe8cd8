//! Gives every Service of type LoadBalancer its addresses, as a cloud would.
//!
//! kube-proxy answers on them and this machine's routes lead to the node, so nothing else is needed. A Service gets one number
//! for all its IP families. `spec.loadBalancerIP` is obeyed where the address is one of the cluster's; the numbers from
//! [`FIRST_ASKED_FOR`] on are kept for that.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::api::Api;
use super::net::Net;

const SERVICES: &str = "/api/v1/services";

/// The first number that is given only to those who ask for it.
pub(super) const FIRST_ASKED_FOR: u8 = 240;

/// Pause after a watch that broke.
const PAUSE: Duration = Duration::from_millis(200);

/// The loop, on a thread of its own, so that it works whatever the cluster's owner waits for. Dropping this ends it.
#[derive(Debug)]
pub(super) struct Balancer {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Balancer {
    pub(super) fn start(api: Api, net: Net) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = balance(&api, net) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("balancer".to_owned()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has panicked if this is an error; the panic has been printed.
            let _ = thread.join();
        }
    }
}

async fn balance(api: &Api, net: Net) {
    let mut given = Given { net, numbers: BTreeMap::new() };
    loop {
        // A watch ends by itself or because the API server restarts; the next round begins with all that is there.
        let _ = round(api, &mut given).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks at all Services, then at each that changes, until the watch ends.
async fn round(api: &Api, given: &mut Given) -> Result<()> {
    let list = api.get(SERVICES).await?;
    let services = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    given.keep_only(services);
    for service in services {
        settle(api, given, service).await?;
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut watch = api.watch(SERVICES, version).await?;
    while let Some(change) = watch.next().await? {
        let service = &change["object"];
        match change["type"].as_str() {
            Some("ADDED" | "MODIFIED") => settle(api, given, service).await?,
            Some("DELETED") => given.release(service),
            _ => bail!("the watch broke: {change}"),
        }
    }
    Ok(())
}

/// Writes the addresses of a Service into its status, if it has others.
async fn settle(api: &Api, given: &mut Given, service: &Value) -> Result<()> {
    let Some(wanted) = given.wanted(service) else { return Ok(()) };
    let has = service["status"]["loadBalancer"]["ingress"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has: Vec<IpAddr> = has.iter().filter_map(|one| one["ip"].as_str()?.parse().ok()).collect();
    if has == wanted {
        return Ok(());
    }
    let ingress: Vec<Value> = wanted.iter().map(|ip| json!({ "ip": ip, "ipMode": "VIP" })).collect();
    let name = |field: &str| service["metadata"][field].as_str().unwrap_or_default().to_owned();
    let path = format!("/api/v1/namespaces/{}/services/{}/status", name("namespace"), name("name"));
    // A Service that is gone by now needs nothing.
    let _ = api.merge_patch(&path, &json!({ "status": { "loadBalancer": { "ingress": ingress } } })).await;
    Ok(())
}

/// Which Service has which number.
#[derive(Debug)]
struct Given {
    net: Net,
    numbers: BTreeMap<String, u8>,
}

impl Given {
    /// The addresses that a Service should have: one a family. Nothing for a Service that is no affair of ours: of another type
    /// or class, or on its way out. An empty list for one that no longer wants any.
    fn wanted(&mut self, service: &Value) -> Option<Vec<IpAddr>> {
        let spec = &service["spec"];
        if !spec["loadBalancerClass"].is_null() || !service["metadata"]["deletionTimestamp"].is_null() {
            return None;
        }
        let uid = service["metadata"]["uid"].as_str()?;
        if spec["type"] != "LoadBalancer" {
            return self.numbers.remove(uid).map(|_| Vec::new());
        }
        let number = match self.numbers.get(uid) {
            Some(&number) => number,
            None => {
                let free = (1..FIRST_ASKED_FOR).find(|number| !self.numbers.values().any(|taken| taken == number))?;
                self.numbers.insert(uid.to_owned(), free);
                free
            }
        };
        let (v4, v6) = self.net.balancer(number);
        let asked: Option<IpAddr> = spec["loadBalancerIP"].as_str().and_then(|text| text.parse().ok());
        let asked = asked.filter(|&address| self.net.balances(address));
        let families = spec["ipFamilies"].as_array().map(Vec::as_slice).unwrap_or_default();
        let address = |family: &Value| {
            let usual = if family == "IPv6" { IpAddr::V6(v6) } else { IpAddr::V4(v4) };
            asked.filter(|address| address.is_ipv6() == usual.is_ipv6()).unwrap_or(usual)
        };
        Some(families.iter().map(address).collect())
    }

    fn release(&mut self, service: &Value) {
        if let Some(uid) = service["metadata"]["uid"].as_str() {
            self.numbers.remove(uid);
        }
    }

    fn keep_only(&mut self, services: &[Value]) {
        self.numbers.retain(|uid, _| services.iter().any(|service| service["metadata"]["uid"] == uid.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(uid: &str, spec: &Value) -> Value {
        json!({ "metadata": { "uid": uid }, "spec": spec })
    }

    fn balanced(uid: &str, families: &[&str]) -> Value {
        service(uid, &json!({ "type": "LoadBalancer", "ipFamilies": families }))
    }

    fn given() -> Given {
        Given { net: "10.211".parse().unwrap(), numbers: BTreeMap::new() }
    }

    fn words(addresses: Option<Vec<IpAddr>>) -> String {
        addresses.map_or("-".to_owned(), |all| all.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn one_address_a_family_and_numbers_come_back() {
        let mut given = given();
        let (one, two) = (balanced("a", &["IPv4", "IPv6"]), balanced("b", &["IPv6"]));
        assert_eq!(words(given.wanted(&one)), "10.211.192.1 fd50:6f72:d3:192::1");
        assert_eq!(words(given.wanted(&two)), "fd50:6f72:d3:192::2");
        assert_eq!(words(given.wanted(&one)), "10.211.192.1 fd50:6f72:d3:192::1");
        given.release(&one);
        assert_eq!(words(given.wanted(&balanced("c", &["IPv4"]))), "10.211.192.1");
        given.keep_only(&[two]);
        assert_eq!(given.numbers.len(), 1);
    }

    #[test]
    fn what_is_asked_for_is_given_where_it_can_be() {
        let mut given = given();
        let asks = |ip: &str| json!({ "type": "LoadBalancer", "ipFamilies": ["IPv4", "IPv6"], "loadBalancerIP": ip });
        let answer = given.wanted(&service("a", &asks("10.211.192.241")));
        assert_eq!(words(answer), "10.211.192.241 fd50:6f72:d3:192::1");
        assert_eq!(words(given.wanted(&service("b", &asks("192.0.2.1")))), "10.211.192.2 fd50:6f72:d3:192::2");
    }

    #[test]
    fn others_are_left_alone() {
        let mut given = given();
        assert_eq!(words(given.wanted(&service("a", &json!({ "type": "ClusterIP" })))), "-");
        let other = json!({ "type": "LoadBalancer", "ipFamilies": ["IPv4"], "loadBalancerClass": "example.com/other" });
        assert_eq!(words(given.wanted(&service("b", &other))), "-");
        given.wanted(&balanced("c", &["IPv4"]));
        assert_eq!(words(given.wanted(&service("c", &json!({ "type": "ClusterIP" })))), "");
    }
}

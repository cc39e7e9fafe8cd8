//! The names of Envoy's metrics: there is no catalogue of them to compile against.

use std::collections::BTreeSet;

use dashboards::envoy::ALL;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::envoy::{Envoy, Spec};
use testbed::pki::Ca;
use testbed::wait::wait_for;

use crate::edge::{NOBODY, Services, bootstrap};

/// Metrics that are used and that Envoy does not have.
async fn missing(envoy: &Envoy) -> Option<Vec<&'static str>> {
    let text = envoy.admin_get("/stats/prometheus").await.ok()?.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<_> = lines.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let names: BTreeSet<_> = names.iter().map(|name| name.strip_suffix("_bucket").unwrap_or(name)).collect();
    Some(ALL.iter().map(|metric| metric.name()).filter(|name| !names.contains(name)).collect())
}

#[tokio::test]
async fn envoy_has_every_metric_that_is_used() {
    let echo = Echo::http().spawn().await.unwrap();
    let ca = Ca::new("test").unwrap();
    // Nobody serves: what fails is counted, too.
    let services = Services { limits: NOBODY, logins: NOBODY, firewall: NOBODY, log: None };
    let spec = Spec::new(bootstrap(echo.address(), &ca.server(&["localhost"]).unwrap(), &services));
    let envoy = spec.start().await.unwrap();
    let address = envoy.listener("https").await.unwrap();
    for path in ["", "limited", "private", "guarded"] {
        let request = Request::get(&format!("https://localhost/{path}")).to(address).ca(ca.pem());
        assert_eq!(request.send().await.unwrap().status, 200, "{path}");
    }
    // Some are told by a timer only.
    let none = async || missing(&envoy).await.filter(Vec::is_empty);
    let all = wait_for("all metrics", PATIENCE, none).await;
    assert!(all.is_ok(), "Envoy has no {:?}", missing(&envoy).await);
}

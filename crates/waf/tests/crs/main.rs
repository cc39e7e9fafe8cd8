//! The regression tests of the OWASP Core Rule Set, through a real Envoy: `cargo xtask crs`.
//!
//! ```text
//! cases (YAML, of the Go module) ─▶ raw requests ─▶ Envoy ─▶ backend        listed.yaml: what Envoy does before the firewall
//!                                      one client      └─▶ portcullis-waf ─▶ audit log ─▶ judge
//!                                      address each
//! ```
//!
//! The audit log says which rules matched for which client, and every case is a client of its own. The last line is
//! `N passed, N failed, N listed`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backend;
mod cases;
#[path = "../service/envoy.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod envoy;
#[path = "../service/house.rs"]
#[allow(dead_code, reason = "shared with the tests of the service")]
mod house;
mod judge;
mod send;

use std::net::Ipv4Addr;
use std::process::ExitCode;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use testbed::envoy::Spec;
use testbed::wait::wait_for;

use cases::Case;
use house::Service;
use judge::{Fate, Listed};

/// How many cases are under way at a time.
const AT_A_TIME: usize = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.name.contains(&filter)).collect();
    let listed = Listed::read();
    let settings = "defaultProfile: crs\n";
    let service = Service::start_with_audit(&[("crs.yaml", cases::PROFILE)], settings, "when: always").await;
    let backend = backend::start().await;
    let bootstrap = envoy::bootstrap(service.grpc.parse().unwrap(), backend, &json!({}), &json!({}));
    let envoy = Spec::new(bootstrap.to_string()).start().await.unwrap();
    let gateway = envoy.listener("http").await.unwrap();
    let sent = cases.iter().enumerate().map(|(index, case)| async move {
        let client = address(index);
        let mut statuses = Vec::new();
        for stage in &case.stages {
            statuses.push(send::send(gateway, client, &stage.input).await);
        }
        (index, statuses)
    });
    let answers: Vec<_> = stream::iter(sent).buffer_unordered(AT_A_TIME).collect().await;
    let entries = settled(&service).await;
    let (mut passed, mut failed, mut in_list) = (0, 0, 0);
    for (index, statuses) in answers {
        let case = &cases[index];
        let client = address(index).to_string();
        let of_case: Vec<_> = entries.iter().filter(|entry| entry["client"] == client.as_str()).collect();
        match judge::judge(case, &statuses, &of_case, listed.get(&case.name)) {
            Fate::Passed => passed += 1,
            Fate::Listed => in_list += 1,
            Fate::Failed(why) => {
                failed += 1;
                println!("FAILED {}: {why}", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed, {in_list} listed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The audit log once all requests are over; every one has an entry.
async fn settled(service: &Service) -> Vec<Value> {
    let written = r#"waf_audit_entries_total{outcome="written"}"#;
    let over = async || {
        let (streams, before) = (service.metric("waf_streams").await, service.metric(written).await);
        let entries = service.entries();
        let all = entries.len().to_string() == before.to_string();
        (streams < 0.5 && all && service.metric(written).await.to_string() == before.to_string()).then_some(entries)
    };
    wait_for("all requests to be over", testbed::PATIENCE, over).await.unwrap()
}

/// Each case comes from an address of its own.
fn address(index: usize) -> Ipv4Addr {
    let [_, _, high, low] = u32::try_from(index).unwrap().to_be_bytes();
    Ipv4Addr::new(127, 77, high, low)
}

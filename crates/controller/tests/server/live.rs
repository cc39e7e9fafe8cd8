//! What users do all day: files change, and Envoy follows.

use std::{fs, time::Duration};

use anyhow::Result;
use nix::sys::signal::Signal;
use testbed::{PATIENCE, process::Spec, wait::wait_until};

use crate::house::{House, PORTCULLIS, envoys, free_port, gateway, route};

#[tokio::test]
async fn the_quickstart_is_served_and_says_so() -> Result<()> {
    let house = House::quickstart().await?;
    assert_eq!(house.backend.count(), 1);
    house.wait_for_condition(("Gateway", "eg"), "Programmed", "True").await?;
    let table = String::from_utf8(house.status(&["httproutes"]).stdout)?;
    let row = table.lines().nth(1).unwrap();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["HTTPRoute", "default/backend", "parent", "eg", "Accepted", "ResolvedRefs"]
    );
    Ok(())
}

#[tokio::test]
async fn a_change_is_live_in_300_ms() -> Result<()> {
    let house = House::quickstart().await?;
    let mut best = Duration::MAX;
    for turn in 0..5 {
        let host = format!("h{turn}.example.com");
        house.write("route.yaml", &route("backend", &host, ""));
        best = best.min(house.wait_until_it_serves(&host).await?);
    }
    assert!(best < Duration::from_millis(300), "{best:?}");
    fs::remove_file(house.resources().join("route.yaml"))?;
    house.wait_for_status("h4.example.com", "/", 404).await?;
    Ok(())
}

#[tokio::test]
async fn a_bad_document_is_reported_and_the_rest_is_applied() -> Result<()> {
    let house = House::quickstart().await?;
    let other = route("other", "other.example.com", "");
    let bad = route("backend", "www.example.com", "").replace("parentRefs: [", "parentRefs: 7 # [");
    house.write("route.yaml", &format!("{other}---\n{bad}"));
    house.wait_until_it_serves("other.example.com").await?;
    assert_eq!(house.ask("www.example.com", "/").await?.status, 200, "the last good version stays in force");
    let told = String::from_utf8(house.status(&[]).stdout)?;
    let wanted =
        format!("{}:14: HTTPRoute default/backend: spec.parentRefs: ", house.resources().join("route.yaml").display());
    assert!(told.contains(&wanted), "{told}");
    assert!(house.server.as_ref().unwrap().log().contains(&wanted));
    house.write("route.yaml", &other);
    house.wait_for_status("www.example.com", "/", 404).await?;
    Ok(())
}

#[tokio::test]
async fn gateways_come_and_go_with_their_envoys() -> Result<()> {
    let house = House::quickstart().await?;
    let first = house.envoys();
    let text = gateway("second", free_port()?);
    house.write("second.yaml", text.split_once("---\n").unwrap().1);
    house.wait_for_condition(("Gateway", "second"), "Programmed", "True").await?;
    assert_eq!(house.envoys().len(), 2);
    fs::remove_file(house.resources().join("second.yaml"))?;
    wait_until("the second Envoy to end", PATIENCE, async || house.envoys() == first).await?;
    assert_eq!(house.ask("www.example.com", "/").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn an_orderly_end_leaves_nothing_behind() -> Result<()> {
    let mut house = House::quickstart().await?;
    let server = house.server.take().unwrap();
    server.signal(Signal::SIGTERM)?;
    assert!(server.terminate(PATIENCE).await?.success());
    assert_eq!(envoys(&house.runtime()).len(), 0);
    assert!(!house.runtime().join("xds.sock").exists());
    Ok(())
}

#[tokio::test]
async fn requests_in_flight_are_finished_at_the_end() -> Result<()> {
    let mut house = House::quickstart().await?;
    house.backend.slow_down(Duration::from_millis(800));
    let before = house.backend.count();
    let server = house.server.take().unwrap();
    let (answer, ended) = tokio::join!(house.ask("www.example.com", "/slow"), async {
        wait_until("the request to arrive", PATIENCE, async || house.backend.count() > before).await?;
        server.terminate(PATIENCE).await
    });
    assert!(ended?.success());
    assert_eq!(answer?.status, 200);
    Ok(())
}

#[tokio::test]
async fn status_can_be_watched() -> Result<()> {
    let house = House::quickstart().await?;
    let spec = Spec::new(PORTCULLIS).args(["status", "httproutes", "--watch", "--config-path"]).arg(house.config());
    let mut watching = spec.start()?;
    watching.wait_for_line(PATIENCE, |line| line.contains("default/backend")).await?;
    house.write("other.yaml", &route("other", "other.example.com", ""));
    watching.wait_for_line(PATIENCE, |line| line.contains("default/other")).await?;
    Ok(())
}

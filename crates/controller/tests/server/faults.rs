//! Things that break, under load: no request fails.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use testbed::{
    PATIENCE,
    client::Request,
    load::Load,
    wait::{wait_for, wait_until},
};

use crate::house::{House, route};

/// Asks for a host of the house, again and again.
fn load(house: &House, host: &str) -> Load {
    let target = SocketAddr::from(([127, 0, 0, 1], house.port));
    Load::start(&Request::get(&format!("http://{host}/")).to(target))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_that_is_killed_and_started_again_costs_no_request() -> Result<()> {
    let mut house = House::quickstart().await?;
    let before = house.envoys();
    let load = load(&house, "www.example.com");
    for turn in 0..2 {
        house.server.as_mut().unwrap().kill()?;
        house.start()?;
        let host = format!("after{turn}.example.com");
        house.write("other.yaml", &route("other", &host, ""));
        house.wait_until_it_serves(&host).await?;
    }
    load.stop_unharmed().await?;
    assert_eq!(house.envoys(), before, "the Envoy was taken over");
    house.wait_for_condition(("Gateway", "eg"), "Programmed", "True").await?;
    Ok(())
}

#[tokio::test]
async fn an_envoy_that_is_killed_comes_back() -> Result<()> {
    let house = House::quickstart().await?;
    let pid = house.envoys()["default_eg"];
    kill(Pid::from_raw(pid), Signal::SIGKILL)?;
    let next = wait_for("another Envoy", PATIENCE, async || {
        house.envoys().get("default_eg").copied().filter(|next| *next != pid)
    });
    next.await?;
    house.wait_until_it_serves("www.example.com").await?;
    house.wait_for_condition(("Gateway", "eg"), "Programmed", "True").await?;
    Ok(())
}

#[tokio::test]
async fn envoys_whose_gateway_went_away_meanwhile_are_ended_by_the_next_controller() -> Result<()> {
    let mut house = House::quickstart().await?;
    house.server.as_mut().unwrap().kill()?;
    assert_eq!(house.envoys().len(), 1);
    std::fs::remove_file(house.resources().join("gateway.yaml"))?;
    house.start()?;
    wait_until("the Envoy to end", PATIENCE, async || house.envoys().is_empty()).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_fast_rewrites_cost_no_request() -> Result<()> {
    let house = House::quickstart().await?;
    let load = load(&house, "www.example.com");
    let path = house.resources().join("route.yaml");
    let writer = tokio::task::spawn_blocking(move || {
        for turn in 0..1000 {
            let text = route("backend", &format!("www.example.com, h{turn}.example.com"), "");
            std::fs::write(&path, text)?;
            std::thread::sleep(Duration::from_micros(300));
        }
        anyhow::Ok(())
    });
    writer.await??;
    house.wait_until_it_serves("h999.example.com").await?;
    load.stop_unharmed().await?;
    assert_eq!(house.ask("h998.example.com", "/").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn a_second_controller_leaves_the_first_alone() -> Result<()> {
    let mut house = House::quickstart().await?;
    let first = house.server.take();
    house.start()?;
    let ended = house.server.as_mut().unwrap().wait_exit(PATIENCE).await?;
    assert_eq!(ended.code(), Some(2));
    let log = house.server.as_ref().unwrap().log();
    assert!(log.contains("another controller uses the runtime directory"), "{log}");
    house.server = first;
    assert_eq!(house.ask("www.example.com", "/").await?.status, 200);
    Ok(())
}

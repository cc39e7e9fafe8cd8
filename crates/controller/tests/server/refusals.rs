//! What Envoy refuses is blamed on the right resource, and that one alone is left out.

use std::net::TcpListener;

use anyhow::Result;

use crate::house::{House, free_port, gateway, route};

/// Rust's expressions may repeat more often than those of Envoy (RE2: 1,000 times).
const REFUSED: &str = "    matches: [{path: {type: RegularExpression, value: \"/x{1500}\"}}]\n";

#[tokio::test]
async fn envoys_words_come_to_the_route_that_it_refuses() -> Result<()> {
    let house = House::quickstart().await?;
    house.write(
        "bad.yaml",
        &format!("{}---\n{}", route("bad", "bad.example.com", REFUSED), route("good", "good.example.com", "")),
    );
    let words = house.wait_for_condition(("HTTPRoute", "bad"), "Accepted", "False").await?;
    assert!(words.contains("Envoy refused it"), "{words}");
    house.wait_until_it_serves("good.example.com").await?;
    assert_eq!(house.ask("www.example.com", "/").await?.status, 200);
    house.write("bad.yaml", &route("bad", "bad.example.com", ""));
    house.wait_until_it_serves("bad.example.com").await?;
    house.wait_for_condition(("HTTPRoute", "bad"), "Accepted", "True").await?;
    Ok(())
}

#[tokio::test]
async fn of_many_new_routes_only_the_refused_ones_are_left_out() -> Result<()> {
    let house = House::quickstart().await?;
    let name = |turn: usize| format!("r{turn}");
    let is_bad = |turn: &usize| [3, 11].contains(turn);
    let text =
        |turn: usize| route(&name(turn), &format!("r{turn}.example.com"), if is_bad(&turn) { REFUSED } else { "" });
    house.write("many.yaml", &(0..16).map(text).collect::<Vec<_>>().join("---\n"));
    for turn in (0..16).filter(is_bad) {
        house.wait_for_condition(("HTTPRoute", &name(turn)), "Accepted", "False").await?;
    }
    for turn in (0..16).filter(|turn| !is_bad(turn)) {
        house.wait_until_it_serves(&format!("r{turn}.example.com")).await?;
        house.wait_for_condition(("HTTPRoute", &name(turn)), "Accepted", "True").await?;
    }
    assert_eq!(house.ask("www.example.com", "/").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_port_in_use_is_said_of_the_gateway_and_harms_no_other() -> Result<()> {
    let mut house = House::unstarted().await?;
    let taken = TcpListener::bind("0.0.0.0:0")?;
    let port = taken.local_addr()?.port();
    let text = gateway("eg", house.port);
    house.write("gateway.yaml", &format!("{text}  - {{name: taken, protocol: HTTP, port: {port}}}\n"));
    house.start()?;
    house.wait_until_it_serves("www.example.com").await?;
    let words = house.wait_for_condition(("Gateway", "eg"), "Programmed", "False").await?;
    assert!(words.contains(&port.to_string()), "{words}");
    Ok(())
}

#[tokio::test]
async fn a_bootstrap_that_does_not_fit_is_said_of_the_gateway() -> Result<()> {
    let mut house = House::unstarted().await?;
    let port = free_port()?;
    let text = gateway("second", port);
    let text = text.split_once("---\n").unwrap().1.replace(
        "gatewayClassName: eg\n",
        "gatewayClassName: eg\n  infrastructure: {parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: p}}\n",
    );
    house.write("second.yaml", &text);
    house.write(
        "proxy.yaml",
        "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata: {name: p}\nspec:\n  bootstrap: {type: Merge, \
         value: \"nothing: [\"}\n",
    );
    house.start()?;
    house.wait_until_it_serves("www.example.com").await?;
    let words = house.wait_for_condition(("Gateway", "second"), "Programmed", "False").await?;
    assert!(words.contains("bootstrap"), "{words}");
    assert_eq!(house.envoys().len(), 1);
    Ok(())
}

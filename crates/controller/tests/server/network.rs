//! Envoys that others start, on other machines: certificates on both sides.

use std::{fs, net::SocketAddr, process::Command};

use anyhow::{Context, Result};
use testbed::{PATIENCE, client::Request, envoy, process::Spec};

use crate::house::{House, PORTCULLIS};

/// Runs a command to its end and gives what it printed.
fn run(house: &House, args: &[&str]) -> Result<String> {
    let output = Command::new(PORTCULLIS).args(args).current_dir(house.dir.path()).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A server for Envoys of other machines, with certificates of its own authority, and its port.
async fn served_by_others(fleets: &[&str]) -> Result<(House, String)> {
    let mut house = House::unstarted().await?;
    let config = fs::read_to_string(house.config())?;
    let (before, rest) = config.split_once("    infrastructure:").context("the configuration has one")?;
    let (_, after) = rest.split_once("admin:").context("the configuration has an admin page")?;
    fs::write(house.config(), format!("{before}admin:{after}"))?;
    run(&house, &["certgen", "--dir", "certs"])?;
    for fleet in fleets {
        run(&house, &["certgen", "--dir", "certs", "--fleet", fleet])?;
    }
    let spec = Spec::new(PORTCULLIS).args(["server", "--config-path"]).arg(house.config());
    let spec = spec.args(["--xds-address", "127.0.0.1:0", "--certs"]).arg(house.dir.path().join("certs"));
    let mut server = spec.env("TMPDIR", house.dir.path()).start()?;
    let line = server.wait_for_line(PATIENCE, |line| line.contains("what=\"xds\" address=127.0.0.1:")).await?;
    let port = line.rsplit(':').next().unwrap_or_default().to_owned();
    house.server = Some(server);
    Ok((house, port))
}

/// The Envoy of the Gateway, with these certificates.
fn envoy_with(house: &House, port: &str, certs: &str) -> Result<envoy::Spec> {
    let certs = house.dir.path().join("certs").join(certs).display().to_string();
    let args = ["translate", "-f", "resources", "--to", "bootstrap", "-o", "json", "--xds-address"];
    // A name, which may have an address that the server does not listen on.
    let printed = run(house, &[&args[..], &[&format!("localhost:{port}"), "--certs", &certs]].concat())?;
    let bootstraps: Vec<serde_json::Value> = serde_json::from_str(&printed)?;
    Ok(envoy::Spec::new(bootstraps[0].to_string()))
}

#[tokio::test]
async fn an_envoy_elsewhere_is_served_over_mutual_tls() -> Result<()> {
    let (house, port) = served_by_others(&["default/eg"]).await?;
    for certs in ["envoy", "fleets/default/eg"] {
        let _envoy = envoy_with(&house, &port, certs)?.start().await?;
        let target = SocketAddr::from(([127, 0, 0, 1], house.port));
        assert_eq!(Request::get("http://www.example.com/").to(target).send().await?.status, 200);
    }
    Ok(())
}

#[tokio::test]
async fn an_envoy_gets_the_configuration_of_its_own_gateway_only() -> Result<()> {
    let (mut house, port) = served_by_others(&["default/other"]).await?;
    let envoy = envoy_with(&house, &port, "fleets/default/other")?.start_unready().await?;
    let server = house.server.as_mut().context("it runs")?;
    server.wait_for_line(PATIENCE, |line| line.contains("does not name spiffe://portcullis/fleet/default/eg")).await?;
    assert!(envoy.listeners().await?.is_empty());
    let target = SocketAddr::from(([127, 0, 0, 1], house.port));
    assert!(Request::get("http://www.example.com/").to(target).send().await.is_err());
    Ok(())
}

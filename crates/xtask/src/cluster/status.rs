//! What there is, and how to use it.

use anyhow::Result;
use testbed::cluster::{Handle, held};
use testbed::tools::{Program, kubernetes};

/// Describes every cluster.
pub(super) fn run() -> Result<()> {
    let names = held()?;
    if names.is_empty() {
        println!("no cluster is up");
    }
    for name in names {
        match Handle::open(&name)? {
            Some(handle) => describe(&handle)?,
            None => println!("cluster {name} is starting or ending"),
        }
    }
    Ok(())
}

/// Describes one cluster.
pub(super) fn describe(handle: &Handle) -> Result<()> {
    let net = handle.net();
    let (pods, services) = (net.pods(), net.services());
    println!("cluster {}", handle.name());
    for component in handle.components()? {
        println!("  {:24} {}", component.name, if component.runs { "runs" } else { "HAS ENDED" });
    }
    println!("  node {} {}, pods {} {}", net.node().0, net.node().1, pods.0, pods.1);
    println!("  services {} {}", services.0, services.1);
    println!("  logs in {}", handle.logs().display());
    println!("  into the node: {}", handle.enter());
    println!("  kubectl: {}", kubernetes(Program::Kubectl)?.display());
    println!("export KUBECONFIG={}", handle.kubeconfig().display());
    Ok(())
}

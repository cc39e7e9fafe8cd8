//! The walls between the crates: what `cargo metadata` says against what `crates/rooms.toml` allows.

mod check;
mod fences;
mod page;

use anyhow::{Context, Result, bail};

pub(crate) use page::page;

use crate::workspace::{metadata, root};

/// Prints every wall that is broken, and how to mend it.
pub(crate) fn run() -> Result<()> {
    let table = table()?;
    let mut broken = check::broken_walls(&table, &metadata()?.packages);
    broken.extend(fences::crossed(&table.fences, &root().join("crates"))?);
    for wall in &broken {
        println!("{wall}");
    }
    if !broken.is_empty() {
        bail!("{} of the walls are broken", broken.len());
    }
    Ok(())
}

fn table() -> Result<check::Table> {
    let file = root().join("crates/rooms.toml");
    let text = std::fs::read_to_string(&file).context("crates/rooms.toml")?;
    toml::from_str(&text).context("crates/rooms.toml")
}

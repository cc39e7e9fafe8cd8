//! `cargo test`, read line by line.

use std::io::{BufRead, BufReader};
use std::process::Command;

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::workspace::cargo;

/// Runs all tests (or those with `filter` in their name) to the end and counts them.
pub(super) fn run(profile: &str, filter: Option<&str>) -> Result<Tally> {
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--color", "never", "--profile", profile]);
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    let mut tally = count(command, |_, message| {
        if let Some(message) = message {
            println!("{message}");
        }
    })?;
    if tally.broken && tally.failed == 0 {
        println!("{}", tally.unread());
    }
    Ok(tally)
}

/// Runs a `cargo test` to its end and counts what it says. `hear` gets each line, and what the tally has to say of it.
pub(crate) fn count(mut command: Command, mut hear: impl FnMut(&str, Option<String>)) -> Result<Tally> {
    let (reader, writer) = std::io::pipe()?;
    // One pipe for both: which test binary a result belongs to is said on the other stream.
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cargo test")?;
    // The command holds the writing ends; as long as it lives, the pipe does not end.
    drop(command);
    let mut tally = Tally::default();
    for line in BufReader::new(reader).lines() {
        let line = line?;
        let message = tally.line(&line);
        hear(&line, message);
    }
    tally.broken = !child.wait()?.success();
    Ok(tally)
}

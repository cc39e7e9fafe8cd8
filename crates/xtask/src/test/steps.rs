//! The checks around the tests.

use std::process::Command;

use anyhow::{Context, Result, bail};
use testbed::cluster::Cluster;

use crate::workspace::{self, cargo, root};
use crate::{demo, generate, rooms};

/// One check.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) work: Box<dyn Fn() -> Result<()>>,
}

impl Step {
    fn new(name: &'static str, work: impl Fn() -> Result<()> + 'static) -> Self {
        Self { name, work: Box::new(work) }
    }
}

/// Tests that `cargo test` leaves out, so that they are no targets of all.
const APART: [&str; 6] = ["cluster", "crs", "differential", "dearest", "benign", "panels"];

/// The checks that come before the tests, the quick ones first.
pub(super) fn before_tests(profile: &str) -> Vec<Step> {
    let (clippy, doc) = (profile.to_owned(), profile.to_owned());
    vec![
        Step::new("format", || quietly(cargo().args(["fmt", "--all", "--check"]))),
        Step::new("rooms", rooms::run),
        Step::new("generated files", || generate::run(true)),
        Step::new("dependencies", dependencies),
        Step::new("tools to build with", workspace::engine_tools),
        Step::new("lints", move || {
            let targets = ["clippy", "--workspace", "--all-targets", "--profile", &clippy];
            quietly(cargo().args(targets).args(["--", "-D", "warnings"]))?;
            let apart = APART.map(|test| ["--test", test]).concat();
            let targets = ["clippy", "--package", "controller", "--package", "dashboards", "--package", "waf"];
            quietly(cargo().args(targets).args(apart).args(["--profile", &clippy, "--", "-D", "warnings"]))
        }),
        // Tests would do it themselves, but nobody would see what takes so long.
        Step::new("Kubernetes", || Cluster::full().prepare()),
        Step::new("docs", move || {
            let docs = ["doc", "--workspace", "--no-deps", "--profile", &doc];
            quietly(cargo().args(docs).env("RUSTDOCFLAGS", "-D warnings"))
        }),
    ]
}

/// The checks that need what the tests have built.
pub(super) fn after_tests(profile: &str) -> Vec<Step> {
    let (demo, panels) = (profile.to_owned(), profile.to_owned());
    vec![
        Step::new("demo", move || demo::run(&demo::Options::check_on_free_ports(&demo))),
        // It builds the firewall without the faults that the firewall's own tests plant in it.
        Step::new("panels", move || {
            quietly(cargo().args(["test", "--package", "dashboards", "--test", "panels", "--profile", &panels]))
        }),
    ]
}

/// `cargo deny`, where it is installed: licences, bans and sources. Advisories need a database from elsewhere, so they are not
/// asked for.
fn dependencies() -> Result<()> {
    if testbed::tools::on_path("cargo-deny").is_none() {
        println!("  left out: cargo-deny is not installed");
        return Ok(());
    }
    quietly(cargo().args(["deny", "check", "bans", "licenses", "sources"]))
}

/// Runs a command; what it printed is shown only if it failed.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command.current_dir(root()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        bail!("{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(())
}

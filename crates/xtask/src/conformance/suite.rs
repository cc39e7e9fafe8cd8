//! The suite: a Go program that talks to the API server and to the Envoys.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use testbed::cluster::{Channel, Handle};
use testbed::tools::{Program, kubernetes};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use super::claims::Profile;
use super::deploy::CLASS;
use super::tally::Tally;

/// The number of the load balancer's address that a test asks for. The cluster gives it to nobody else.
const USABLE: u8 = 250;
/// A name that no load balancer here has.
const UNUSABLE: &str = "unusable.example.com";

/// One run of the suite.
pub(super) struct Suite<'a> {
    pub(super) program: PathBuf,
    pub(super) claims: Vec<String>,
    pub(super) profiles: &'a [Profile],
    pub(super) channel: Channel,
    pub(super) run: Option<&'a str>,
    pub(super) report: &'a Path,
}

/// The suite's program.
pub(super) fn build() -> Result<PathBuf> {
    kubernetes(Program::Conformance)
}

impl Suite<'_> {
    /// Runs it with a line for each test that has ended; everything it says goes to a file.
    pub(super) async fn run(&self, bed: &Handle, log: &Path) -> Result<Tally<'_>> {
        let mut log = File::create(log).await.with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = self.command(bed).spawn().context("cannot run the suite")?;
        let mut lines = BufReader::new(child.stdout.take().context("standard output was asked for")?).lines();
        let mut tally = Tally::new(self.profiles, self.channel);
        while let Some(line) = lines.next_line().await? {
            // Go marks its own lines so that a test's words cannot be taken for them.
            let line = line.trim_start_matches('\u{16}');
            log.write_all(line.as_bytes()).await?;
            log.write_all(b"\n").await?;
            if let Some(progress) = tally.take(line) {
                println!("{progress}");
            }
        }
        log.flush().await?;
        let status = child.wait().await?;
        if tally.is_empty() {
            bail!("the suite ran no test ({status}): {}", tally.last_words());
        }
        if !status.success() && tally.holds() {
            bail!("no test failed, and yet the suite did ({status}): {}", tally.last_words());
        }
        Ok(tally)
    }

    fn command(&self, bed: &Handle) -> Command {
        let names = self.profiles.iter().filter_map(ValueEnum::to_possible_value);
        let profiles: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
        // It dies with the thread that starts it, which is the one that waits here.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.program);
        let tests = self.run.map_or("^TestConformance$".to_owned(), |regex| format!("^TestConformance$/({regex})"));
        // In this way of telling a test is told when it has ended, not when all have.
        command.args(["-test.v=test2json", "-test.timeout=3h", &format!("-test.run={tests}")]);
        command.arg(format!("-gateway-class={CLASS}"));
        command.arg(format!("-conformance-profiles={}", profiles.join(",")));
        command.arg(format!("-supported-features={}", self.claims.join(",")));
        command.arg(format!("-usable-address={}", bed.net().balancer(USABLE).0));
        command.arg(format!("-unusable-address={UNUSABLE}"));
        command.arg(format!("-report-output={}", self.report.display()));
        // The report has to say who made it.
        command.args(["-organization=portcullis", "-project=portcullis", "-url=none", "-contact=none"]);
        command.arg(concat!("-version=v", env!("CARGO_PKG_VERSION")));
        command.env("KUBECONFIG", bed.kubeconfig()).env_remove("HTTP_PROXY").env_remove("HTTPS_PROXY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command
    }
}

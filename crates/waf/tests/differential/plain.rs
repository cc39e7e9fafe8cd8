//! Coraza by its own Go interface.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;
use testbed::process::Spec;
use testbed::tools;
use waf::profile::{self, Place};

use crate::PROFILES;
use crate::transaction::Transaction;
use crate::verdict::Verdict;

/// How long it may judge.
const PATIENCE: Duration = Duration::from_secs(900);

/// Coraza, with directives that stand in files.
pub(crate) struct Plain(TempDir);

#[derive(Deserialize)]
struct Line {
    id: String,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Plain {
    /// With what profiles (file names and contents) come to.
    pub(crate) fn new(profiles: &[(&str, &str)]) -> Self {
        let dir = TempDir::with_prefix("plain-").unwrap();
        for (name, text) in profiles {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let place = Place { path: dir.path().to_owned(), extends: None };
        let directives = profile::as_directives(&[place]).unwrap();
        for name in PROFILES {
            fs::write(dir.path().join(name), &directives[name]).unwrap();
        }
        Self(dir)
    }

    /// What it says, by the transactions' ids.
    pub(crate) async fn judge(&self, transactions: &[Transaction]) -> BTreeMap<String, Verdict> {
        let file = |name: &str| self.0.path().join(name);
        let mut input = std::io::BufWriter::new(fs::File::create(file("transactions")).unwrap());
        for transaction in transactions {
            writeln!(input, "{}", transaction.line()).unwrap();
        }
        input.flush().unwrap();
        let profiles = PROFILES.map(|name| format!("{name}={}", file(name).display()));
        let spec =
            Spec::new(tools::plain_coraza().unwrap()).arg("judge").arg(file("transactions")).arg(file("verdicts"));
        let mut process = spec.args(profiles).start().unwrap();
        let status = process.wait_exit(PATIENCE).await.unwrap();
        assert!(status.success(), "{}", process.tail());
        let text = fs::read_to_string(file("verdicts")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Line>(line).unwrap());
        lines.map(|line| (line.id, line.verdict)).collect()
    }
}

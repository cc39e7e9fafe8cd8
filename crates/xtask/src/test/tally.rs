//! Counting what `cargo test` prints.

/// What is known so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Whether cargo itself said that something failed.
    pub(crate) broken: bool,
    /// The test binary whose lines are being read.
    binary: String,
    /// Its lines so far.
    lines: Vec<String>,
}

impl Tally {
    /// Takes one line; gives what to print now: a short line a binary, and everything of one that failed.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        if let Some(binary) = binary_named_by(line) {
            self.binary = binary;
            self.lines.clear();
            return None;
        }
        self.lines.push(line.to_owned());
        let result = line.strip_prefix("test result: ")?;
        let (passed, failed) = (number_before(result, " passed"), number_before(result, " failed"));
        self.passed += passed;
        self.failed += failed;
        let output = self.unread();
        if failed > 0 {
            return Some(format!("  {}: {passed} passed, {failed} failed\n{output}", self.binary));
        }
        let seconds = result.rsplit(' ').next().unwrap_or_default();
        (passed > 0).then(|| format!("  {}: {passed} passed in {seconds}", self.binary))
    }

    /// The lines that belong to no result yet.
    pub(super) fn unread(&mut self) -> String {
        std::mem::take(&mut self.lines).join("\n")
    }
}

/// `Running unittests src/lib.rs (target/debug/deps/xds-1234)`, `Running tests/ads.rs (…)`, `Doc-tests xds`.
fn binary_named_by(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("{name} (docs)"));
    }
    let (source, path) = line.strip_prefix("Running ")?.strip_suffix(')')?.split_once(" (")?;
    let file = path.rsplit('/').next()?;
    let name = file.rsplit_once('-').map_or(file, |(name, _hash)| name);
    // `Running tests/a.rs` and `Running unittests src/lib.rs`: only cargo's own lines name a source file.
    source
        .ends_with(".rs")
        .then(|| if source.starts_with("unittests") { format!("{name} (units)") } else { name.to_owned() })
}

/// The number that stands right before `word`.
fn number_before(text: &str, word: &str) -> usize {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "   Compiling xds v0.1.0
     Running unittests src/lib.rs (target/debug/deps/xds-0123456789abcdef)
test cache::a ... ok
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.05s
     Running tests/ads.rs (target/debug/deps/ads-0123456789abcdef)
test b ... FAILED
---- b stdout ----
Running on empty (really)
test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.25s
   Doc-tests xds
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn results_are_summed_and_failures_shown() {
        let mut tally = Tally::default();
        let printed: Vec<String> = OUTPUT.lines().filter_map(|line| tally.line(line)).collect();
        assert_eq!((tally.passed, tally.failed), (15, 2));
        assert_eq!(printed[0], "  xds (units): 12 passed in 0.05s");
        assert!(printed[1].starts_with("  ads: 3 passed, 2 failed\ntest b ... FAILED"), "{}", printed[1]);
        assert!(printed[1].contains("Running on empty"));
        assert_eq!(printed.len(), 2);
    }

    #[test]
    fn an_error_before_any_test_is_kept() {
        let mut tally = Tally::default();
        assert!("error[E0308]: mismatched types".lines().all(|line| tally.line(line).is_none()));
        assert!(tally.unread().contains("E0308"));
    }
}

//! What became of the tests, read from what the suite prints.

use testbed::cluster::Channel;

use super::claims::{Profile, concerns, is_there};

/// Numbers, and the names behind them.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    profiles: &'a [Profile],
    channel: Channel,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    /// Tests of other profiles than the run's, and of what its channel does not have.
    foreign: Vec<String>,
    last: String,
}

impl<'a> Tally<'a> {
    pub(super) fn new(profiles: &'a [Profile], channel: Channel) -> Self {
        Self {
            profiles,
            channel,
            passed: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
            foreign: Vec::new(),
            last: String::new(),
        }
    }

    /// Takes in a line; gives what there is to say of it.
    pub(super) fn take(&mut self, line: &str) -> Option<String> {
        if !line.trim().is_empty() {
            line.clone_into(&mut self.last);
        }
        if let Some((name, feature)) = not_claimed(line) {
            if !concerns(feature, self.profiles) || !is_there(feature, self.channel) {
                self.foreign.push(name.to_owned());
            }
            return None;
        }
        let (verdict, rest) = line.strip_prefix("--- ")?.split_once(": TestConformance/")?;
        // A test's own parts are told, too, below its name.
        let (name, seconds) = rest.split_once(' ').filter(|(name, _)| !name.contains('/'))?;
        let seconds = seconds.trim_matches(['(', ')']);
        match verdict {
            "PASS" => self.passed += 1,
            "FAIL" => self.failed.push(name.to_owned()),
            _ if self.foreign.iter().any(|foreign| foreign == name) => return None,
            _ => self.skipped.push(name.to_owned()),
        }
        Some(format!("{:>4} {verdict} {name} ({seconds})", self.passed + self.failed.len() + self.skipped.len()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.passed + self.failed.len() + self.skipped.len() == 0
    }

    /// The last thing that the suite said.
    pub(super) fn last_words(&self) -> &str {
        &self.last
    }

    pub(super) fn holds(&self) -> bool {
        self.failed.is_empty()
    }

    /// The names of those that did not pass, and the numbers.
    pub(super) fn print(&self) {
        for (what, names) in [("failed", &self.failed), ("skipped", &self.skipped)] {
            if !names.is_empty() {
                println!("{what}: {}", names.join(", "));
            }
        }
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len());
    }
}

/// A test that a run leaves out, and the feature that it did not claim.
fn not_claimed(line: &str) -> Option<(&str, &str)> {
    let (_, said) = line.split_once("Skipping ")?;
    said.split_once(": suite does not support ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_count_and_those_of_other_profiles_or_channels_do_not() {
        let mut tally = Tally::new(&[Profile::Http], Channel::Standard);
        let lines = [
            "=== RUN   TestConformance/A",
            "--- PASS: TestConformance/A (1.50s)",
            "--- FAIL: TestConformance/B/part (0.10s)",
            "--- FAIL: TestConformance/B (2.00s)",
            "    conformance.go:59: Skipping C: suite does not support HTTPRouteCORS",
            "--- SKIP: TestConformance/C (0.00s)",
            "    conformance.go:59: Skipping D: suite does not support Mesh",
            "--- SKIP: TestConformance/D (0.00s)",
            "    conformance.go:59: Skipping E: suite does not support HTTPRouteRetry",
            "--- SKIP: TestConformance/E (0.00s)",
            "--- FAIL: TestConformance (9.00s)",
        ];
        let said: Vec<_> = lines.iter().filter_map(|line| tally.take(line)).collect();
        assert_eq!(said, ["   1 PASS A (1.50s)", "   2 FAIL B (2.00s)", "   3 SKIP C (0.00s)"]);
        assert_eq!((tally.passed, tally.failed.len(), tally.skipped.len()), (1, 1, 1));
        assert!(!tally.holds() && !tally.is_empty());
    }
}

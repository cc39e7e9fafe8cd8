//! Finds the culprit among several suspects by leaving some of them out, in as many rounds as it takes to halve them.

use api::ObjectRef;

use super::Verdict;

/// A search in progress. Envoy takes it without `suspects[bad - 1]` and all after it; with that one it does not.
#[derive(Debug)]
pub(super) struct Hunt {
    suspects: Vec<ObjectRef>,
    words: String,
    /// With so many suspects Envoy is content; not known before the first answer.
    good: Option<usize>,
    /// With so many it is not.
    bad: usize,
    /// So many are in the configuration that is tried.
    tried: usize,
}

/// What an answer means for the search.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Wait,
    /// The next try: see [`Hunt::left_out`].
    Try,
    /// This one it was.
    Found(ObjectRef),
    /// It was none of them.
    Lost,
}

impl Hunt {
    /// Begins with all of them left out, to see whether it was one of them at all.
    pub(super) fn new(suspects: Vec<ObjectRef>, words: &str) -> Self {
        Self { bad: suspects.len(), suspects, words: words.to_owned(), good: None, tried: 0 }
    }

    /// Why it is searched: Envoy's words.
    pub(super) fn words(&self) -> &str {
        &self.words
    }

    /// The suspects that are left out of the configuration that is tried.
    pub(super) fn left_out(&self) -> &[ObjectRef] {
        &self.suspects[self.tried..]
    }

    /// Takes Envoy's answer to what is tried.
    pub(super) fn judge(&mut self, verdict: &Verdict) -> Step {
        match (verdict, self.good) {
            (Verdict::Open, _) => return Step::Wait,
            (Verdict::Bad { .. }, None) => return Step::Lost,
            (Verdict::Bad { words, .. }, Some(_)) => {
                self.bad = self.tried;
                self.words = words.to_string();
            }
            (Verdict::Good, _) => self.good = Some(self.tried),
        }
        let good = self.good.unwrap_or_default();
        if self.bad - good == 1 {
            return Step::Found(self.suspects[good].clone());
        }
        self.tried = good.midpoint(self.bad);
        Step::Try
    }
}

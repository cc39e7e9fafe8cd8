//! Which of many patterns are in which of some texts: what the gate before the engine asks (`go/gate.go`).
//!
//! A pattern is an expression, or some phrases. All texts are looked through once, for strings without which a pattern cannot match;
//! only the expressions of which that was found, and those without such strings, are tried one by one.

mod literals;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Instant;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder};

use crate::wire::Reader;

/// Bytes that the automaton of an expression may take, while it is built and while it runs. What is beyond is not judged.
const MOST: usize = 8 << 20;
const MOST_RUNNING: usize = 192 << 10;

/// From how many bytes on the clock is looked at before each expression.
const LONG: usize = 4 << 10;

/// The time is up.
#[derive(Debug)]
pub(crate) struct Late;

/// Many patterns, by number.
#[derive(Debug)]
pub(crate) struct Matcher {
    patterns: Vec<Pattern>,
    strings: Option<AhoCorasick>,
    /// Of each string, the patterns that need it.
    owners: Vec<Vec<usize>>,
    /// Patterns that need no string.
    always: Vec<u64>,
}

#[derive(Debug)]
enum Pattern {
    /// One of its strings is enough.
    Phrases,
    Expression(Arc<Expression>),
    /// In all texts that do not match.
    Not(Arc<Expression>),
    /// May be in any text.
    Unknown,
}

/// A set of patterns, in words of 64.
fn put(set: &mut [u64], number: usize) {
    set[number / 64] |= 1 << (number % 64);
}

fn has(set: &[u64], number: usize) -> bool {
    set[number / 64] & (1 << (number % 64)) != 0
}

impl Matcher {
    /// Reads a batch: for each pattern whether a text must not match it (1), its expression, the number of its phrases, and these, in
    /// lower case.
    pub(crate) fn new(batch: &[u8]) -> Self {
        let mut batch = Reader(batch);
        let mut patterns = Vec::new();
        let mut strings: HashMap<String, Vec<usize>> = HashMap::new();
        let mut always = Vec::new();
        while batch.more() {
            let number = patterns.len();
            let (negated, expression) = (batch.number() == 1, batch.text());
            let phrases: Vec<_> = (0..batch.number()).map(|_| batch.text()).collect();
            let (pattern, needed) = match shared(&expression) {
                _ if !phrases.is_empty() => (Pattern::Phrases, phrases),
                Some(expression) if negated => (Pattern::Not(expression), Vec::new()),
                Some(expression) => (Pattern::Expression(Arc::clone(&expression)), expression.needs.clone()),
                None => (Pattern::Unknown, Vec::new()),
            };
            always.resize(number / 64 + 1, 0);
            if needed.is_empty() {
                put(&mut always, number);
            }
            for string in needed {
                strings.entry(string).or_default().push(number);
            }
            patterns.push(pattern);
        }
        let (strings, owners): (Vec<_>, Vec<_>) = strings.into_iter().unzip();
        let automaton =
            AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&strings);
        match automaton {
            Ok(automaton) => Self { patterns, strings: Some(automaton), owners, always },
            Err(_) => {
                Self { always: vec![u64::MAX; always.len()], patterns: unknown(patterns.len()), strings: None, owners }
            }
        }
    }

    /// How many words a set of its patterns takes.
    pub(crate) fn words(&self) -> usize {
        self.always.len()
    }

    /// Reads a batch of texts, each after the patterns to look for and its length, and adds to `found` what may be in one of them.
    pub(crate) fn scan(&self, mut batch: &[u8], found: &mut [u64], until: Option<Instant>) -> Result<(), Late> {
        let mut wanted = vec![0; self.words()];
        let mut candidates = vec![0; self.words()];
        while let Some(text) = next(&mut batch, &mut wanted) {
            for ((candidate, wanted), (found, always)) in
                candidates.iter_mut().zip(&mut wanted).zip(found.iter_mut().zip(&self.always))
            {
                *wanted &= !*found;
                *candidate = *wanted & always;
            }
            if std::str::from_utf8(text).is_err() {
                // Go reads such text in a way of its own.
                found.iter_mut().zip(&wanted).for_each(|(found, wanted)| *found |= wanted);
                continue;
            }
            self.find_strings(text, &wanted, &mut candidates);
            for number in members(&candidates) {
                if text.len() >= LONG && until.is_some_and(|until| Instant::now() > until) {
                    return Err(Late);
                }
                if self.patterns[number].may_match(text) {
                    put(found, number);
                }
            }
        }
        Ok(())
    }

    fn find_strings(&self, text: &[u8], wanted: &[u64], candidates: &mut [u64]) {
        let folded =
            |text: &[u8]| literals::FOLDED.iter().any(|letter| memchr::memmem::find(text, letter.as_bytes()).is_some());
        let Some(strings) = self.strings.as_ref().filter(|_| text.is_ascii() || !folded(text)) else {
            candidates.copy_from_slice(wanted);
            return;
        };
        for hit in strings.find_overlapping_iter(text) {
            for &owner in &self.owners[hit.pattern().as_usize()] {
                if has(wanted, owner) {
                    put(candidates, owner);
                }
            }
        }
    }
}

impl Drop for Matcher {
    /// What nobody uses any more is forgotten.
    fn drop(&mut self) {
        self.patterns.clear();
        SHARED.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, other| other.strong_count() > 0);
    }
}

impl Pattern {
    /// To be asked of a pattern whose strings were found.
    fn may_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Phrases | Self::Unknown => true,
            Self::Expression(expression) => expression.automaton.is_match(text),
            // Only of ASCII it is sure that both engines read an expression the same way.
            Self::Not(expression) => !text.is_ascii() || !expression.automaton.is_match(text),
        }
    }
}

fn unknown(count: usize) -> Vec<Pattern> {
    (0..count).map(|_| Pattern::Unknown).collect()
}

/// An expression that can be searched for.
#[derive(Debug)]
struct Expression {
    automaton: Regex,
    /// One of these is in each text that it is in; without any it may be in all.
    needs: Vec<String>,
}

/// Expressions that are in use: profiles, and the rules before and after a change, have most of them in common.
static SHARED: LazyLock<Mutex<HashMap<String, Weak<Expression>>>> = LazyLock::new(Mutex::default);

/// Nothing where the expression is none, or takes too much.
fn shared(text: &str) -> Option<Arc<Expression>> {
    let mut all = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(text).and_then(Weak::upgrade) {
        return Some(known);
    }
    let parsed = regex_syntax::ParserBuilder::new().utf8(false).build().parse(text).ok()?;
    let automaton = RegexBuilder::new(text).size_limit(MOST).dfa_size_limit(MOST_RUNNING).build().ok()?;
    let built = Arc::new(Expression { automaton, needs: literals::required(&parsed).unwrap_or_default() });
    all.insert(text.to_owned(), Arc::downgrade(&built));
    Some(built)
}

/// The next text of a batch, after the patterns that are wanted of it.
fn next<'a>(batch: &mut &'a [u8], wanted: &mut [u64]) -> Option<&'a [u8]> {
    for word in wanted {
        let (bytes, rest) = batch.split_first_chunk()?;
        *word = u64::from_le_bytes(*bytes);
        *batch = rest;
    }
    let (size, rest) = batch.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*size) as usize)?;
    *batch = rest;
    Some(text)
}

fn members(set: &[u64]) -> impl Iterator<Item = usize> {
    set.iter().enumerate().flat_map(|(index, word)| {
        let mut word = *word;
        std::iter::from_fn(move || {
            let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
            word &= word - 1;
            Some(index * 64 + bit)
        })
    })
}

//! One file: its documents, and the resources of it that are in force.
//!
//! A document is known again by a hash of its text, so a change of one document among many parses that one only.

use std::{cell::LazyCell, collections::HashMap, hash::BuildHasher, sync::Arc};

use super::{
    document::{self, Outcome, Refused},
    held::{Held, HeldSet},
};
use crate::source::{Problem, Severity};

/// What was read of one file.
#[derive(Debug, Default)]
pub(super) struct Contents {
    documents: Vec<Placed>,
    /// The resources that this file stands for, and where.
    pub(super) held: HeldSet,
    /// What is wrong with the file as a whole, and doubles within it.
    own_problems: Vec<Problem>,
}

/// A document and where it stands.
#[derive(Debug)]
struct Placed {
    hash: u64,
    lines_before: usize,
    outcome: Arc<Outcome>,
}

impl Contents {
    /// Reads a text. What it does not say well stays as it was in `old`.
    pub(super) fn read(file: &Arc<str>, text: &str, old: &Self) -> Self {
        let known = LazyCell::new(|| old.documents.iter().map(|doc| (doc.hash, doc)).collect::<HashMap<_, _>>());
        let documents = kit::config::split(text).into_iter().enumerate().map(|(index, chunk)| {
            let hash = hash(chunk.text);
            // Most documents are where they were.
            let same = old.documents.get(index).filter(|doc| doc.hash == hash).or_else(|| known.get(&hash).copied());
            let outcome = same.map(|doc| Arc::clone(&doc.outcome));
            let outcome = outcome.unwrap_or_else(|| Arc::new(document::read(file, chunk.text)));
            Placed { hash, lines_before: chunk.lines_before, outcome }
        });
        let mut new = Self { documents: documents.collect(), ..Self::default() };
        new.hold(file, old);
        new.keep_last_good(old);
        new
    }

    /// The file cannot be read: all stays as it was in `old`.
    pub(super) fn unreadable(file: &Arc<str>, why: String, old: &Self) -> Self {
        let problem = Problem {
            file: Some(Arc::clone(file)),
            line: 0,
            severity: Severity::Error,
            object: String::new(),
            field: String::new(),
            what: why,
        };
        Self { documents: Vec::new(), held: old.held.clone(), own_problems: vec![problem] }
    }

    /// Everything that is wrong with this file, by line.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        let of_documents = self.documents.iter().flat_map(|document| {
            document.outcome.problems.iter().map(|problem| problem.clone().lower(document.lines_before))
        });
        of_documents.chain(self.own_problems.iter().cloned())
    }

    /// Whether there is nothing in it, not even something wrong.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty() && self.documents.is_empty() && self.own_problems.is_empty()
    }

    /// Whether both were read from the same text. Two files that cannot be read are the same too.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&Placed, &Placed)| (one.hash, one.lines_before) == (other.hash, other.lines_before);
        self.documents.len() == other.documents.len()
            && self.own_problems == other.own_problems
            && self.held.len() == other.held.len()
            && self.documents.iter().zip(&other.documents).all(same)
    }

    /// Whether a resource of `self` is missing in `new`.
    pub(super) fn loses(&self, new: &Self) -> bool {
        self.held.differences(&new.held).any(|(_, now)| now.is_none())
    }

    /// Collects the resources of the documents; of two with one name the first counts.
    fn hold(&mut self, file: &Arc<str>, old: &Self) {
        let documents = self.documents.iter();
        let entries =
            documents.flat_map(|document| document.outcome.entries.iter().map(move |entry| (document, entry)));
        let all = entries.map(|(document, entry)| Held::new(entry, document.lines_before)).collect();
        let (held, doubles) = HeldSet::new(all, &old.held);
        self.held = held;
        for second in doubles {
            let reference = &second.entry.reference;
            let first = self.held.get(reference).map_or(0, |first| first.line);
            self.own_problems.push(double(file, second.line, reference, &format!("{file}:{first}")));
        }
    }

    /// Where it cannot be said which resource a document means, it may be any that was there and is not any more: all
    /// of those stay until the document can be read again.
    fn keep_last_good(&mut self, old: &Self) {
        let unreadable = self.documents.iter().any(|document| document.outcome.unreadable);
        let good = || old.held.iter().filter(|held| held.entry.unreadable.is_none());
        let refused =
            || self.documents.iter().flat_map(|placed| placed.outcome.refused.iter().map(move |it| (placed, it)));
        let kept: Vec<Held> = match unreadable {
            true => good().cloned().collect(),
            false => {
                let before = refused().filter_map(|(_, refused)| old.held.get(&refused.reference));
                before.filter(|held| held.entry.unreadable.is_none()).cloned().collect()
            }
        };
        let stand_in = |(placed, refused): (&Placed, &Refused)| {
            refused.stand_in.as_ref().map(|entry| Held::new(entry, placed.lines_before))
        };
        let mut stand_ins: Vec<Held> = refused().filter_map(stand_in).collect();
        if unreadable {
            // What could be read of it last is all that is known of it.
            stand_ins.extend(old.held.iter().filter(|held| held.entry.unreadable.is_some()).cloned());
        }
        self.held.add_missing(kept);
        self.held.add_missing(stand_ins);
    }
}

/// The problem of a second document of the same name.
pub(super) fn double(file: &Arc<str>, line: usize, reference: &api::ObjectRef, first: &str) -> Problem {
    Problem {
        file: Some(Arc::clone(file)),
        line,
        severity: Severity::Error,
        object: reference.to_string(),
        field: String::new(),
        what: format!("is defined twice; {first} counts and this one does not, remove or rename one of them"),
    }
}

/// A file may have megabytes, so the hash is a fast one.
fn hash(text: &str) -> u64 {
    foldhash::quality::FixedState::default().hash_one(text)
}

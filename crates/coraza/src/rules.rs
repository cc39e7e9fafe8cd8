//! Compiled rules.

use std::sync::Arc;

use crate::error::Problem;
use crate::ffi;
use crate::message::Request;
use crate::source::Source;
use crate::transaction::Transaction;

/// A compiled rule set. Clones share it; with the Core Rule Set it takes some 50 MB, which are free once the last clone and the
/// last transaction are gone.
#[derive(Debug, Clone)]
pub struct Rules(Arc<ffi::Rules>);

impl Rules {
    /// Compiles; with the Core Rule Set this takes about a second.
    pub fn compile(source: &Source) -> Result<Self, Problem> {
        ffi::Rules::compile(source.encode().bytes()).map(|rules| Self(Arc::new(rules)))
    }

    /// How many rules there are.
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// How many of them are left out for requests in which they cannot find anything (see [`Source::without_gate`]).
    pub fn judged(&self) -> u64 {
        self.0.judged()
    }

    /// Starts a transaction and runs the rules of request headers; with `done` there is no body, and the rules of the request
    /// body are run too.
    pub fn begin<'a, H>(&self, request: Request<'a, H>, done: bool) -> Transaction
    where
        H: IntoIterator<Item = (&'a [u8], &'a [u8])>,
    {
        Transaction::begin(Arc::clone(&self.0), request.encode().bytes(), done)
    }
}

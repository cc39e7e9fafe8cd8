//! A request while it is answered.

use crate::ask::Ask;
use crate::clock::Seconds;
use crate::runtime::Runtime;

/// A request, with the configuration it is answered by and the time that counts for it. Whatever changes meanwhile, both stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) ask: &'a Ask,
    pub(crate) now: Seconds,
}

impl<'a> Visit<'a> {
    /// The cookies that it brings.
    pub(crate) fn cookies(self) -> &'a str {
        self.ask.header("cookie").unwrap_or_default()
    }
}

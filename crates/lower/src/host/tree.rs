//! Long lists of routes become a tree of short ones, chosen by the path's first characters.
//!
//! Envoy goes through a list route by route, 40 ns each: the last of 1,000 would cost a third more than the first. A map of
//! prefixes finds the bucket of a path at once, and the order within a bucket is the order of the list. Envoy takes the
//! longest key that the path begins with and never tries another, see [`plan`] for what that means. What it compares is the
//! path with its query, which only makes it longer.
//!
//! Only the plan is kept, for as long as paths stay. The bytes of a tree are those of its routes, which are kept already.

mod plan;
mod write;

use std::sync::Arc;

use ir::Route;

use self::plan::Bucket;
use crate::{kept::Kept, route::Encoded};

/// What was planned the last time.
#[derive(Debug, Default)]
pub(super) struct TreeMemo {
    /// What each route's paths begin with: all that the plan depends on.
    beginnings: Vec<Arc<str>>,
    /// None where a list does as well.
    buckets: Vec<Bucket>,
}

impl TreeMemo {
    /// Brings it up to date.
    pub(super) fn update(&mut self, routes: &Kept<Route, Encoded>) {
        let beginnings = routes.iter().map(|(_, encoded)| &encoded.beginning);
        if !self.beginnings.iter().eq(beginnings.clone()) {
            self.beginnings = beginnings.cloned().collect();
            self.buckets = plan::plan(&self.beginnings).unwrap_or_default();
        }
    }

    /// Appends the tree of the routes that it was brought up to, if they have one, to an encoded virtual host.
    pub(super) fn put(&self, routes: &Kept<Route, Encoded>, host: &mut Vec<u8>) -> bool {
        if !self.buckets.is_empty() {
            let encoded: Vec<&Encoded> = routes.iter().map(|(_, encoded)| encoded).collect();
            write::put(&self.buckets, &encoded, host);
        }
        !self.buckets.is_empty()
    }
}

#[cfg(test)]
mod tests;

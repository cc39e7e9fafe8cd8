//! Which rule a descriptor has.

use envoy::ext::shared::ratelimit::RateLimitDescriptor;
use smallvec::SmallVec;

use super::{Node, Rule, Rules, Values};

/// How an entry was matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How<'r> {
    /// Key and value.
    Exact,
    /// Key, and value by this pattern.
    Pattern(&'r str),
    /// Key only.
    Any,
}

/// One entry of a descriptor and what it met in the tree.
#[derive(Debug, Clone, Copy)]
pub struct Step<'r> {
    node: &'r Node,
    /// How it was matched.
    pub how: How<'r>,
}

impl<'r> Step<'r> {
    /// The pattern to count by, where all values that match it share a counter.
    pub fn shared(&self) -> Option<&'r str> {
        match self.how {
            How::Pattern(pattern) if self.node.shared => Some(pattern),
            _ => None,
        }
    }

    /// The same step, by which each value is counted by itself.
    pub(crate) fn unshared(self) -> Self {
        Self { how: How::Exact, ..self }
    }

    /// Whether only a hash of the value may be stored.
    pub fn is_hashed(&self) -> bool {
        self.node.hashed
    }

    /// Whether metrics are kept apart by the value.
    pub fn value_to_metric(&self) -> bool {
        self.node.value_to_metric
    }
}

/// What a descriptor met in the tree.
#[derive(Debug)]
pub struct Found<'r> {
    /// The rule, when the whole descriptor leads to one.
    pub rule: Option<&'r Rule>,
    /// The entries as far as the tree knows them.
    pub steps: SmallVec<[Step<'r>; 6]>,
}

impl Rules {
    /// What a descriptor has in a domain; `None` when the domain is unknown.
    ///
    /// Each entry takes the most specific child: the value itself, else the first pattern that matches, else the key alone.
    /// There is no way back: where that child has no such continuation, nothing matches. A rule applies to descriptors that
    /// end at it.
    pub fn find(&self, domain: &str, descriptor: &RateLimitDescriptor) -> Option<Found<'_>> {
        let mut node = self.domains.get(domain)?;
        let mut steps = SmallVec::new();
        for entry in &descriptor.entries {
            let next = node.children.get(entry.key.as_str()).and_then(|values| values.find(&entry.value));
            let Some(step) = next else { return Some(Found { rule: None, steps }) };
            node = step.node;
            steps.push(step);
        }
        Some(Found { rule: node.rule.map(|index| &self.rules[index]), steps })
    }
}

impl Values {
    fn find(&self, value: &str) -> Option<Step<'_>> {
        // The empty value is that of the key alone.
        if let Some(node) = self.exact.get(value) {
            return Some(Step { node, how: How::Exact });
        }
        if let Some((pattern, node)) = self.patterns.iter().find(|(pattern, _)| pattern.matches(value)) {
            return Some(Step { node, how: How::Pattern(pattern.as_str()) });
        }
        self.any.as_deref().map(|node| Step { node, how: How::Any })
    }
}

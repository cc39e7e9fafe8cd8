//! Specifications to the tree that is searched, with a problem for everything that contradicts itself.

use std::fmt;

use super::pattern::Pattern;
use super::spec::{Descriptor, Domain, RateLimit};
use super::{Node, Rule, Rules, Values};
use crate::limit::{Algorithm, Limit, Unit};

/// A place in a specification: which source, and the path of a field in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The number of the source.
    pub source: usize,
    /// `descriptors[0].rate_limit.unit`.
    pub field: String,
}

/// Something that contradicts itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what is allowed.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.field.is_empty() {
            formatter.write_str(&self.what)
        } else {
            write!(formatter, "{}: {}", self.place.field, self.what)
        }
    }
}

/// Makes the rules of all sources; several of them may add to one domain. All problems, when there are any.
pub fn compile(sources: &[Domain]) -> Result<Rules, Vec<Problem>> {
    let mut compiler = Compiler::default();
    for (source, domain) in sources.iter().enumerate() {
        compiler.source = source;
        compiler.domain(domain);
    }
    let Compiler { rules, problems, .. } = compiler;
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

#[derive(Default)]
struct Compiler {
    source: usize,
    rules: Rules,
    problems: Vec<Problem>,
}

/// Where the compiler is: the domain, the path in the tree, and the path of fields.
struct At<'a> {
    domain: &'a str,
    path: &'a str,
    field: &'a str,
}

impl Compiler {
    fn problem(&mut self, field: impl Into<String>, what: impl Into<String>) {
        self.problems.push(Problem { place: Place { source: self.source, field: field.into() }, what: what.into() });
    }

    fn domain(&mut self, spec: &Domain) {
        if spec.domain.is_empty() {
            self.problem("domain", "is empty, allowed: the domain that Envoy's rate limit filter names");
            return;
        }
        let mut root = self.rules.domains.remove(spec.domain.as_str()).unwrap_or_default();
        let at = At { domain: &spec.domain, path: "", field: "" };
        self.descriptors(&mut root, &spec.descriptors, &at);
        self.rules.domains.insert(spec.domain.as_str().into(), root);
    }

    fn descriptors(&mut self, parent: &mut Node, specs: &[Descriptor], at: &At<'_>) {
        for (index, spec) in specs.iter().enumerate() {
            let dot = if at.field.is_empty() { "" } else { "." };
            let field = format!("{}{dot}descriptors[{index}]", at.field);
            if spec.key.is_empty() {
                self.problem(format!("{field}.key"), "is empty, allowed: the key of a descriptor entry");
                continue;
            }
            let dot = if at.path.is_empty() { "" } else { "." };
            let value = if spec.value.is_empty() { String::new() } else { format!("_{}", spec.value) };
            let path = format!("{}{dot}{}{value}", at.path, spec.key);
            let node = self.node(spec, &At { domain: at.domain, path: &path, field: &field });
            let values = parent.children.entry(spec.key.as_str().into()).or_default();
            if !values.insert(&spec.value, node) {
                let name = if value.is_empty() {
                    format!("the key `{}`", spec.key)
                } else {
                    format!("`{}` of `{}`", spec.value, spec.key)
                };
                self.problem(
                    field,
                    format!(
                        "{name} is there already, in this place of the domain `{}`; write what follows it in one place",
                        at.domain
                    ),
                );
            }
        }
    }

    fn node(&mut self, spec: &Descriptor, at: &At<'_>) -> Node {
        if spec.share_threshold && !spec.value.contains('*') {
            self.problem(
                format!("{}.share_threshold", at.field),
                "needs a `value` with a wildcard, such as `files*`: without one there is nothing to share",
            );
        }
        let mut node = Node {
            value_to_metric: spec.value_to_metric,
            shared: spec.share_threshold,
            hashed: spec.hash_value,
            ..Node::default()
        };
        if let Some(limit) = &spec.rate_limit {
            node.rule = self.rule(spec, limit, at);
        }
        self.descriptors(&mut node, &spec.descriptors, at);
        node
    }

    fn rule(&mut self, spec: &Descriptor, rate_limit: &RateLimit, at: &At<'_>) -> Option<usize> {
        let limit = self.limit(rate_limit, at);
        for (index, replaced) in rate_limit.replaces.iter().enumerate() {
            let field = format!("{}.rate_limit.replaces[{index}].name", at.field);
            if replaced.name.is_empty() {
                self.problem(field, "is empty, allowed: the name of another rate limit");
            } else if replaced.name == rate_limit.name {
                self.problem(field, "is the rate limit's own name, allowed: the name of another one");
            }
        }
        let index = self.rules.rules.len();
        self.rules.rules.push(Rule {
            index,
            domain: at.domain.into(),
            path: at.path.into(),
            name: rate_limit.name.as_str().into(),
            limit: limit?,
            replaces: rate_limit.replaces.iter().map(|replaced| replaced.name.as_str().into()).collect(),
            shadow: spec.shadow_mode,
            quota: spec.quota_mode,
            detailed: spec.detailed_metric,
            metadata: (!spec.metadata.is_empty()).then(|| super::proto::metadata(&spec.metadata)),
        });
        Some(index)
    }

    /// The limit, `None` inside for no limit at all; a problem gives nothing.
    #[expect(clippy::option_option, reason = "wrong, unlimited, limited: the outer one ends the function above")]
    fn limit(&mut self, spec: &RateLimit, at: &At<'_>) -> Option<Option<Limit>> {
        let field = |name: &str| format!("{}.rate_limit.{name}", at.field);
        let unit = Unit::parse(&spec.unit);
        if spec.unlimited {
            if unit.is_some() {
                self.problem(field("unit"), "does not go with `unlimited`: leave one of them out");
                return None;
            }
            return Some(None);
        }
        let Some(unit) = unit else {
            let what =
                if spec.unit.is_empty() { "is missing".to_owned() } else { format!("`{}` is no unit", spec.unit) };
            let allowed = "second, minute, hour, day, week, month, year, or whole seconds such as 90s";
            self.problem(field("unit"), format!("{what}, allowed: {allowed}"));
            return None;
        };
        let bucket = spec.algorithm == Algorithm::TokenBucket;
        if spec.burst.is_some() && !bucket {
            self.problem(field("burst"), "needs `algorithm: token_bucket`: only a bucket has a size");
            return None;
        }
        if spec.burst == Some(0) && spec.requests_per_unit > 0 {
            self.problem(field("burst"), "is 0, which refuses everything; to do that set `requests_per_unit: 0`");
            return None;
        }
        let requests = spec.requests_per_unit;
        if requests == 0 && spec.burst.is_some_and(|burst| burst > 0) {
            self.problem(field("burst"), "is more than 0 for a bucket that never fills again; set `requests_per_unit`");
            return None;
        }
        let burst = spec.burst.unwrap_or(requests);
        Some(Some(Limit { requests, unit, algorithm: spec.algorithm, burst }))
    }
}

impl Values {
    /// False when the value is there already.
    fn insert(&mut self, value: &str, node: Node) -> bool {
        if value.is_empty() {
            let free = self.any.is_none();
            self.any.get_or_insert_with(|| Box::new(node));
            return free;
        }
        let Some(pattern) = Pattern::new(value) else {
            let free = !self.exact.contains_key(value);
            self.exact.entry(value.into()).or_insert(node);
            return free;
        };
        if self.patterns.iter().any(|(known, _)| *known == pattern) {
            return false;
        }
        // The most specific first, and of those that are equally so the one that is written first.
        let at = self.patterns.partition_point(|(known, _)| known.literal() >= pattern.literal());
        self.patterns.insert(at, (pattern, node));
        true
    }
}

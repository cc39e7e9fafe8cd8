//! Queries as Prometheus would read them, with Grafana's variables in them.
//!
//! Grafana puts values in place of `$name`, `${name}`, `${name:format}` and `[[name]]` before it sends a query. Here something of
//! the right kind takes their place: a duration between brackets and after `offset`, a name where labels are listed or a metric
//! stands, else a number. In strings they stay.

mod scan;

use std::convert::Infallible;

use promql_parser::parser::{self, Expr as Tree, LabelModifier, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

pub(crate) use scan::variables;

/// What a valid query is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// The variables in it, by name.
    pub(crate) variables: Vec<String>,
    /// The metrics and the labels that are asked of each.
    pub(crate) used: Vec<Used>,
    /// Labels that series are grouped by or matched on.
    pub(crate) grouped: Vec<String>,
    /// Whether labels are made on the way (`label_replace` and such).
    pub(crate) makes_labels: bool,
}

/// A metric in a query.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Used {
    /// Its name, or nothing when the query asks for series of any name.
    pub(crate) name: Option<String>,
    /// The labels that are matched.
    pub(crate) labels: Vec<String>,
}

/// Reads a query.
pub(crate) fn parse(query: &str) -> Result<Parsed, String> {
    let scanned = scan::replace(query);
    let tree = parser::parse(&scanned.query)?;
    let mut seen = Seen(Parsed { variables: scanned.variables, ..Parsed::default() });
    let Ok(_) = walk_expr(&mut seen, &tree);
    Ok(seen.0)
}

struct Seen(Parsed);

impl ExprVisitor for Seen {
    type Error = Infallible;

    fn pre_visit(&mut self, tree: &Tree) -> Result<bool, Infallible> {
        match tree {
            Tree::VectorSelector(selector) => self.selector(selector),
            Tree::MatrixSelector(matrix) => self.selector(&matrix.vs),
            Tree::Aggregate(aggregate) => self.grouped(aggregate.modifier.as_ref()),
            Tree::Binary(binary) => self.grouped(binary.modifier.as_ref().and_then(|by| by.matching.as_ref())),
            Tree::Call(call) if call.func.name.starts_with("label_") => self.0.makes_labels = true,
            _ => {}
        }
        Ok(true)
    }
}

impl Seen {
    fn selector(&mut self, selector: &VectorSelector) {
        let labels = selector.matchers.matchers.iter().map(|matcher| matcher.name.clone()).collect();
        self.0.used.push(Used { name: selector.name.clone(), labels });
    }

    fn grouped(&mut self, by: Option<&LabelModifier>) {
        if let Some(LabelModifier::Include(labels) | LabelModifier::Exclude(labels)) = by {
            self.0.grouped.extend(labels.labels.iter().cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_wherever_grafana_allows_them() {
        for query in [
            "rate(a[$__rate_interval])",
            "rate(a[${window}])",
            "a offset $back",
            r#"sum by ($by, x) (a{b=~"$c", d="${e:regex}"})"#,
            "topk($n, $metric{a=\"b\"})",
            "a > [[bound]]",
            "sum_over_time(a[$__range:$__interval])",
            "increase(a[1h]) / $__range_s",
        ] {
            parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        }
        let parsed = parse(r#"rate(a{b="$c"}[$d]) > ${e:raw} + [[f]]"#).unwrap();
        assert_eq!(parsed.variables, ["c", "d", "e", "f"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (query, word) in [
            ("sum(up", "parenthes"),
            ("rate(up)", "expected type matrix"),
            ("up{a=}", "invalid"),
            ("nonsense(up)", "unknown function"),
            ("", "no expression"),
        ] {
            let error = parse(query).unwrap_err();
            assert!(error.contains(word), "{query}: {error}");
        }
    }

    #[test]
    fn metrics_and_labels_are_found() {
        let parsed =
            parse(r#"sum by (le) (rate(a_bucket{b="c"}[5m])) / on (d) label_join({e="f"}, "g", "", "h")"#).unwrap();
        let used =
            |name: Option<&str>, label: &str| Used { name: name.map(str::to_owned), labels: vec![label.to_owned()] };
        assert_eq!(parsed.used, [used(Some("a_bucket"), "b"), used(None, "e")]);
        assert_eq!(parsed.grouped, ["d", "le"]);
        assert!(parsed.makes_labels);
    }
}

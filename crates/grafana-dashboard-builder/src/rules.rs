//! Alert and recording rules of Prometheus.
//!
//! ```
//! use grafana_dashboard_builder::{Expr, Metric};
//! use grafana_dashboard_builder::promql::{rate, sum_by};
//! use grafana_dashboard_builder::rules::{Alert, Explanation, Group, Record, Rules};
//!
//! const ERRORS: Metric = Metric::new("http_errors_total", &["route"]);
//! const ERROR_RATE: Metric = Metric::new("route:http_errors:rate5m", &["route"]);
//!
//! let rules = Rules::new().group(
//!     Group::new("web")
//!         .record(Record::new(ERROR_RATE, sum_by(["route"], rate(ERRORS.over("5m")))))
//!         .alert(
//!             Alert::new(
//!                 "WebErrors",
//!                 Expr::from(ERROR_RATE).above(1.0),
//!                 Explanation {
//!                     summary: "{{ $labels.route }} fails",
//!                     description: "{{ $value | humanize }} errors a second.",
//!                     runbook: "https://example.com/runbooks/web-errors",
//!                 },
//!             )
//!             .lasting("10m")
//!             .label("severity", "page"),
//!         ),
//! );
//! let yaml = rules.to_text()?;
//! assert!(yaml.contains("alert: WebErrors"), "{yaml}");
//! # Ok::<(), grafana_dashboard_builder::Error>(())
//! ```

mod yaml;

use crate::check::Check;
use crate::promql::{Expr, Metric, variables};
use crate::{Catalogue, Error};

/// The rules of one file.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    groups: Vec<Group>,
    catalogue: Option<Catalogue>,
}

/// Rules that are evaluated one after the other.
#[derive(Debug, Clone)]
pub struct Group {
    name: String,
    interval: Option<String>,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
enum Rule {
    Alert(Alert),
    Record(Record),
}

/// A condition that someone should know of.
#[derive(Debug, Clone)]
pub struct Alert {
    name: String,
    condition: Expr,
    lasting: Option<String>,
    labels: Vec<(String, String)>,
    annotations: [(&'static str, String); 3],
}

/// What an alert says to whom it wakes. Prometheus puts in values of labels (`{{ $labels.route }}`) and the value (`{{ $value }}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explanation<'a> {
    /// What is wrong, in a few words.
    pub summary: &'a str,
    /// What it means, with figures.
    pub description: &'a str,
    /// The address of a page that says what to do.
    pub runbook: &'a str,
}

/// An expression that is evaluated all the time and kept as a metric.
#[derive(Debug, Clone)]
pub struct Record {
    metric: Metric,
    is: Expr,
}

impl Rules {
    /// No rules yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a group more.
    #[must_use]
    pub fn group(mut self, group: Group) -> Self {
        self.groups.push(group);
        self
    }

    /// The metrics that there are, beside those that these rules record: a query for any other is an error.
    #[must_use]
    pub fn known(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = Some(catalogue);
        self
    }

    /// The rules as a file for Prometheus, if nothing is wrong with them.
    pub fn to_text(&self) -> Result<String, Error> {
        self.check()?;
        Ok(yaml::text(&self.groups))
    }

    /// All alerts.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.groups.iter().flat_map(|group| &group.rules).filter_map(|rule| match rule {
            Rule::Alert(alert) => Some(alert),
            Rule::Record(_) => None,
        })
    }

    fn check(&self) -> Result<(), Error> {
        let catalogue = self.catalogue.clone().map(|catalogue| catalogue.and(self.recorded().cloned()));
        let mut check = Check::new(catalogue.as_ref());
        for (index, group) in self.groups.iter().enumerate() {
            let place = format!("group `{}`", group.name);
            check.not_empty(&place, "name", &group.name);
            if self.groups[..index].iter().any(|other| other.name == group.name) {
                check.wrong(&place, "there are two of this name");
            }
            duration(&mut check, &place, group.interval.as_deref());
            for rule in &group.rules {
                rule.check(&mut check, &place);
            }
        }
        Error::unless_none(check.finish())
    }

    fn recorded(&self) -> impl Iterator<Item = &Metric> {
        self.groups.iter().flat_map(|group| &group.rules).filter_map(|rule| match rule {
            Rule::Record(record) => Some(&record.metric),
            Rule::Alert(_) => None,
        })
    }
}

impl Group {
    /// A group without rules yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), interval: None, rules: Vec::new() }
    }

    /// How often it's evaluated, such as `30s`, if not as often as Prometheus does it.
    #[must_use]
    pub fn interval(mut self, every: impl Into<String>) -> Self {
        self.interval = Some(every.into());
        self
    }

    /// With an alert more.
    #[must_use]
    pub fn alert(mut self, alert: Alert) -> Self {
        self.rules.push(Rule::Alert(alert));
        self
    }

    /// With a recording rule more. Rules below may use it.
    #[must_use]
    pub fn record(mut self, record: Record) -> Self {
        self.rules.push(Rule::Record(record));
        self
    }
}

impl Alert {
    /// An alert for each series that the condition gives.
    pub fn new(name: impl Into<String>, condition: impl Into<Expr>, explanation: Explanation<'_>) -> Self {
        let Explanation { summary, description, runbook } = explanation;
        let annotations = [("summary", summary), ("description", description), ("runbook_url", runbook)];
        Self {
            name: name.into(),
            condition: condition.into(),
            lasting: None,
            labels: Vec::new(),
            annotations: annotations.map(|(name, text)| (name, text.to_owned())),
        }
    }

    /// How long the condition has to last, such as `5m`.
    #[must_use]
    pub fn lasting(mut self, time: impl Into<String>) -> Self {
        self.lasting = Some(time.into());
        self
    }

    /// With a label more, such as the severity.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says in a few words.
    pub fn summary(&self) -> &str {
        &self.annotations[0].1
    }

    /// The address of its runbook.
    pub fn runbook(&self) -> &str {
        &self.annotations[2].1
    }

    /// The value of a label.
    pub fn label_value(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Record {
    /// Keeps an expression as a metric.
    pub fn new(metric: Metric, is: impl Into<Expr>) -> Self {
        Self { metric, is: is.into() }
    }
}

impl Rule {
    fn check(&self, check: &mut Check<'_>, group: &str) {
        let (place, query) = match self {
            Self::Alert(alert) => (format!("{group}, alert `{}`", alert.name), &alert.condition),
            Self::Record(record) => (format!("{group}, record `{}`", record.metric.name()), &record.is),
        };
        if let Some(variable) = variables(&query.to_string()).first() {
            check.wrong(
                &place,
                format!("`{variable}` is a variable of Grafana's; Prometheus knows none: say `.over(\"5m\")`"),
            );
        } else {
            check.query(&place, query);
        }
        if let Self::Alert(alert) = self {
            check.not_empty(&place, "name", &alert.name);
            duration(check, &place, alert.lasting.as_deref());
            for (what, text) in &alert.annotations {
                check.not_empty(&place, what, text);
            }
        }
    }
}

fn duration(check: &mut Check<'_>, place: &str, duration: Option<&str>) {
    if let Some(duration) = duration
        && promql_parser::util::parse_duration(duration).is_err()
    {
        check.wrong(place, format!("`{duration}` is not a duration, such as `5m`"));
    }
}

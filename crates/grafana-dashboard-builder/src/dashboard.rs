//! Dashboards: what they are made of, and how they become JSON.

use serde_json::{Value, json};

use crate::annotation::Annotation;
use crate::check::Check;
use crate::layout::{COLUMNS, Place, place};
use crate::promql::Expr;
use crate::{Catalogue, DataSource, Error, Link, Row, Variable};

/// The version of Grafana's dashboard format that is written: that of Grafana 12. Older ones read it, newer ones bring it up to
/// date.
pub const SCHEMA_VERSION: u32 = 42;

/// A dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) description: String,
    tags: Vec<String>,
    source: DataSource,
    catalogue: Option<Catalogue>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) annotations: Vec<Annotation>,
    links: Vec<Link>,
    pub(crate) rows: Vec<Row>,
    from: String,
    refresh: String,
}

impl Dashboard {
    /// An empty dashboard. The uid is what addresses of it have in them: at most 40 letters, digits, `-` and `_`.
    pub fn new(uid: impl Into<String>, title: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            uid: uid.into(),
            title: title.into(),
            description: description.into(),
            tags: Vec::new(),
            source: DataSource::default(),
            catalogue: None,
            variables: Vec::new(),
            annotations: Vec::new(),
            links: Vec::new(),
            rows: Vec::new(),
            from: "now-1h".to_owned(),
            refresh: "30s".to_owned(),
        }
    }

    /// With these tags, by which it's found and [linked to](Link::to_tag).
    #[must_use]
    pub fn tags<const N: usize>(mut self, tags: [&str; N]) -> Self {
        self.tags = tags.map(str::to_owned).into();
        self
    }

    /// Where its queries go, if not to what the variable `datasource` holds.
    #[must_use]
    pub fn data_source(mut self, source: DataSource) -> Self {
        self.source = source;
        self
    }

    /// The metrics that there are: a query for any other is an error.
    #[must_use]
    pub fn known(mut self, catalogue: Catalogue) -> Self {
        self.catalogue = Some(catalogue);
        self
    }

    /// With a variable more. They stand in this order, and each may use those before it.
    #[must_use]
    pub fn variable(mut self, variable: Variable) -> Self {
        self.variables.push(variable);
        self
    }

    /// With marks in time.
    #[must_use]
    pub fn annotation(mut self, annotation: Annotation) -> Self {
        self.annotations.push(annotation);
        self
    }

    /// With a link at the top.
    #[must_use]
    pub fn link(mut self, link: Link) -> Self {
        self.links.push(link);
        self
    }

    /// With a row more, below the others.
    #[must_use]
    pub fn row(mut self, row: Row) -> Self {
        self.rows.push(row);
        self
    }

    /// How much time it shows at first, such as `now-6h`, instead of the last hour.
    #[must_use]
    pub fn from(mut self, from: impl Into<String>) -> Self {
        self.from = from.into();
        self
    }

    /// How often it asks anew, such as `1m`, instead of every 30 seconds.
    #[must_use]
    pub fn refresh(mut self, every: impl Into<String>) -> Self {
        self.refresh = every.into();
        self
    }

    /// Its uid.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Its title.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What it's about.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The PromQL of all its panels, and where each stands.
    pub fn queries(&self) -> impl Iterator<Item = (String, &Expr)> {
        let panels = self.rows.iter().flat_map(|row| row.panels.iter().map(move |panel| (row, panel)));
        panels.flat_map(|(row, panel)| crate::check::queries_of(row, panel))
    }

    /// The dashboard as JSON, if nothing is wrong with it. The same dashboard gives the same bytes.
    pub fn build(&self) -> Result<Value, Error> {
        Error::unless_none(Check::new(self.catalogue.as_ref()).dashboard(self))?;
        let mut json = self.json();
        // Other crates may turn on a feature of serde_json that keeps the order in which keys are put in.
        json.sort_all_objects();
        Ok(json)
    }

    /// The same as text, to be written to a file.
    pub fn to_text(&self) -> Result<String, Error> {
        Ok(format!("{:#}\n", self.build()?))
    }

    fn json(&self) -> Value {
        let annotations = self.annotations.iter().map(|annotation| annotation.json(&self.source));
        let annotations: Value = std::iter::once(Annotation::built_in()).chain(annotations).collect();
        json!({
            "uid": self.uid, "title": self.title, "description": self.description, "tags": self.tags,
            "schemaVersion": SCHEMA_VERSION, "editable": true, "graphTooltip": 1, "timezone": "browser", "fiscalYearStartMonth": 0,
            "liveNow": false, "refresh": self.refresh, "time": { "from": self.from, "to": "now" }, "timepicker": {},
            "templating": { "list": self.variables.iter().map(|variable| variable.json(&self.source)).collect::<Value>() },
            "annotations": { "list": annotations },
            "links": self.links.iter().map(Link::json).collect::<Value>(), "panels": self.panels(),
        })
    }

    fn panels(&self) -> Value {
        let (mut panels, mut id, mut top) = (Vec::new(), 0, 0);
        for row in &self.rows {
            id += 1;
            let head = Place { x: 0, y: top, width: COLUMNS, height: 1 };
            let widths: Vec<_> = row.panels.iter().map(|panel| panel.common.width).collect();
            let mut heading = json!({
                "id": id, "type": "row", "title": row.title, "gridPos": head.json(), "collapsed": row.collapsed, "panels": [],
            });
            let (places, height) = place(&widths, top + 1, row.height);
            let below = row.panels.iter().zip(places).map(|(panel, place)| {
                id += 1;
                panel.json(id, place, &self.source)
            });
            let below: Vec<Value> = below.collect();
            if row.collapsed {
                // What is hidden takes no room.
                heading["panels"] = below.into();
                panels.push(heading);
                top += 1;
            } else {
                panels.push(heading);
                panels.extend(below);
                top += 1 + height;
            }
        }
        panels.into()
    }
}

//! Panels: what all have in common is in [`Panel`], what one kind has of its own in its look ([`Lines`], [`Number`], …).

mod any;
mod json;
mod look;

use crate::link::PanelLink;
use crate::promql::Expr;
use crate::{Color, Target, Transformation, Unit};

pub use any::{AnyPanel, Text};
pub use look::{Bars, Buckets, Calculation, Dial, Lines, Log, Number, Rows};

/// Series over time, as lines or areas.
pub type TimeSeries = Panel<Lines>;
/// One number, or a few.
pub type Stat = Panel<Number>;
/// A number on a scale.
pub type Gauge = Panel<Dial>;
/// Numbers as bars.
pub type BarGauge = Panel<Bars>;
/// A row for each series, with its value now.
pub type Table = Panel<Rows>;
/// How often which values are, over time: buckets of a histogram.
pub type Heatmap = Panel<Buckets>;
/// Lines of a log.
pub type Logs = Panel<Log>;

/// A panel that shows data. How it does that is said by its type: [`TimeSeries`], [`Stat`], [`Table`], …
#[derive(Debug, Clone)]
pub struct Panel<L> {
    pub(crate) common: Common,
    pub(crate) look: L,
}

/// What panels of all kinds have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Common {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) unit: Option<Unit>,
    pub(crate) targets: Vec<Target>,
    pub(crate) width: Option<u32>,
    pub(crate) links: Vec<PanelLink>,
    pub(crate) value_links: Vec<PanelLink>,
    pub(crate) thresholds: Vec<(f64, Color)>,
    pub(crate) base: Option<Color>,
    pub(crate) texts: Vec<(f64, String, Color)>,
    pub(crate) range: (Option<f64>, Option<f64>),
    pub(crate) decimals: Option<u8>,
    pub(crate) nothing: Option<String>,
    pub(crate) transformations: Vec<Transformation>,
    pub(crate) overrides: Vec<Override>,
}

/// How a column or a series differs from the others.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Override {
    Unit(String, Unit),
    Color(String, Color),
}

impl<L: Default> Panel<L> {
    /// A panel. The description says what is seen and what to make of it; it's shown beside the title.
    pub fn new(title: impl Into<String>, unit: Unit, description: impl Into<String>) -> Self {
        let common =
            Common { title: title.into(), description: description.into(), unit: Some(unit), ..Common::default() };
        Self { common, look: L::default() }
    }
}

impl<L> Panel<L> {
    /// Shows this, too. `legend` names each series and may use labels, as `{{route}}`; empty, Grafana chooses.
    #[must_use]
    pub fn query(self, query: impl Into<Expr>, legend: impl Into<String>) -> Self {
        self.target(Target::new(query, legend))
    }

    /// Shows this, too.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.common.targets.push(target);
        self
    }

    /// How wide it is, of 24 columns. Without, it shares what is left of its line.
    #[must_use]
    pub fn width(mut self, columns: u32) -> Self {
        self.common.width = Some(columns);
        self
    }

    /// A link beside the title. Variables and `${__url_time_range}` may be in it.
    #[must_use]
    pub fn link(mut self, title: impl Into<String>, url: impl Into<String>) -> Self {
        self.common.links.push(PanelLink { title: title.into(), url: url.into() });
        self
    }

    /// A link from each value. Labels may be in it, as `${__field.labels.route}`, or in tables `${__data.fields.route}`.
    #[must_use]
    pub fn value_link(mut self, title: impl Into<String>, url: impl Into<String>) -> Self {
        self.common.value_links.push(PanelLink { title: title.into(), url: url.into() });
        self
    }

    /// The colour of values from this one up. Below the first one they are green, unless [`Self::base`] says otherwise.
    #[must_use]
    pub fn from(mut self, value: f64, color: Color) -> Self {
        self.common.thresholds.push((value, color));
        self
    }

    /// The colour of values below all others.
    #[must_use]
    pub fn base(mut self, color: Color) -> Self {
        self.common.base = Some(color);
        self
    }

    /// Shows a word in place of a value.
    #[must_use]
    pub fn text(mut self, value: f64, text: impl Into<String>, color: Color) -> Self {
        self.common.texts.push((value, text.into(), color));
        self
    }

    /// The lowest value of its scale.
    #[must_use]
    pub fn min(mut self, min: f64) -> Self {
        self.common.range.0 = Some(min);
        self
    }

    /// The highest value of its scale.
    #[must_use]
    pub fn max(mut self, max: f64) -> Self {
        self.common.range.1 = Some(max);
        self
    }

    /// How many digits come after the point.
    #[must_use]
    pub fn decimals(mut self, decimals: u8) -> Self {
        self.common.decimals = Some(decimals);
        self
    }

    /// What stands there when there is no data, such as `none`.
    #[must_use]
    pub fn nothing(mut self, text: impl Into<String>) -> Self {
        self.common.nothing = Some(text.into());
        self
    }

    /// Changes the data before it is shown. Steps follow each other.
    #[must_use]
    pub fn transform(mut self, transformation: Transformation) -> Self {
        self.common.transformations.push(transformation);
        self
    }

    /// A column or series with another unit.
    #[must_use]
    pub fn unit_of(mut self, name: impl Into<String>, unit: Unit) -> Self {
        self.common.overrides.push(Override::Unit(name.into(), unit));
        self
    }

    /// A series with a colour of its own.
    #[must_use]
    pub fn color_of(mut self, name: impl Into<String>, color: Color) -> Self {
        self.common.overrides.push(Override::Color(name.into(), color));
        self
    }
}

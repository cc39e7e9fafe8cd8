//! What each kind of panel has of its own.

use serde_json::{Value, json};

use super::{Common, Panel};
use crate::target::Shape;

/// How series become one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Calculation {
    /// The last one.
    #[default]
    Last,
    /// The mean of the time that is shown.
    Mean,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// All added up.
    Sum,
}

impl Calculation {
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Last => "lastNotNull",
            Self::Mean => "mean",
            Self::Max => "max",
            Self::Min => "min",
            Self::Sum => "sum",
        }
    }
}

/// Lines over time.
#[derive(Debug, Clone, Default)]
pub struct Lines {
    stacked: bool,
    calculations: Vec<Calculation>,
    logarithmic: bool,
    threshold_lines: bool,
}

/// Numbers in large type.
#[derive(Debug, Clone, Default)]
pub struct Number {
    calculation: Calculation,
    plain: bool,
}

/// A dial.
#[derive(Debug, Clone, Default)]
pub struct Dial {
    calculation: Calculation,
}

/// Horizontal bars.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    calculation: Calculation,
}

/// Rows of a table.
#[derive(Debug, Clone, Default)]
pub struct Rows(());

/// Buckets over time.
#[derive(Debug, Clone, Default)]
pub struct Buckets(());

/// Lines of a log.
#[derive(Debug, Clone)]
pub struct Log(());

#[derive(Debug, Clone)]
pub(crate) enum Look {
    Lines(Lines),
    Number(Number),
    Dial(Dial),
    Bars(Bars),
    Rows(Rows),
    Buckets(Buckets),
    Log(Log),
    Words(String),
}

impl Panel<Lines> {
    /// The series lie on each other, so that their sum is seen.
    #[must_use]
    pub fn stacked(mut self) -> Self {
        self.look.stacked = true;
        self
    }

    /// The legend is a table with these numbers for each series.
    #[must_use]
    pub fn legend<const N: usize>(mut self, calculations: [Calculation; N]) -> Self {
        self.look.calculations = calculations.into();
        self
    }

    /// The scale is logarithmic.
    #[must_use]
    pub fn logarithmic(mut self) -> Self {
        self.look.logarithmic = true;
        self
    }

    /// Thresholds are dashed lines.
    #[must_use]
    pub fn threshold_lines(mut self) -> Self {
        self.look.threshold_lines = true;
        self
    }
}

impl Panel<Number> {
    /// What number it is, instead of the last one.
    #[must_use]
    pub fn calculate(mut self, calculation: Calculation) -> Self {
        self.look.calculation = calculation;
        self
    }

    /// Without the little curve behind it.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.look.plain = true;
        self
    }
}

impl Panel<Dial> {
    /// What number it is, instead of the last one.
    #[must_use]
    pub fn calculate(mut self, calculation: Calculation) -> Self {
        self.look.calculation = calculation;
        self
    }
}

impl Panel<Bars> {
    /// What number it is, instead of the last one.
    #[must_use]
    pub fn calculate(mut self, calculation: Calculation) -> Self {
        self.look.calculation = calculation;
        self
    }
}

impl Panel<Log> {
    /// A panel of log lines. The description says what is seen and what to make of it.
    pub fn new(title: impl Into<String>, description: impl Into<String>) -> Self {
        let common = Common { title: title.into(), description: description.into(), ..Common::default() };
        Self { common, look: Log(()) }
    }
}

impl Look {
    /// What Grafana calls it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Lines(_) => "timeseries",
            Self::Number(_) => "stat",
            Self::Dial(_) => "gauge",
            Self::Bars(_) => "bargauge",
            Self::Rows(_) => "table",
            Self::Buckets(_) => "heatmap",
            Self::Log(_) => "logs",
            Self::Words(_) => "text",
        }
    }

    /// The shape that it takes data in.
    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::Rows(_) => Shape::Values,
            Self::Buckets(_) => Shape::Buckets,
            Self::Log(_) => Shape::Lines,
            _ => Shape::Series,
        }
    }

    /// Whether it shows numbers, which have a unit.
    pub(crate) fn has_unit(&self) -> bool {
        !matches!(self, Self::Log(_) | Self::Words(_))
    }

    /// Whether it shows data, which is explained and asked for.
    pub(crate) fn has_data(&self) -> bool {
        !matches!(self, Self::Words(_))
    }

    /// How what has no colour of its own gets one.
    pub(super) fn color_mode(&self) -> &'static str {
        if matches!(self, Self::Lines(_)) { "palette-classic" } else { "thresholds" }
    }

    /// Its settings.
    pub(super) fn options(&self, common: &Common) -> Value {
        match self {
            Self::Lines(lines) => lines.options(),
            Self::Number(number) => json!({
                "reduceOptions": reduce(number.calculation), "orientation": "auto", "textMode": "auto", "colorMode": "value",
                "graphMode": if number.plain { "none" } else { "area" }, "justifyMode": "auto", "wideLayout": true,
                "showPercentChange": false, "percentChangeColorMode": "standard",
            }),
            Self::Dial(dial) => json!({
                "reduceOptions": reduce(dial.calculation), "orientation": "auto", "showThresholdLabels": false,
                "showThresholdMarkers": true, "sizing": "auto", "minVizWidth": 75, "minVizHeight": 75,
            }),
            Self::Bars(bars) => json!({
                "reduceOptions": reduce(bars.calculation), "orientation": "horizontal", "displayMode": "basic",
                "valueMode": "color",
                "namePlacement": "auto", "showUnfilled": true, "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16,
                "maxVizHeight": 300,
            }),
            Self::Rows(_) => json!({ "showHeader": true, "cellHeight": "sm" }),
            Self::Buckets(_) => buckets(common),
            Self::Log(_) => json!({
                "showTime": true, "showLabels": false, "showCommonLabels": false, "wrapLogMessage": true,
                "prettifyLogMessage": false,
                "enableLogDetails": true, "dedupStrategy": "none", "sortOrder": "Descending",
            }),
            Self::Words(content) => json!({ "mode": "markdown", "content": content }),
        }
    }

    /// Its settings for each field.
    pub(super) fn custom(&self) -> Value {
        match self {
            Self::Lines(lines) => lines.custom(),
            Self::Rows(_) => json!({ "align": "auto", "inspect": false, "cellOptions": { "type": "auto" } }),
            Self::Buckets(_) => json!({ "scaleDistribution": { "type": "linear" } }),
            _ => json!({}),
        }
    }
}

impl Lines {
    fn options(&self) -> Value {
        let table = !self.calculations.is_empty();
        let calculations: Vec<_> = self.calculations.iter().map(|calculation| calculation.id()).collect();
        json!({
            "legend": {
                "displayMode": if table { "table" } else { "list" }, "placement": "bottom", "showLegend": true,
                "calcs": calculations,
            },
            "tooltip": { "mode": "multi", "sort": "desc" },
        })
    }

    fn custom(&self) -> Value {
        let scale = if self.logarithmic { json!({ "type": "log", "log": 10.0 }) } else { json!({ "type": "linear" }) };
        json!({
            "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": if self.stacked { 30 } else { 8 },
            "gradientMode": "none", "showPoints": "never", "spanNulls": false, "scaleDistribution": scale,
            "stacking": { "mode": if self.stacked { "normal" } else { "none" }, "group": "A" },
            "thresholdsStyle": { "mode": if self.threshold_lines { "dashed" } else { "off" } },
        })
    }
}

fn reduce(calculation: Calculation) -> Value {
    json!({ "calcs": [calculation.id()], "fields": "", "values": false })
}

fn buckets(common: &Common) -> Value {
    let unit = common.unit.map(crate::Unit::id);
    json!({
        "calculate": false, "cellGap": 1, "showValue": "never", "filterValues": { "le": 1e-9 }, "rowsFrame": { "layout": "auto" },
        "color": {
            "mode": "scheme", "scheme": "Oranges", "fill": "dark-orange", "scale": "exponential", "exponent": 0.5, "steps": 64,
            "reverse": false,
        },
        "yAxis": { "axisPlacement": "left", "reverse": false, "unit": unit },
        "legend": { "show": true }, "tooltip": { "mode": "single", "yHistogram": true, "showColorScale": false },
        "exemplars": { "color": "rgba(255,0,255,0.7)" },
    })
}

//! Looking for what is wrong with a dashboard.

use crate::promql::{self, Expr, Parsed};
use crate::target::letter;
use crate::{AnyPanel, Catalogue, Dashboard, Problem, Row};

/// The longest uid that Grafana takes.
const LONGEST_UID: usize = 40;

/// The widest panel.
const COLUMNS: u32 = crate::layout::COLUMNS;

/// What is wrong so far.
pub(crate) struct Check<'a> {
    catalogue: Option<&'a Catalogue>,
    /// The variables that may be used, where there are any.
    variables: Vec<&'a str>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(catalogue: Option<&'a Catalogue>) -> Self {
        Self { catalogue, variables: Vec::new(), problems: Vec::new() }
    }

    /// All that is wrong with a dashboard.
    pub(crate) fn dashboard(mut self, dashboard: &'a Dashboard) -> Vec<Problem> {
        let place = format!("dashboard `{}`", dashboard.title);
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if dashboard.uid.is_empty() || dashboard.uid.len() > LONGEST_UID || !dashboard.uid.chars().all(fits) {
            let uid = &dashboard.uid;
            self.wrong(&place, format!("the uid `{uid}` is not 1 to {LONGEST_UID} letters, digits, `-` and `_`"));
        }
        self.not_empty(&place, "title", &dashboard.title);
        self.not_empty(&place, "description", &dashboard.description);
        for variable in &dashboard.variables {
            let place = format!("variable `{}`", variable.name);
            if self.variables.contains(&variable.name.as_str()) {
                self.wrong(&place, "there are two of this name");
            }
            let series = variable.series();
            if let Some(parsed) = series.and_then(|series| self.promql(&place, series))
                && let (Some(catalogue), Some(label)) = (self.catalogue, variable.label_of_series())
            {
                let grouped = Parsed { grouped: vec![label.to_owned()], ..parsed };
                let unknown = catalogue.unknown(&grouped);
                self.problems.extend(unknown.into_iter().map(|what| Problem { place: place.clone(), what }));
            }
            self.variables.push(&variable.name);
        }
        for annotation in &dashboard.annotations {
            self.query(&format!("annotation `{}`", annotation.name), &annotation.query);
        }
        for row in &dashboard.rows {
            self.row(row);
        }
        self.problems
    }

    fn row(&mut self, row: &Row) {
        let place = format!("row `{}`", row.title);
        self.not_empty(&place, "title", &row.title);
        if row.height == 0 {
            self.wrong(&place, "its panels have no height");
        }
        for (index, panel) in row.panels.iter().enumerate() {
            let title = &panel.common.title;
            if row.panels[..index].iter().any(|other| other.common.title == *title) {
                self.wrong(&place, format!("two panels are called `{title}`"));
            }
            self.panel(row, panel);
        }
    }

    fn panel(&mut self, row: &Row, panel: &AnyPanel) {
        let common = &panel.common;
        let place = place_of(row, panel);
        self.not_empty(&place, "title", &common.title);
        if let Some(width) = common.width.filter(|width| !(1..=COLUMNS).contains(width)) {
            self.wrong(&place, format!("a width of {width} is not 1 to {COLUMNS}"));
        }
        if panel.look.has_data() {
            self.not_empty(&place, "description", &common.description);
            if common.targets.is_empty() {
                self.wrong(&place, "it has no query");
            }
        }
        if panel.look.has_unit() && common.unit.is_none() {
            self.wrong(&place, "it has no unit");
        }
        if !common.thresholds.is_sorted_by(|one, next| one.0 < next.0) {
            self.wrong(&place, "its thresholds do not rise");
        }
        let urls = common.links.iter().chain(&common.value_links).map(|link| link.url.as_str());
        for text in [common.title.as_str()].into_iter().chain(urls) {
            self.defined(&place, promql::variables(text));
        }
        for (place, query) in queries_of(row, panel) {
            self.query(&place, query);
        }
    }

    /// What is wrong with one query.
    pub(crate) fn query(&mut self, place: &str, query: &Expr) {
        let Some(parsed) = self.promql(place, &query.to_string()) else { return };
        if let Some(catalogue) = self.catalogue {
            for what in catalogue.unknown(&parsed) {
                self.wrong(place, what);
            }
        }
    }

    fn promql(&mut self, place: &str, query: &str) -> Option<Parsed> {
        match promql::parse(query) {
            Ok(parsed) => {
                self.defined(place, parsed.variables.iter().map(String::as_str));
                Some(parsed)
            }
            Err(error) => {
                self.wrong(place, format!("{} in `{query}`", error.trim()));
                None
            }
        }
    }

    /// Names that begin with `__` are Grafana's own.
    fn defined<'b>(&mut self, place: &str, names: impl IntoIterator<Item = &'b str>) {
        for name in names {
            if !name.starts_with("__") && !self.variables.contains(&name) {
                self.wrong(place, format!("there is no variable `{name}`"));
            }
        }
    }

    pub(crate) fn not_empty(&mut self, place: &str, what: &str, text: &str) {
        if text.trim().is_empty() {
            self.wrong(place, format!("the {what} is empty"));
        }
    }

    pub(crate) fn wrong(&mut self, place: &str, what: impl Into<String>) {
        self.problems.push(Problem { place: place.to_owned(), what: what.into() });
    }

    /// What is wrong so far.
    pub(crate) fn finish(self) -> Vec<Problem> {
        self.problems
    }
}

/// The PromQL of a panel, and where each query stands.
pub(crate) fn queries_of<'a>(row: &'a Row, panel: &'a AnyPanel) -> impl Iterator<Item = (String, &'a Expr)> {
    let place = place_of(row, panel);
    let promql = panel.common.targets.iter().enumerate().filter(|(_, target)| target.is_promql());
    promql.map(move |(index, target)| (format!("{place}, query {}", letter(index)), &target.query))
}

fn place_of(row: &Row, panel: &AnyPanel) -> String {
    format!("row `{}`, panel `{}`", row.title, panel.common.title)
}

//! Panels as Grafana reads them.

use serde_json::{Map, Value, json};

use super::{AnyPanel, Common, Override};
use crate::layout::Place;
use crate::link::PanelLink;
use crate::{Color, DataSource};

impl AnyPanel {
    pub(crate) fn json(&self, id: u32, place: Place, source: &DataSource) -> Value {
        let common = &self.common;
        let mut json = json!({
            "id": id, "type": self.look.kind(), "title": common.title, "gridPos": place.json(),
            "options": self.look.options(common),
        });
        if !self.look.has_data() {
            return json;
        }
        let own = common.targets.iter().find_map(|target| target.source());
        json["description"] = common.description.as_str().into();
        json["datasource"] = own.unwrap_or(source).json();
        json["fieldConfig"] = json!({ "defaults": self.defaults(), "overrides": overrides(&common.overrides) });
        let targets = common.targets.iter().enumerate();
        json["targets"] = targets.map(|(index, target)| target.json(index, self.look.shape(), source)).collect();
        if !common.transformations.is_empty() {
            json["transformations"] = common.transformations.iter().map(super::Transformation::json).collect();
        }
        if !common.links.is_empty() {
            json["links"] = links(&common.links);
        }
        json
    }

    fn defaults(&self) -> Value {
        let common = &self.common;
        let mut defaults = json!({
            "color": { "mode": self.look.color_mode() }, "custom": self.look.custom(), "mappings": mappings(common),
            "thresholds": thresholds(common),
        });
        let optional = [
            ("unit", common.unit.map(|unit| unit.id().into())),
            ("min", common.range.0.map(Value::from)),
            ("max", common.range.1.map(Value::from)),
            ("decimals", common.decimals.map(Value::from)),
            ("noValue", common.nothing.as_deref().map(Value::from)),
            ("links", (!common.value_links.is_empty()).then(|| links(&common.value_links))),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                defaults[name] = value;
            }
        }
        defaults
    }
}

fn links(links: &[PanelLink]) -> Value {
    links.iter().map(PanelLink::json).collect()
}

fn thresholds(common: &Common) -> Value {
    let base = common.base.unwrap_or(if common.thresholds.is_empty() { Color::Plain } else { Color::Green });
    let first = json!({ "value": null, "color": base.name() });
    let others = common.thresholds.iter().map(|(from, color)| json!({ "value": from, "color": color.name() }));
    let steps: Value = std::iter::once(first).chain(others).collect();
    json!({ "mode": "absolute", "steps": steps })
}

fn mappings(common: &Common) -> Value {
    if common.texts.is_empty() {
        return json!([]);
    }
    let option = |(index, (value, text, color)): (usize, &(f64, String, Color))| {
        (value.to_string(), json!({ "text": text, "color": color.name(), "index": index }))
    };
    let options: Map<String, Value> = common.texts.iter().enumerate().map(option).collect();
    json!([{ "type": "value", "options": options }])
}

fn overrides(overrides: &[Override]) -> Value {
    let json = |one: &Override| {
        let (name, id, value) = match one {
            Override::Unit(name, unit) => (name, "unit", unit.id().into()),
            Override::Color(name, color) => (name, "color", json!({ "mode": "fixed", "fixedColor": color.name() })),
        };
        json!({ "matcher": { "id": "byName", "options": name }, "properties": [{ "id": id, "value": value }] })
    };
    overrides.iter().map(json).collect()
}

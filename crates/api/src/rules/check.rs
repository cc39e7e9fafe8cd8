//! The single things that can be asked of a value.

use regex::Regex;
use serde_json::Value;

use super::{format::Format, node::Report};

/// One thing that is asked of a value. A value of another type than it's about passes.
#[derive(Debug)]
pub(super) enum Check {
    /// A JSON type, by the name that schemas have for it.
    Type(String),
    /// These fields are there.
    Required(Vec<String>),
    /// One of these.
    OneOf(Vec<Value>),
    /// A number in this range.
    Range(Option<f64>, Option<f64>),
    /// A list with so many items.
    Items(usize, usize),
    /// A map with at most so many entries.
    Entries(usize),
    /// A text with so many characters, and of a form; the words complete "this is not …".
    Text(usize, usize, Option<(Regex, String)>),
    /// A list whose items differ in these fields; without any, in themselves.
    Distinct(Vec<String>),
    /// Anything else.
    Rule(Rule),
}

/// A rule looks at a value and reports what is wrong with it.
pub(super) type Rule = fn(&Value, &mut Report<'_>);

/// A whole number in this range.
pub(super) fn range(least: i32, greatest: i32) -> Check {
    Check::Range(Some(least.into()), Some(greatest.into()))
}

/// A port.
pub(super) fn port() -> Check {
    range(1, 65535)
}

/// A list whose items differ in one field.
pub(super) fn distinct(field: &str) -> Check {
    Check::Distinct(vec![field.to_owned()])
}

/// A list without repetition.
pub(super) fn set() -> Check {
    Check::Distinct(Vec::new())
}

/// A text of a form.
pub(super) fn text(format: &Format) -> Check {
    let form = Regex::new(format.pattern).expect("every form's pattern is compiled by a test");
    Check::Text(format.least, format.most, Some((form, format.words.to_owned())))
}

/// A text of at most so many characters.
pub(super) fn length(least: usize, most: usize) -> Check {
    Check::Text(least, most, None)
}

impl Check {
    pub(super) fn run(&self, value: &Value, report: &mut Report<'_>) {
        match self {
            Self::Type(name) => kind_of(name, value, report),
            Self::Required(fields) => {
                for field in fields.iter().filter(|field| !has(value, field)) {
                    report.add(field, "is required, and missing");
                }
            }
            Self::OneOf(known) if !known.contains(value) => {
                let known: Vec<_> = known.iter().map(plain).collect();
                report.add("", format!("{value} is not known; use one of {}", known.join(", ")));
            }
            Self::Range(least, greatest) => in_range(*least, *greatest, value, report),
            Self::Items(least, most) => {
                let Value::Array(items) = value else { return };
                _ = count("items", items.len(), *least, *most, report);
            }
            Self::Entries(most) => {
                let Value::Object(entries) = value else { return };
                _ = count("entries", entries.len(), 0, *most, report);
            }
            Self::Text(least, most, form) => {
                let Value::String(text) = value else { return };
                let fits = count("characters", text.chars().count(), *least, *most, report);
                if let Some((_, words)) = form.as_ref().filter(|(form, _)| fits && !form.is_match(text)) {
                    report.add("", format!("{text:?} is not {words}"));
                }
            }
            Self::Distinct(fields) => repeated(fields, value, report),
            Self::Rule(rule) => rule(value, report),
            Self::OneOf(_) => {}
        }
    }
}

fn kind_of(name: &str, value: &Value, report: &mut Report<'_>) {
    let fits = match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "int-or-string" => value.is_string() || value.is_i64() || value.is_u64(),
        _ => true,
    };
    if !fits {
        let article = if name.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
        report.add("", format!("{value} is not {article} {name}"));
    }
}

fn in_range(least: Option<f64>, greatest: Option<f64>, value: &Value, report: &mut Report<'_>) {
    let Some(number) = value.as_f64() else { return };
    if least.is_some_and(|least| number < least) || greatest.is_some_and(|greatest| number > greatest) {
        let wanted = match (least, greatest) {
            (Some(least), Some(greatest)) => format!("between {least} and {greatest}"),
            (Some(least), None) => format!("at least {least}"),
            (_, greatest) => format!("at most {}", greatest.unwrap_or_default()),
        };
        report.add("", format!("{value} is out of range; it must be {wanted}"));
    }
}

/// Whether there are neither too few nor too many.
fn count(what: &str, have: usize, least: usize, most: usize, report: &mut Report<'_>) -> bool {
    if have < least {
        report.add("", format!("has {have} {what}, and needs at least {least}"));
    } else if have > most {
        report.add("", format!("has {have} {what}, and may have at most {most}"));
    }
    (least..=most).contains(&have)
}

fn repeated(fields: &[String], value: &Value, report: &mut Report<'_>) {
    let Value::Array(items) = value else { return };
    let same = |a: &Value, b: &Value| match fields {
        [] => a == b,
        fields => fields.iter().all(|field| a.get(field) == b.get(field)),
    };
    for (index, item) in items.iter().enumerate() {
        if !items[..index].iter().any(|earlier| same(earlier, item)) {
            continue;
        }
        match fields {
            [] => report.add(&format!("[{index}]"), format!("{item} is there already; remove the repetition")),
            fields => {
                let key: Vec<_> = fields.iter().filter_map(|field| item.get(field)).map(plain).collect();
                let message =
                    format!("an item with the {} {:?} is there already; remove one", fields.join("/"), key.join("/"));
                report.add(&format!("[{index}]"), message);
            }
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a field is there. An explicit null is the same as no field.
pub(super) fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|field| !field.is_null())
}

/// The text of a field, empty if there is none.
pub(super) fn text_of<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a field, none if there is none.
pub(super) fn items_of<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

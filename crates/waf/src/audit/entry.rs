//! An entry of the audit log.

use std::collections::BTreeMap;

use coraza::Match;
use kit::redact::MASK;
use serde::{Deserialize, Serialize};

use super::Part;
use super::redact::{Redactor, cut, is_copy, is_name};
use crate::head::Head;
use crate::inspect::Outcome;

/// The most places that are told of a match: a request may have a thousand parameters, and all may match.
const MOST_PLACES: usize = 32;

/// An entry: the shape that `portcullis-waf tune` reads back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// When the request was over, RFC 3339.
    pub time: String,
    /// The request's id.
    pub id: String,
    /// The client's address.
    pub client: String,
    /// The method.
    pub method: String,
    /// The host.
    pub host: String,
    /// Path and query, secret parameters masked.
    pub target: String,
    /// The protocol.
    pub protocol: String,
    /// The route, as the control plane names it.
    pub route: String,
    /// The profile that judged.
    pub profile: String,
    /// What became of it: `pass`, `block`, `detect` or `failure`.
    pub verdict: String,
    /// Why it was refused, or would have been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status with which it was refused, else that of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Anomaly score of the request.
    pub score: i32,
    /// That of the response.
    pub outbound_score: i32,
    /// How long it was here, in milliseconds.
    pub took_ms: f64,
    /// The rules that matched.
    pub rules: Vec<Found>,
    /// Request headers, where they are wanted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Response headers, where they are wanted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub response_headers: BTreeMap<String, String>,
    /// The profile that looked on, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Beside>,
}

/// What a profile that looked on would have done.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beside {
    /// The profile.
    pub profile: String,
    /// Whether it would have refused; `null` where that is unknown.
    pub refuses: Option<bool>,
    /// The rules that matched.
    pub rules: Vec<Found>,
}

/// A rule that matched.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Its number.
    pub rule: u32,
    /// Its severity.
    pub severity: String,
    /// Its message.
    pub message: String,
    /// Its data, masked where something it matched on is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What it matched on, the first 32 of it.
    pub places: Vec<Place>,
}

/// What a rule matched on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// Its name, as rules write it: `ARGS:id`.
    pub name: String,
    /// Its value, masked where it is secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Entry {
    pub(super) fn of(outcome: &Outcome<'_>, parts: &[Part], redactor: &Redactor) -> Self {
        let exchange = outcome.exchange;
        let rules = |matches: &[Match]| -> Vec<Found> {
            matches.iter().map(|found| Found::of(found, parts.contains(&Part::Values), redactor)).collect()
        };
        let headers = |head: Option<&Head>, part: Part| match head {
            Some(head) if parts.contains(&part) => fields(head, redactor),
            _ => BTreeMap::new(),
        };
        let answered = outcome.response.map(Head::status);
        Self {
            time: jiff::Timestamp::try_from(outcome.over).unwrap_or_default().to_string(),
            id: exchange.id.clone(),
            client: exchange.client.0.clone(),
            method: exchange.head.text(":method"),
            host: String::from_utf8_lossy(exchange.head.host()).into_owned(),
            target: redactor.target(&exchange.head.text(":path")),
            protocol: exchange.protocol.clone(),
            route: exchange.route.clone(),
            profile: outcome.plan.name.clone(),
            verdict: outcome.verdict().to_owned(),
            reason: outcome.refused.map(|refused| refused.reason).or(outcome.failed).map(|why| why.name().to_owned()),
            status: outcome.refused.filter(|_| outcome.plan.blocks()).map(|refused| refused.status).or(answered),
            score: outcome.scores.0,
            outbound_score: outcome.scores.1,
            took_ms: (outcome.took.as_secs_f64() * 1e6).round() / 1e3,
            rules: rules(&outcome.matches),
            headers: headers(Some(&exchange.head), Part::RequestHeaders),
            response_headers: headers(outcome.response, Part::ResponseHeaders),
            shadow: outcome.shadow.as_ref().map(|shadow| Beside {
                profile: shadow.plan.name.clone(),
                refuses: shadow.refuses,
                rules: rules(shadow.matches),
            }),
        }
    }
}

impl Found {
    fn of(found: &Match, values: bool, redactor: &Redactor) -> Self {
        let hides = |place: &coraza::Place| {
            // The values of names are names themselves, and what has no name may be anything.
            redactor.hides(&place.variable, &place.key) || !is_name(&place.key)
        };
        let secret = found.places.iter().any(hides);
        let place = |place: &coraza::Place| {
            let hidden = hides(place) || (secret && is_copy(&place.variable));
            let value = || if hidden { MASK.to_owned() } else { cut(&place.value) };
            Place { name: name(place), value: values.then(value) }
        };
        let data = || if secret { MASK.to_owned() } else { cut(&found.data) };
        Self {
            data: (values && !found.data.is_empty()).then(data),
            rule: found.rule,
            severity: found.severity.map_or("", coraza::Severity::name).to_owned(),
            message: found.message.clone(),
            tags: found.tags.clone(),
            places: found.places.iter().take(MOST_PLACES).map(place).collect(),
        }
    }
}

/// Its name, as rules write it. A body that is read as another kind than it is of has all of itself for a name: of what no
/// exclusion could name the length is told.
fn name(place: &coraza::Place) -> String {
    if place.key.is_empty() || is_name(&place.key) {
        return place.to_string();
    }
    format!("{}:({} bytes)", place.variable, place.key.len())
}

fn fields(head: &Head, redactor: &Redactor) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::<String, String>::new();
    for (name, value) in head.fields() {
        let name = String::from_utf8_lossy(name).into_owned();
        let value = redactor.header(&name, value);
        match fields.entry(name) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(value)),
            std::collections::btree_map::Entry::Occupied(mut entry) => *entry.get_mut() += &format!(", {value}"),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Redact;

    fn found(places: &[(&str, &str, &str)]) -> Found {
        let place = |(variable, key, value): &(&str, &str, &str)| coraza::Place {
            variable: (*variable).to_owned(),
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        let found = Match {
            rule: 1,
            severity: None,
            phase: 2,
            disruptive: false,
            file: String::new(),
            line: 0,
            version: String::new(),
            message: String::new(),
            data: "canary".to_owned(),
            tags: Vec::new(),
            places: places.iter().map(place).collect(),
        };
        Found::of(&found, true, &Redactor::new(&Redact::default()))
    }

    #[test]
    fn a_copy_of_a_secret_is_a_secret() {
        let secret = found(&[("ARGS", "password", "canary"), ("MATCHED_VAR", "", "canary"), ("TX", "1", "canary")]);
        assert!(!serde_json::to_string(&secret).unwrap().contains("canary"), "{secret:?}");
        let open = found(&[("ARGS", "a", "b"), ("MATCHED_VAR", "", "b")]);
        assert_eq!((open.data.as_deref(), open.places[1].value.as_deref()), (Some("canary"), Some("b")));
    }

    #[test]
    fn a_body_is_no_name() {
        // Read as a form, it is one parameter without a value.
        let body = r#"{"login":"ann","pin":"4711","q":"<script>"}"#;
        let whole = found(&[("ARGS_NAMES", body, body), ("MATCHED_VAR", "", body)]);
        let text = serde_json::to_string(&whole).unwrap();
        assert!(!text.contains("4711") && !text.contains("canary"), "{text}");
        assert_eq!(whole.places[0].name, format!("ARGS_NAMES:({} bytes)", body.len()));
        let (name, value) = body.split_at(30);
        let half = found(&[("ARGS_POST", name, value)]);
        assert!(!serde_json::to_string(&half).unwrap().contains("4711"), "{half:?}");
        for name in ["id", "json.items.0.name", "user[name]", "X-Odd_Header", "$filter", "ctl00$Main$text"] {
            assert_eq!(found(&[("ARGS", name, "b")]).places[0].name, format!("ARGS:{name}"));
        }
        assert_eq!(found(&[("ARGS_NAMES", "ann:4711", "ann:4711")]).places[0].name, "ARGS_NAMES:(8 bytes)");
        assert_eq!(found(&[("REQUEST_FILENAME", "", "/a")]).places[0].name, "REQUEST_FILENAME");
    }

    #[test]
    fn an_entry_is_bounded() {
        let long = "k".repeat(100_000);
        let found = found(&vec![("ARGS", long.as_str(), long.as_str()); 1000]);
        assert_eq!(found.places.len(), MOST_PLACES);
        assert!(serde_json::to_string(&found).unwrap().len() < MOST_PLACES * 1200);
    }
}

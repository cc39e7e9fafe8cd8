//! The status of every resource as it stands now: reports of translation, Envoy's word, and times.

use std::sync::Arc;

use api::ObjectRef;
use immutable_chunkmap::map::MapS;
use serde_json::{Value, json};
use translate::{Changed, Report, Reports};

/// What is said of every resource that has a status. A copy costs nothing.
pub type Statuses = MapS<Arc<ObjectRef>, Arc<Said>>;

/// The status of one resource. Most are never looked at, so it is kept as text: as a tree it would take five times the
/// memory.
#[derive(Debug)]
pub struct Said {
    report: Arc<Report>,
    programmed: Programmed,
    json: Box<str>,
}

impl Said {
    fn is_same(&self, report: &Arc<Report>, programmed: &Programmed) -> bool {
        (Arc::ptr_eq(&self.report, report) || self.report == *report) && self.programmed == *programmed
    }

    /// The `status` field.
    pub fn status(&self) -> Value {
        serde_json::from_str(&self.json).expect("it was written by us")
    }
}

/// The resources of which not the same is said in both, in order. Walks along both: what is the same in memory costs the
/// comparison of two pointers.
pub fn differences(before: &Statuses, now: &Statuses) -> Vec<Arc<ObjectRef>> {
    let mut different = Vec::new();
    let mut known = before.into_iter().peekable();
    for (reference, said) in now {
        while let Some((gone, _)) = known.next_if(|(before, _)| !Arc::ptr_eq(before, reference) && *before < reference)
        {
            different.push(Arc::clone(gone));
        }
        let before = known.next_if(|(before, _)| Arc::ptr_eq(before, reference) || *before == reference);
        if !before.is_some_and(|(_, before)| Arc::ptr_eq(before, said)) {
            different.push(Arc::clone(reference));
        }
    }
    different.extend(known.map(|(gone, _)| Arc::clone(gone)));
    different
}

/// Whether what a report says is in force in Envoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Programmed {
    /// Every Envoy has acknowledged it.
    Yes,
    /// Not yet: why.
    Pending(String),
    /// Envoy does not take it: its words.
    Refused(String),
}

/// Keeps the status of every resource.
#[derive(Debug)]
pub struct StatusBook {
    controller: String,
    statuses: Arc<Statuses>,
}

impl StatusBook {
    /// Nothing is said yet. `controller` is the name that statuses of routes and policies bear.
    pub fn new(controller: impl Into<String>) -> Self {
        Self { controller: controller.into(), statuses: Arc::default() }
    }

    /// The statuses as they stand.
    pub fn statuses(&self) -> &Arc<Statuses> {
        &self.statuses
    }

    /// Takes new reports, of which these are to be looked at. Conditions that did not change keep their time, the others
    /// get `now` (RFC 3339). True when anything changed.
    pub fn update(
        &mut self,
        reports: &Reports,
        changed: &Changed,
        programmed: impl Fn(&ObjectRef, &Report) -> Programmed,
        now: &str,
    ) -> bool {
        let mut statuses = (*self.statuses).clone();
        let mut any = false;
        let mut look = |reference: &Arc<ObjectRef>| {
            let before = self.statuses.get(reference);
            let Some(report) = reports.get(reference) else {
                any |= statuses.remove_cow(reference).is_some();
                return;
            };
            let programmed = programmed(reference, report);
            if !before.is_some_and(|before| before.is_same(report, &programmed)) {
                let said = self.say(report, programmed, before.map(AsRef::as_ref), now);
                statuses.insert_cow(Arc::clone(reference), said);
                any = true;
            }
        };
        match changed {
            Changed::Some(changed) => changed.iter().for_each(look),
            Changed::All => {
                reports.into_iter().for_each(|(reference, _)| look(reference));
                let gone = self.statuses.into_iter().map(|(reference, _)| reference);
                gone.filter(|reference| reports.get(*reference).is_none()).for_each(look);
            }
        }
        if any {
            self.statuses = Arc::new(statuses);
        }
        any
    }

    fn say(&self, report: &Arc<Report>, programmed: Programmed, before: Option<&Said>, now: &str) -> Arc<Said> {
        let mut status = report.to_json(&self.controller);
        say_programmed(&mut status, &programmed);
        keep_times(before.map(Said::status).as_ref(), &mut status, now);
        Arc::new(Said { report: Arc::clone(report), programmed, json: status.to_string().into() })
    }
}

/// Translation says `Programmed` as it will be once Envoy has accepted: until then it does not hold.
fn say_programmed(status: &mut Value, programmed: &Programmed) {
    let (reason, message) = match programmed {
        Programmed::Yes => return,
        Programmed::Pending(why) => ("Pending", why),
        Programmed::Refused(why) => ("Invalid", why),
    };
    let listeners = status["listeners"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut parts = vec![status.take()];
    parts.extend(listeners);
    for condition in parts.iter_mut().filter_map(|part| part.get_mut("conditions")?.as_array_mut()).flatten() {
        if condition["type"] == "Programmed" && condition["status"] == "True" {
            condition["status"] = json!("False");
            condition["reason"] = json!(reason);
            condition["message"] = json!(message);
        }
    }
    let mut parts = parts.into_iter();
    *status = parts.next().unwrap_or_default();
    if status.get("listeners").is_some() {
        status["listeners"] = parts.collect();
    }
}

/// Gives each condition its time: that of the same condition before, if its status did not change; else its own, or `now`.
pub(crate) fn keep_times(old: Option<&Value>, new: &mut Value, now: &str) {
    const PARTS: [(&str, &str); 3] = [("listeners", "name"), ("parents", "parentRef"), ("ancestors", "ancestorRef")];
    for condition in new.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let before = old.and_then(|old| find(old, "conditions", "type", &condition["type"]));
        let time =
            before.filter(|before| before["status"] == condition["status"]).map(|before| &before["lastTransitionTime"]);
        let own = condition.get("lastTransitionTime");
        condition["lastTransitionTime"] = time.or(own).cloned().unwrap_or_else(|| json!(now));
    }
    for (list, key) in PARTS {
        for part in new.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let before = old.and_then(|old| find(old, list, key, &part[key]));
            keep_times(before, part, now);
        }
    }
}

/// The item of a list whose `key` is this.
fn find<'a>(value: &'a Value, list: &str, key: &str, wanted: &Value) -> Option<&'a Value> {
    value.get(list)?.as_array()?.iter().find(|item| item[key] == *wanted)
}

#[cfg(test)]
mod tests {
    use translate::report::{Condition, ListenerStatus, Status};

    use super::*;

    fn gateway(generation: i64, accepted: bool, message: &str) -> Reports {
        let conditions = |accepted: bool| {
            let accepted = if accepted {
                Condition::yes("Accepted", "Accepted", message)
            } else {
                Condition::no("Accepted", "Invalid", message)
            };
            vec![accepted, Condition::yes("Programmed", "Programmed", "")]
        };
        let listener = ListenerStatus {
            name: "http".to_owned(),
            attached_routes: 0,
            supported_kinds: Vec::new(),
            conditions: conditions(true),
        };
        let status = Status::Listeners {
            conditions: conditions(accepted),
            listeners: vec![listener],
            attached_listener_sets: None,
            addresses: Vec::new(),
        };
        let report = Report { generation, status, fleet: Some("default/eg".into()) };
        Reports::new().insert(Arc::new(ObjectRef::new("g", "Gateway", "default", "eg")), Arc::new(report)).0
    }

    fn status(book: &StatusBook) -> Value {
        book.statuses().into_iter().next().unwrap().1.status()
    }

    #[test]
    fn a_condition_keeps_its_time_while_it_stays_as_it_is() {
        let mut book = StatusBook::new("c");
        assert!(book.update(&gateway(1, true, "a"), &Changed::All, |_, _| Programmed::Yes, "1"));
        assert!(!book.update(&gateway(1, true, "a"), &Changed::All, |_, _| Programmed::Yes, "2"));
        assert!(book.update(&gateway(2, true, "b"), &Changed::All, |_, _| Programmed::Yes, "3"));
        let condition = status(&book)["conditions"][0].clone();
        assert_eq!((&condition["lastTransitionTime"], &condition["observedGeneration"]), (&json!("1"), &json!(2)));
        assert!(book.update(&gateway(2, false, "b"), &Changed::All, |_, _| Programmed::Yes, "4"));
        assert_eq!(status(&book)["conditions"][0]["lastTransitionTime"], "4");
        assert_eq!(status(&book)["conditions"][1]["lastTransitionTime"], "1");
        assert_eq!(status(&book)["listeners"][0]["conditions"][0]["lastTransitionTime"], "1");
        assert!(book.update(&Reports::new(), &Changed::All, |_, _| Programmed::Yes, "5"));
        assert_eq!(book.statuses().len(), 0);
    }

    #[test]
    fn programmed_waits_for_envoy() {
        let mut book = StatusBook::new("c");
        book.update(&gateway(1, true, ""), &Changed::All, |_, _| Programmed::Pending("wait".to_owned()), "1");
        for part in [status(&book), status(&book)["listeners"][0].clone()] {
            assert_eq!(part["conditions"][0]["status"], "True");
            assert_eq!(
                (&part["conditions"][1]["status"], &part["conditions"][1]["reason"]),
                (&json!("False"), &json!("Pending"))
            );
        }
        book.update(&gateway(1, true, ""), &Changed::All, |_, _| Programmed::Yes, "2");
        let condition = status(&book)["listeners"][0]["conditions"][1].clone();
        assert_eq!((&condition["status"], &condition["lastTransitionTime"]), (&json!("True"), &json!("2")));
    }
}

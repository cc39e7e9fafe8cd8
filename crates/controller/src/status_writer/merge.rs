//! What has to be written so that a status says what is to be said: nothing else, and nothing of others.
//!
//! `parents` of routes and `ancestors` of policies are shared by all controllers, each with entries of its own, and are
//! atomic lists in the CRDs: a server-side apply of our entries would throw out theirs. So the whole list is written, on
//! the condition that nobody wrote since it was read.
//!
//! `conditions` of a Gateway, GatewayClass, ListenerSet or Backend, and of listeners, are one list by type, to which other tools
//! add types of their own: those stay, too. Within our entries of shared lists all is ours: such an entry belongs to the
//! controller that it names.

use serde_json::{Map, Value, json};
use translate::report::Condition;

use crate::status::keep_times;

/// The shared lists, the reference that tells their entries apart, and how many entries the CRDs allow.
const SHARED: [(&str, &str, usize); 2] = [("parents", "parentRef", 32), ("ancestors", "ancestorRef", 16)];

/// How many conditions the CRDs allow in one list.
const MOST_CONDITIONS: usize = 8;

/// The merge patch (RFC 7396) of a status from what it is to what is desired; `None` when it says so already. Without
/// something desired, our entries of shared lists go.
pub(super) fn patch(seen: &Value, desired: Option<Value>, controller: &str) -> Option<Value> {
    let wanted = match desired {
        Some(desired) => complete(seen, desired, controller),
        None => without_ours(seen, controller)?,
    };
    let nothing = Map::new();
    let seen = seen.as_object().unwrap_or(&nothing);
    let mut patch = Map::new();
    for (field, value) in wanted {
        if !seen.get(&field).is_some_and(|seen| is_same(&field, seen, &value)) {
            patch.insert(field, value);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The whole status: what is desired with the times of what stays, others' entries, and null for what is said no more.
fn complete(seen: &Value, mut desired: Value, controller: &str) -> Map<String, Value> {
    for (list, reference, most) in SHARED {
        let Some(ours) = desired.get_mut(list).and_then(Value::as_array_mut) else { continue };
        ours.iter_mut().for_each(|entry| default_reference(&mut entry[reference]));
        let own = json!({list: entries(seen, list, |name| name == controller)});
        let mut now = json!({list: ours});
        keep_times(Some(&own), &mut now, "");
        let mut all = entries(seen, list, |name| name != controller);
        let room = most.saturating_sub(all.len());
        let ours = now[list].as_array_mut().map(std::mem::take).unwrap_or_default();
        all.extend(ours.into_iter().take(room));
        desired[list] = Value::Array(all);
    }
    if SHARED.iter().all(|(list, ..)| desired.get(list).is_none()) {
        keep_times(Some(seen), &mut desired, "");
        keep_conditions(seen, &mut desired);
        for listener in desired.get_mut("listeners").and_then(Value::as_array_mut).into_iter().flatten() {
            let before =
                seen["listeners"].as_array().into_iter().flatten().find(|seen| seen["name"] == listener["name"]);
            keep_conditions(before.unwrap_or(&Value::Null), listener);
        }
    }
    let mut fields = match desired {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for field in seen.as_object().into_iter().flat_map(Map::keys) {
        fields.entry(field.clone()).or_insert(Value::Null);
    }
    fields
}

/// Adds the conditions of others, as many as there is room for.
fn keep_conditions(seen: &Value, desired: &mut Value) {
    let Some(ours) = desired.get_mut("conditions").and_then(Value::as_array_mut) else { return };
    let is_ours = |condition: &Value| condition["type"].as_str().is_some_and(|name| Condition::TYPES.contains(&name));
    let theirs = seen["conditions"].as_array().into_iter().flatten().filter(|condition| !is_ours(condition));
    let room = MOST_CONDITIONS.saturating_sub(ours.len());
    ours.extend(theirs.take(room).cloned());
}

/// The shared lists without our entries; `None` when there are none of ours.
fn without_ours(seen: &Value, controller: &str) -> Option<Map<String, Value>> {
    let with_ours = SHARED.iter().filter(|(list, ..)| !entries(seen, list, |name| name == controller).is_empty());
    let lists = with_ours.map(|(list, ..)| ((*list).to_owned(), entries(seen, list, |name| name != controller).into()));
    let lists: Map<_, _> = lists.collect();
    (!lists.is_empty()).then_some(lists)
}

fn entries(status: &Value, list: &str, whose: impl Fn(&str) -> bool) -> Vec<Value> {
    let entries = status[list].as_array().into_iter().flatten();
    entries.filter(|entry| whose(entry["controllerName"].as_str().unwrap_or_default())).cloned().collect()
}

/// The API server fills in what a reference leaves out.
fn default_reference(reference: &mut Value) {
    for (field, default) in [("group", api::gateway::GROUP), ("kind", "Gateway")] {
        if reference.get(field).is_none_or(Value::is_null) {
            reference[field] = json!(default);
        }
    }
}

/// Whether two values of a field say the same; entries of lists and conditions may stand in any order.
fn is_same(field: &str, seen: &Value, wanted: &Value) -> bool {
    let ordered = |value: &Value| {
        let mut value = value.clone();
        order(&mut value);
        value
    };
    seen == wanted || (field != "addresses" && ordered(seen) == ordered(wanted))
}

fn order(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(order);
            items.sort_by_cached_key(ToString::to_string);
        }
        Value::Object(fields) => fields.values_mut().for_each(order),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "a.example/ours";

    fn condition(status: &str, time: &str) -> Value {
        json!({"type": "Accepted", "status": status, "reason": "Accepted", "message": "", "observedGeneration": 1,
               "lastTransitionTime": time})
    }

    fn parent(controller: &str, name: &str, status: &str, time: &str) -> Value {
        json!({"parentRef": {"group": api::gateway::GROUP, "kind": "Gateway", "name": name}, "controllerName": controller,
               "conditions": [condition(status, time)]})
    }

    #[test]
    fn nothing_is_written_twice() {
        let first = patch(&Value::Null, Some(json!({"parents": [parent(OURS, "eg", "True", "1")]})), OURS).unwrap();
        assert_eq!(first, json!({"parents": [parent(OURS, "eg", "True", "1")]}));
        // After a restart the times are others.
        assert_eq!(patch(&first, Some(json!({"parents": [parent(OURS, "eg", "True", "2")]})), OURS), None);
        // The server has filled in what the reference leaves out.
        let mut short = parent(OURS, "eg", "True", "2");
        short["parentRef"] = json!({"name": "eg"});
        assert_eq!(patch(&first, Some(json!({"parents": [short]})), OURS), None);
        let changed = patch(&first, Some(json!({"parents": [parent(OURS, "eg", "False", "3")]})), OURS).unwrap();
        assert_eq!(changed["parents"][0]["conditions"][0]["lastTransitionTime"], "3");
    }

    #[test]
    fn entries_of_others_stay() {
        let theirs = parent("b.example/theirs", "eg", "False", "0");
        let seen = json!({"parents": [parent(OURS, "old", "True", "1"), theirs]});
        let new = parent(OURS, "eg", "True", "2");
        let wanted = json!({"parents": [theirs, new]});
        assert_eq!(patch(&seen, Some(json!({"parents": [new]})), OURS), Some(wanted.clone()));
        assert_eq!(patch(&wanted, Some(json!({"parents": [wanted["parents"][1]]})), OURS), None);
        // A route that is none of ours any more.
        assert_eq!(patch(&seen, None, OURS), Some(json!({"parents": [theirs]})));
        assert_eq!(patch(&json!({"parents": [theirs]}), None, OURS), None);
    }

    #[test]
    fn the_order_of_entries_does_not_matter() {
        let seen = json!({"parents": [parent(OURS, "a", "True", "1"), parent("x/y", "z", "True", "1"),
            parent(OURS, "b", "True", "1")]});
        let wanted = json!({"parents": [parent(OURS, "b", "True", "2"), parent(OURS, "a", "True", "2")]});
        assert_eq!(patch(&seen, Some(wanted), OURS), None);
    }

    #[test]
    fn lists_stay_as_long_as_the_crds_allow() {
        let theirs: Vec<_> =
            (0..15).map(|n| json!({"ancestorRef": {"name": n.to_string()}, "controllerName": "x/y"})).collect();
        let ours: Vec<_> =
            (0..3).map(|n| json!({"ancestorRef": {"name": n.to_string()}, "controllerName": OURS})).collect();
        let patch = patch(&json!({"ancestors": theirs}), Some(json!({"ancestors": ours})), OURS).unwrap();
        assert_eq!(patch["ancestors"].as_array().unwrap().len(), 16);
    }

    fn told(name: &str, status: &str, time: &str) -> Value {
        let mut told = condition(status, time);
        told["type"] = json!(name);
        told
    }

    #[test]
    fn conditions_of_others_stay_on_the_whole_and_on_each_listener() {
        let theirs = told("kuadrant.io/AuthPolicyAffected", "True", "0");
        let listener = |name: &str, conditions: Value| json!({"name": name, "conditions": conditions});
        let seen = json!({
            "conditions": [theirs, told("Accepted", "True", "1"), told("ResolvedRefs", "False", "1")],
            "listeners": [listener("a", json!([told("Accepted", "True", "1"), theirs])),
                          listener("gone", json!([theirs])), listener("b", json!([told("Accepted", "True", "1")]))],
        });
        let desired = |status: &str| {
            json!({"conditions": [told("Accepted", status, "2")],
                   "listeners": [listener("b", json!([told("Accepted", "True", "2")])),
                                 listener("a", json!([told("Accepted", status, "2")]))]})
        };
        let written = patch(&seen, Some(desired("True")), OURS).unwrap();
        // What is ours and said no more goes, and so does what anybody says of a listener that is gone.
        assert_eq!(
            written,
            json!({
                "conditions": [told("Accepted", "True", "1"), theirs],
                "listeners": [listener("b", json!([told("Accepted", "True", "1")])),
                              listener("a", json!([told("Accepted", "True", "1"), theirs]))],
            })
        );
        assert_eq!(patch(&written, Some(desired("True")), OURS), None, "and nobody writes for ever");
        let changed = patch(&written, Some(desired("False")), OURS).unwrap();
        assert_eq!(changed["conditions"], json!([told("Accepted", "False", "2"), theirs]));
        assert_eq!(changed["listeners"][1]["conditions"], json!([told("Accepted", "False", "2"), theirs]));
    }

    #[test]
    fn conditions_are_as_many_as_the_crds_allow_and_ours_come_first() {
        let theirs = (0..7).map(|n| told(&format!("x.example/{n}"), "True", "0"));
        let seen = json!({"conditions": theirs.collect::<Vec<_>>()});
        let ours = ["Accepted", "Programmed"].map(|name| told(name, "True", "1"));
        let written = patch(&seen, Some(json!({"conditions": ours})), OURS).unwrap();
        let names: Vec<_> = written["conditions"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
        assert_eq!(
            names,
            [
                "Accepted",
                "Programmed",
                "x.example/0",
                "x.example/1",
                "x.example/2",
                "x.example/3",
                "x.example/4",
                "x.example/5"
            ]
        );
        assert_eq!(patch(&written, Some(json!({"conditions": ours})), OURS), None);
    }

    #[test]
    fn our_entries_of_shared_lists_are_ours_alone() {
        let ours = parent(OURS, "eg", "True", "1");
        let mut seen = ours.clone();
        seen["conditions"].as_array_mut().unwrap().push(told("x.example/y", "True", "0"));
        let written = patch(&json!({"parents": [seen]}), Some(json!({"parents": [ours]})), OURS);
        assert_eq!(written, Some(json!({"parents": [ours]})));
    }

    #[test]
    fn only_what_differs_is_written_and_what_is_said_no_more_goes() {
        let seen = json!({"conditions": [condition("True", "1")], "addresses": [{"type": "IPAddress", "value": "1.2.3.4"}],
            "listeners": []});
        let desired = json!({"conditions": [condition("True", "2")], "listeners": [{"name": "http"}]});
        assert_eq!(
            patch(&seen, Some(desired), OURS),
            Some(json!({"addresses": null, "listeners": [{"name": "http"}]}))
        );
    }
}

//! Where in a resource that stands which a condition speaks of. Conditions have no paths: the part of the resource that has
//! the condition is one hint, and a reference that the message names is the other.

use serde_json::Value;

/// The path of the reference that a message names, or else of the part that it is said of.
pub(super) fn of(resource: &Value, part: &str, message: &str) -> Option<String> {
    let own = resource["metadata"]["namespace"].as_str().unwrap_or(api::parse::DEFAULT_NAMESPACE);
    let part = part_path(resource, part);
    let start = part.as_deref().filter(|path| path.starts_with("spec.listeners")).unwrap_or("spec");
    let named = at(resource, start).and_then(|value| reference(value, start, own, message));
    named.or(part)
}

/// The path of a listener by its name, or of the parent that a route names.
fn part_path(resource: &Value, part: &str) -> Option<String> {
    let (kind, name) = part.split_once(' ')?;
    let (list, name, section) = match kind {
        "listener" => ("listeners", name, None),
        "parent" => {
            let (name, section) = name.split_once('/').map_or((name, None), |(name, section)| (name, Some(section)));
            ("parentRefs", name, section)
        }
        _ => return None,
    };
    let fits = |item: &Value| item["name"] == name && section.is_none_or(|section| item["sectionName"] == section);
    let index = resource["spec"][list].as_array()?.iter().position(fits)?;
    Some(format!("spec.{list}[{index}]"))
}

fn at<'a>(resource: &'a Value, path: &str) -> Option<&'a Value> {
    resource.pointer(&format!("/{}", path.replace(['.', '['], "/").replace(']', "")))
}

/// The first reference below a path whose `namespace/name` the message names.
fn reference(value: &Value, path: &str, own: &str, message: &str) -> Option<String> {
    match value {
        Value::Object(fields) => {
            let is_reference = path.trim_end_matches(|c: char| c.is_ascii_digit() || "[]".contains(c));
            let is_reference = is_reference.ends_with("Ref") || is_reference.ends_with("Refs");
            if let (true, Some(name)) = (is_reference, fields.get("name").and_then(Value::as_str)) {
                let namespace = fields.get("namespace").and_then(Value::as_str).unwrap_or(own);
                if names(message, &format!("{namespace}/{name}")) {
                    return Some(path.to_owned());
                }
            }
            fields.iter().find_map(|(key, value)| reference(value, &format!("{path}.{key}"), own, message))
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| reference(item, &format!("{path}[{index}]"), own, message))
        }
        _ => None,
    }
}

/// Whether a text has a name as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || "-./".contains(c);
    text.match_indices(name).any(|(begin, _)| {
        let (before, after) = (&text[..begin], &text[begin + name.len()..]);
        !before.ends_with(part_of_name) && !after.starts_with(part_of_name)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_reference_that_a_message_names_is_found() {
        let route = json!({"metadata": {"namespace": "a"}, "spec": {
            "parentRefs": [{"name": "eg"}, {"name": "eg", "sectionName": "http"}],
            "rules": [{"backendRefs": [{"name": "web"}, {"name": "web", "namespace": "b"}, {"name": "web-2"}]}],
        }});
        let place = |message: &str| of(&route, "parent eg/http", message);
        assert_eq!(place("Service b/web does not exist").as_deref(), Some("spec.rules[0].backendRefs[1]"));
        assert_eq!(place("Service a/web-2 does not exist").as_deref(), Some("spec.rules[0].backendRefs[2]"));
        assert_eq!(place("no listener takes it").as_deref(), Some("spec.parentRefs[1]"));
    }

    #[test]
    fn a_listener_is_found_and_what_it_names() {
        let gateway = json!({"metadata": {}, "spec": {"listeners": [
            {"name": "one", "tls": {"certificateRefs": [{"name": "cert"}]}},
            {"name": "two", "tls": {"certificateRefs": [{"name": "good"}, {"name": "cert"}]}},
        ]}});
        let place = |message: &str| of(&gateway, "listener two", message);
        assert_eq!(place("Secret default/cert is gone").as_deref(), Some("spec.listeners[1].tls.certificateRefs[1]"));
        assert_eq!(place("is not valid").as_deref(), Some("spec.listeners[1]"));
        assert_eq!(of(&gateway, "", "is not valid"), None);
    }
}

//! What a user sees for each kind of mistake.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Sample {
    #[serde(default)]
    name: String,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    mode: Option<Mode>,
    #[serde(default)]
    patch: serde_json::Value,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Port {
    number: u16,
}

#[derive(Debug, Deserialize, PartialEq)]
enum Mode {
    Fast,
    Slow(u32),
    Timed { seconds: f64 },
}

fn error(text: &str) -> String {
    parse::<Sample>("a.yaml", text).unwrap_err().to_string()
}

#[test]
fn a_good_file_is_read() {
    let text = "name: x\nports:\n- number: 80\n- {number: 443}\nlabels: {a.b/c: d}\nmode: Fast\n";
    let sample: Sample = parse("a.yaml", text).unwrap();
    assert_eq!(sample.ports, [Port { number: 80 }, Port { number: 443 }]);
    assert_eq!(sample.mode, Some(Mode::Fast));
    assert_eq!(sample.labels["a.b/c"], "d");
    let json: Sample = parse("a.json", r#"{"mode": {"Timed": {"seconds": 2}}}"#).unwrap();
    assert_eq!(json.mode, Some(Mode::Timed { seconds: 2.0 }));
    assert_eq!(parse::<Sample>("a.yaml", "mode: {Slow: 3}").unwrap().mode, Some(Mode::Slow(3)));
}

#[test]
fn an_empty_file_has_all_defaults() {
    assert_eq!(parse::<Sample>("a.yaml", "# nothing\n").unwrap().name, "");
}

#[test]
fn an_unknown_field_names_place_and_what_is_allowed() {
    assert_eq!(
        error("name: x\nports:\n- number: 80\n  nmae: http\n"),
        "a.yaml:4:3: ports[0].nmae: unknown field `nmae`, allowed: number"
    );
}

#[test]
fn a_wrong_type_names_the_field() {
    assert_eq!(
        error("ports:\n- number: eighty\n"),
        "a.yaml:2:11: ports[0].number: invalid type: string \"eighty\", expected u16"
    );
    assert_eq!(
        error("ports:\n- number: 70000\n"),
        "a.yaml:2:11: ports[0].number: invalid value: integer `70000`, expected u16"
    );
    assert_eq!(error("name: 8080\n"), "a.yaml:1:7: name: invalid type: integer `8080`, expected a string");
}

#[test]
fn a_text_that_its_type_refuses_names_the_field() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Times {
        #[serde(rename = "all", deserialize_with = "crate::duration::deserialize")]
        _all: std::time::Duration,
    }
    let error = parse::<Vec<Times>>("a.yaml", "- all: 1s\n- all: soon\n").unwrap_err().to_string();
    assert!(error.starts_with("a.yaml:2:8: [1].all: `soon` is not a duration, allowed: "), "{error}");
}

#[test]
fn a_missing_field_is_placed_at_its_parent() {
    assert_eq!(error("name: x\nports: [{}]\n"), "a.yaml:2:9: ports[0]: missing field `number`");
}

#[test]
fn a_wrong_enum_value_lists_the_values() {
    assert_eq!(error("mode: Quick\n"), "a.yaml:1:7: mode: unknown value `Quick`, allowed: Fast, Slow, Timed");
    assert_eq!(error("mode: 3\n"), "a.yaml:1:7: mode: wrong value, allowed: Fast, Slow, Timed");
}

#[test]
fn a_duplicate_key_is_an_error() {
    let message = error("name: x\nmode: Fast\nname: y\n");
    assert!(message.starts_with("a.yaml:3:1: "), "{message}");
    assert!(message.contains("duplicate") && message.contains("name"), "{message}");
}

#[test]
fn null_counts_as_absent_but_stays_in_free_form_json() {
    let sample: Sample =
        parse("a.yaml", "name: null\nports: ~\nlabels: {a: null}\nmode:\npatch: {value: null}\n").unwrap();
    assert_eq!((sample.name.as_str(), sample.ports.len(), sample.labels.len()), ("", 0, 0));
    assert_eq!(sample.patch, serde_json::json!({"value": null}));
    assert_eq!(error("ports: [{number: null}]\n"), "a.yaml:1:9: ports[0]: missing field `number`");
}

#[test]
fn text_that_is_not_yaml_names_the_line() {
    let message = error("name: x\nports: [1, 2\nmode: Fast\n");
    assert!(message.starts_with("a.yaml:3:"), "{message}");
}

#[test]
fn a_second_document_is_refused_where_one_is_expected() {
    assert!(error("name: x\n---\nname: y\n").starts_with("a.yaml:2:1: a second document"));
}

#[test]
fn a_broken_document_leaves_the_others() {
    let found = documents("a.yaml", "name: x\n---\nname: [\n---\nname: z\nbad: 1\n");
    assert_eq!(found.len(), 3);
    let broken = found[1].as_ref().unwrap_err();
    assert!((3..=4).contains(&broken.at.unwrap().line), "{broken}");
    let last = found[2].as_ref().unwrap();
    assert_eq!(last.line(), 5);
    assert_eq!(last.read::<Sample>().unwrap_err().at, Some(Position { line: 6, column: 1 }));
    assert_eq!(last.to_json(), serde_json::json!({"name": "z", "bad": 1}));
}

#[test]
fn unknown_fields_of_a_lenient_type_are_collected() {
    #[derive(Debug, Deserialize)]
    struct Lenient {
        spec: Inner,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        a: u8,
    }
    let document = single("a.yaml", "kind: X\nspec:\n  a: 1\n  b: {c: 2}\n").unwrap();
    let (value, unknown) = document.read::<Lenient>().unwrap();
    assert_eq!(value.spec.a, 1);
    let shown: Vec<_> = unknown.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["a.yaml:1:1: kind: unknown field", "a.yaml:4:3: spec.b: unknown field"]);
    assert!(parse::<Lenient>("a.yaml", "spec: {a: 1, b: 2}").is_err());
}

#[test]
fn a_finding_about_a_missing_field_is_placed_at_the_nearest_one() {
    let document = single("a.yaml", "spec:\n  rules:\n  - a: 1\n  - b: 2\n").unwrap();
    assert_eq!(document.position("spec.rules[1].b"), Position { line: 4, column: 5 });
    assert_eq!(
        document.finding("spec.rules[1].zzz", "is needed").to_string(),
        "a.yaml:4:5: spec.rules[1].zzz: is needed"
    );
    assert_eq!(document.position("spec.other[9]"), Position { line: 1, column: 1 });
}

#[test]
fn bombs_are_refused() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let item = format!("*a{}", level - 1);
        aliases += &format!("a{level}: &a{level} [{}]\n", [item.as_str(); 10].join(", "));
    }
    assert!(single("bomb.yaml", &aliases).is_err());
    assert!(single("deep.yaml", &"[".repeat(10_000)).is_err());
}

#[test]
fn a_missing_file_is_named() {
    let error = load::<Sample>(Path::new("/nonexistent/a.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /nonexistent/a.yaml: "), "{error}");
}

proptest::proptest! {
    #[test]
    fn json_reads_as_itself(text in "[ -~]{0,20}", number: i64, flag: bool) {
        let json = serde_json::json!({"text": text, "number": number, "list": [flag, null_or(flag)]});
        let document = single("a.json", &json.to_string()).unwrap();
        proptest::prop_assert_eq!(document.to_json(), json);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}|[-a:\\[\\]{}&*!|>#%\n ]{0,60}") {
        for document in documents("a.yaml", &text).into_iter().flatten() {
            let _ = document.read::<Sample>();
        }
    }
}

fn null_or(flag: bool) -> serde_json::Value {
    if flag { serde_json::Value::Null } else { flag.into() }
}

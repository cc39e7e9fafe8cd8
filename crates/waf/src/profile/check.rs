//! Whether the values of a profile are what they must be. Several of them become SecLang, so none may hold what ends a string
//! there.

use std::sync::LazyLock;

use regex::Regex;

use super::spec::{Body, Spec};

fn expression(text: &str) -> Regex {
    Regex::new(text).expect("the expression is valid")
}

static NAME: LazyLock<Regex> = LazyLock::new(|| expression("^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$"));
static PARAMETER: LazyLock<Regex> =
    LazyLock::new(|| expression(r"^[A-Z_]+(:[A-Za-z0-9_.\[\]-]+|:/[A-Za-z0-9_.\[\]()*+?^$|\\-]+/)?$"));
static PATH: LazyLock<Regex> = LazyLock::new(|| expression("^(/[A-Za-z0-9._~/-]*)?$"));
static TAG: LazyLock<Regex> = LazyLock::new(|| expression("^[A-Za-z0-9_./-]+$"));
static CONTENT_TYPE: LazyLock<Regex> = LazyLock::new(|| expression(r"^(\*/\*|\+[a-z0-9]+|[a-z0-9.+-]+/[a-z0-9.+-]+)$"));

/// The largest body that may be looked at: the engine holds all of it in memory.
const MOST: u64 = 64 << 20;

/// What is wrong: fields, and what is allowed.
pub(super) fn wrong_values(spec: &Spec) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    let mut add = |field: &str, what: String| wrong.push((field.to_owned(), what));
    if !NAME.is_match(&spec.name) {
        add("name", format!("`{}` is no name, allowed: small letters, digits, - and .", spec.name));
    }
    let core = &spec.core_rules;
    let versions = coraza::versions().1;
    let known = |version: &String| ["none", "files"].contains(&version.as_str()) || versions.contains(version);
    if let Some(version) = core.version.as_ref().filter(|version| !known(version)) {
        add("coreRules.version", format!("`{version}` is not inside, allowed: {}, none, files", versions.join(", ")));
    }
    for (field, level) in [("paranoia", core.paranoia), ("detectParanoia", core.detect_paranoia)] {
        if level.is_some_and(|level| !(1..=4).contains(&level)) {
            add(&format!("coreRules.{field}"), "allowed: 1 to 4".to_owned());
        }
    }
    for (field, threshold) in
        [("inboundThreshold", core.inbound_threshold), ("outboundThreshold", core.outbound_threshold)]
    {
        if threshold == Some(0) {
            add(&format!("coreRules.{field}"), "0 would refuse everything, allowed: 1 and more".to_owned());
        }
    }
    body("requestBody", &spec.request_body, &mut add);
    body("response.body", &spec.response.body, &mut add);
    for (index, exclusion) in spec.exclusions.iter().enumerate() {
        let field = |name: &str| format!("exclusions[{index}].{name}");
        for parameter in exclusion.parameters.iter().filter(|text| !PARAMETER.is_match(text)) {
            add(
                &field("parameters"),
                format!("`{parameter}` is none, allowed: as ARGS:comment or ARGS:/^item[0-9]+$/"),
            );
        }
        if !PATH.is_match(&exclusion.path) || exclusion.path.contains("..") {
            add(&field("path"), "allowed: a path that begins with /, of letters, digits and . _ ~ - /".to_owned());
        }
        for tag in exclusion.tags.iter().filter(|tag| !TAG.is_match(tag)) {
            add(&field("tags"), format!("`{tag}` is no tag"));
        }
        if exclusion.rules.is_empty() && exclusion.tags.is_empty() {
            add(&field("rules"), "needs rules or tags".to_owned());
        }
    }
    wrong
}

fn body(field: &str, body: &Body, add: &mut impl FnMut(&str, String)) {
    if body.limit.is_some_and(|limit| limit == 0 || limit > MOST) {
        add(&format!("{field}.limit"), format!("allowed: 1 to {MOST}"));
    }
    for kind in body.content_types.iter().flatten().filter(|kind| !CONTENT_TYPE.is_match(kind)) {
        add(&format!("{field}.contentTypes"), format!("`{kind}` is none, allowed: as text/html or +json"));
    }
}

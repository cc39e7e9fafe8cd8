//! Request and response headers: set, added and removed, by a rule and by a backendRef.

use anyhow::Result;

use crate::scene::{Scene, http_route};

/// One filter for each path; each path's backendRef has the same filter.
fn routes(kind: &str, field: &str) -> String {
    let changes = [
        ("set", "set: [{name: X-Header-Set, value: set-overwrites}]"),
        ("add", "add: [{name: X-Header-Add, value: add-appends}]"),
        ("remove", "remove: [X-Header-Remove]"),
        (
            "all",
            "set: [{name: X-Header-Set-1, value: one}, {name: x-header-set-2, value: two}], \
             add: [{name: X-Header-Add-1, value: one}, {name: X-Header-Add-2, value: two}], \
             remove: [X-Header-Remove-1, x-header-remove-2]",
        ),
    ];
    let rules = changes.map(|(path, change)| {
        let filters = format!("filters: [{{type: {kind}, {field}: {{{change}}}}}]");
        format!(
            "
  - matches: [{{path: {{type: PathPrefix, value: /rule/{path}}}}}]
    {filters}
    backendRefs: [{{name: a, port: 80}}]
  - matches: [{{path: {{type: PathPrefix, value: /ref/{path}}}}}]
    backendRefs: [{{name: a, port: 80, {filters}}}]"
        )
    });
    http_route("r", &format!("rules:{}", rules.concat()))
}

/// Header lines there, and what becomes of the header after a change.
const CHANGES: [(&str, &str, &str, &[&str]); 12] = [
    ("set", "", "x-header-set", &["set-overwrites"]),
    ("set", "X-Header-Set: there", "x-header-set", &["set-overwrites"]),
    ("set", "Other: there", "other", &["there"]),
    ("add", "", "x-header-add", &["add-appends"]),
    ("add", "X-Header-Add: there", "x-header-add", &["there", "add-appends"]),
    ("remove", "X-Header-Remove: there", "x-header-remove", &[]),
    ("remove", "Other: there", "other", &["there"]),
    ("all", "X-Header-Set-1: there", "x-header-set-1", &["one"]),
    ("all", "", "x-header-set-2", &["two"]),
    ("all", "X-Header-Add-1: there", "x-header-add-1", &["there", "one"]),
    ("all", "", "x-header-add-2", &["two"]),
    ("all", "X-Header-Remove-2: there", "x-header-remove-2", &[]),
];

/// Several lines of a header, and one line with commas, are the same.
fn values<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    lines.iter().flat_map(|line| line.split(',')).map(str::trim).collect()
}

async fn request_headers(by: &str) -> Result<()> {
    let scene = Scene::start(&["a"], &routes("RequestHeaderModifier", "requestHeaderModifier")).await?;
    for (path, there, name, wanted) in CHANGES {
        let mut request = scene.get(&format!("h/{by}/{path}"));
        if let Some((name, value)) = there.split_once(": ") {
            request = request.header(name, value);
        }
        let seen = scene.seen(request).await?;
        assert_eq!(values(&seen.all(name)), wanted, "{path} {there}: {seen:?}");
    }
    Ok(())
}

async fn response_headers(by: &str) -> Result<()> {
    let scene = Scene::start(&["a"], &routes("ResponseHeaderModifier", "responseHeaderModifier")).await?;
    for (path, there, name, wanted) in CHANGES {
        let request = scene.get(&format!("h/{by}/{path}")).header("x-echo-set-header", there);
        let answer = request.send().await?;
        assert_eq!(values(&answer.all(name)), wanted, "{path} {there}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_request_header_modifier() -> Result<()> {
    request_headers("rule").await
}

#[tokio::test]
async fn http_route_backend_request_header_modifier() -> Result<()> {
    request_headers("ref").await
}

#[tokio::test]
async fn http_route_response_header_modifier() -> Result<()> {
    response_headers("rule").await
}

#[tokio::test]
async fn http_route_backend_response_header_modifier() -> Result<()> {
    response_headers("ref").await
}

#[tokio::test]
async fn http_route_request_header_modifier_backend_weights() -> Result<()> {
    let reference = |name: &str, weight: u32| {
        let filter = format!(
            "{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: backend, value: {name}}}]}}}}"
        );
        format!("{{name: {name}, port: 80, weight: {weight}, filters: [{filter}]}}")
    };
    let references = [reference("a", 1), reference("b", 1), reference("c", 0)].join(", ");
    let scene =
        Scene::start(&["a", "b", "c"], &http_route("r", &format!("rules: [{{backendRefs: [{references}]}}]"))).await?;
    for _ in 0..40 {
        let seen = scene.seen(scene.get("h/")).await?;
        assert_eq!(seen.header("backend"), Some(seen.pod.as_str()));
    }
    assert!(scene.backend("a").count() > 0 && scene.backend("b").count() > 0);
    assert_eq!(scene.backend("c").count(), 0);
    Ok(())
}

#[tokio::test]
async fn http_route_header_modifiers_of_rule_and_backend_ref_together() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-rule, value: rule}]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: y-rule, value: rule}]}}
    backendRefs:
    - name: a
      port: 80
      filters:
      - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-ref, value: ref}]}}
      - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: y-ref, value: ref}]}}",
    );
    let scene = Scene::start(&["a"], &route).await?;
    let answer = scene.ask("h/").await?;
    let seen = answer.echoed()?;
    assert_eq!((seen.header("x-rule"), seen.header("x-ref")), (Some("rule"), Some("ref")));
    assert_eq!((answer.header("y-rule"), answer.header("y-ref")), (Some("rule"), Some("ref")));
    Ok(())
}

#[tokio::test]
async fn a_header_value_is_itself_whatever_envoy_s_own_formats_make_of_it() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-percent, value: '100% %REQ(:path)% %%'}]}
    backendRefs: [{name: a, port: 80}]",
    );
    let scene = Scene::start(&["a"], &route).await?;
    assert_eq!(scene.seen(scene.get("h/")).await?.header("x-percent"), Some("100% %REQ(:path)% %%"));
    Ok(())
}

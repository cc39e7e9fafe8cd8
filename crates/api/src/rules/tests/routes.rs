use super::*;

/// An HTTPRoute that uses most of its fields.
pub(super) fn http() -> Value {
    json!({
        "parentRefs": [{"name": "g", "sectionName": "a"}, {"name": "g", "sectionName": "b"}, {"name": "h"}],
        "hostnames": ["a.example", "*.b.example"],
        "rules": [
            {
                "name": "one",
                "matches": [{"path": {"value": "/a/%20b"}, "headers": [{"name": "X-A", "value": "a b"}],
                    "queryParams": [{"name": "q", "value": "1"}], "method": "GET"}],
                "filters": [
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "a", "value": "b"}],
                     "remove": ["c"]}},
                    {"type": "URLRewrite", "urlRewrite": {"hostname": "a", "path": {"type": "ReplacePrefixMatch",
                     "replacePrefixMatch": "/x"}}},
                    {"type": "CORS", "cors": {"allowOrigins": ["https://*.a.example"], "allowMethods": ["GET"],
                     "allowHeaders": ["A"]}},
                    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1},
                     "fraction": {"numerator": 1}}},
                    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}, "percent": 5}},
                    {"type": "ExternalAuth", "externalAuth": {"protocol": "HTTP", "backendRef": {"name": "m", "port": 1},
                     "http": {"path": "/a"}}},
                    {"type": "ExtensionRef", "extensionRef": {"group": "g", "kind": "K", "name": "n"}},
                ],
                "backendRefs": [{"name": "s", "port": 80, "weight": 3, "filters": [
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "a", "value": "b"}]}}]}],
                "timeouts": {"request": "10s", "backendRequest": "2s"},
                "retry": {"codes": [500, 503], "attempts": 2, "backoff": "100ms"},
                "sessionPersistence": {"type": "Cookie", "absoluteTimeout": "1h", "cookieConfig": {"lifetimeType": "Permanent"}},
            },
            {
                "matches": [{"path": {"type": "RegularExpression", "value": "[/]//"}}, {"path": {"type": "Exact", "value": "/"}}],
                "filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "a", "port": 1,
                "path": {"type": "ReplaceFullPath", "replaceFullPath": "/"}}}],
            },
        ],
    })
}

fn parent_cases() -> Vec<Case> {
    vec![
        ("spec.parentRefs", named(&json!({}), 33), "=", "at most 32"),
        ("spec.parentRefs[1]", json!({"name": "g", "sectionName": "a"}), "=", "repeats"),
        ("spec.parentRefs[1].sectionName", json!(null), "spec.parentRefs[1]", "on all references"),
        ("spec.parentRefs[2].port", json!(0), "=", "between 1"),
        ("spec.parentRefs[2].name", json!(""), "=", "at least 1"),
        ("spec.parentRefs[2].namespace", json!("A"), "=", "DNS label"),
        ("spec.parentRefs[2].sectionName", json!("A"), "=", "DNS name"),
    ]
}

#[test]
fn http_routes() {
    let mut cases = parent_cases();
    cases.extend([
        ("spec.hostnames[0]", json!("A"), "=", "a host"),
        ("spec.hostnames", many(&json!("a"), 17), "=", "at most 16"),
        ("spec.rules", json!([]), "=", "at least 1"),
        ("spec.rules", many(&json!({}), 17), "=", "at most 16"),
        ("spec.rules", many(&json!({"matches": many(&json!({}), 43)}), 3), "=", "129 matches"),
        ("spec.rules[1].name", json!("one"), "=", "an earlier rule"),
        ("spec.rules[1].name", json!("A"), "=", "DNS name"),
        ("spec.rules[1].backendRefs", json!([{"name": "s", "port": 1}]), "=", "redirects"),
        ("spec.rules[0].backendRefs[0].port", json!(null), "=", "needs it"),
        ("spec.rules[0].backendRefs[0].port", json!(0), "=", "between 1"),
        ("spec.rules[0].backendRefs[0].weight", json!(-1), "=", "between 0"),
        (
            "spec.rules[0].timeouts.request",
            json!("1s"),
            "spec.rules[0].timeouts.backendRequest",
            "longer than `request`",
        ),
        ("spec.rules[0].timeouts.request", json!("1d"), "=", "a duration"),
        ("spec.rules[0].timeouts.backendRequest", json!("10000000s"), "=", "a duration"),
        ("spec.rules[0].retry.codes[0]", json!(200), "=", "between 400 and 599"),
        ("spec.rules[0].retry.codes[0]", json!(503), "spec.rules[0].retry.codes[1]", "remove the repetition"),
        ("spec.rules[0].retry.attempts", json!(0), "=", "at least 1"),
        ("spec.rules[0].retry.backoff", json!("1"), "=", "a duration"),
    ]);
    table("HTTPRoute", http(), &cases);
    let mut unlimited = document("HTTPRoute", http());
    put(&mut unlimited, "spec.rules[0].timeouts.request", json!("0s"));
    assert_eq!(check(&unlimited, Kind::find(crate::gateway::GROUP, "HTTPRoute").unwrap()), []);
}

#[test]
fn session_persistence() {
    let path = "spec.rules[0].sessionPersistence";
    table(
        "HTTPRoute",
        http(),
        &[
            ("spec.rules[0].sessionPersistence.absoluteTimeout", json!(null), "=", "needs an end"),
            (
                "spec.rules[0].sessionPersistence.type",
                json!("Header"),
                "spec.rules[0].sessionPersistence.cookieConfig",
                "type: Cookie",
            ),
            (
                path,
                json!({"sessionName": "x".repeat(129)}),
                "spec.rules[0].sessionPersistence.sessionName",
                "at most 128",
            ),
            (path, json!({"absoluteTimeout": "x"}), "spec.rules[0].sessionPersistence.absoluteTimeout", "a duration"),
        ],
    );
}

#[test]
fn matches_of_http() {
    let path = "spec.rules[0].matches[0].path.value";
    let wrong = |value: &str, words| (path, json!(value), path, words);
    table(
        "HTTPRoute",
        http(),
        &[
            wrong("a", "begin with '/'"),
            wrong("", "begin with '/'"),
            wrong("/a//b", "contain \"//\""),
            wrong("/a/./b", "contain \"/./\""),
            wrong("/a/../b", "contain \"/../\""),
            wrong("/a%2fb", "contain \"%2f\""),
            wrong("/a%2Fb", "contain \"%2F\""),
            wrong("/a#b", "contain \"#\""),
            wrong("/a/..", "end with \"/..\""),
            wrong("/a/.", "end with \"/.\""),
            wrong("/a b", "path of a URL"),
            wrong("/a%2", "path of a URL"),
            (path, json!(format!("/{}", "x".repeat(1024))), path, "at most 1024"),
            ("spec.rules[0].matches[0].headers[0].name", json!("a b"), "=", "name of a header"),
            ("spec.rules[0].matches[0].headers[0].value", json!(" a"), "=", "value of a header"),
            (
                "spec.rules[0].matches[0].headers[1]",
                json!({"name": "X-A", "value": "b"}),
                "=",
                "\"X-A\" is there already",
            ),
            ("spec.rules[0].matches[0].headers", named(&json!({"value": "b"}), 17), "=", "at most 16"),
            ("spec.rules[0].matches[0].queryParams[0].value", json!(""), "=", "at least 1"),
            ("spec.rules[0].matches[0].queryParams[1]", json!({"name": "q", "value": "b"}), "=", "is there already"),
            ("spec.rules[1].matches", many(&json!({"path": {"value": "/"}}), 65), "=", "at most 64"),
        ],
    );
}

#[test]
fn filters() {
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0].filters[0].requestHeaderModifier",
        &[
            ("set[1]", json!({"name": "a", "value": "c"}), "=", "is there already"),
            ("set[0].name", json!(""), "=", "at least 1"),
            ("set[0].value", json!("a  b"), "=", "single spaces"),
            ("remove[1]", json!("c"), "=", "repetition"),
        ],
    );
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0].backendRefs[0]",
        &[
            ("filters[1]", json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": {}}), "=", "already"),
            ("filters", many(&json!({"type": "ExtensionRef", "extensionRef": {}}), 17), "=", "at most 16"),
        ],
    );
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0]",
        &[
            ("filters[0].cors", json!({}), "=", "does not belong"),
            ("filters[6].extensionRef", json!(null), "=", "is missing"),
            ("filters[6].extensionRef.kind", json!(""), "=", "at least 1"),
            (
                "filters[7]",
                json!({"type": "RequestHeaderModifier", "requestHeaderModifier": {}}),
                "=",
                "RequestHeaderModifier already",
            ),
            ("filters[7]", json!({"type": "CORS", "cors": {}}), "=", "CORS already"),
            ("filters[7]", json!({"type": "URLRewrite", "urlRewrite": {}}), "=", "URLRewrite already"),
        ],
    );
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[1]",
        &[
            ("filters[1]", json!({"type": "RequestRedirect", "requestRedirect": {}}), "=", "RequestRedirect already"),
            ("filters[1]", json!({"type": "URLRewrite", "urlRewrite": {}}), "=", "redirected"),
        ],
    );
}

#[test]
fn cors_mirrors_and_authorization() {
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0].filters[2].cors",
        &[
            ("allowOrigins[1]", json!("*"), "allowOrigins", "stands for all"),
            ("allowMethods[1]", json!("*"), "allowMethods", "stands for all"),
            ("allowHeaders[1]", json!("*"), "allowHeaders", "stands for all"),
            ("allowOrigins[0]", json!("a.example"), "=", "an origin"),
            ("exposeHeaders", json!(["a b"]), "exposeHeaders[0]", "name of a header"),
            ("maxAge", json!(0), "=", "at least 1"),
        ],
    );
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0].filters[3].requestMirror",
        &[
            ("percent", json!(1), "", "not both"),
            ("fraction.numerator", json!(101), "=", "100 unless set"),
            ("fraction", json!({"numerator": 0, "denominator": 0}), "fraction.denominator", "at least 1"),
        ],
    );
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0].filters[4].requestMirror",
        &[("percent", json!(101), "=", "between 0 and 100"), ("backendRef.port", json!(null), "=", "needs it")],
    );
    table_at(
        "HTTPRoute",
        http(),
        "spec.rules[0].filters[5].externalAuth",
        &[
            ("http", json!(null), "=", "is missing"),
            ("grpc", json!({}), "=", "`protocol: GRPC` only"),
            ("http.path", json!("?"), "=", "path of a URL"),
            ("http.allowedHeaders", json!(["a", "a"]), "http.allowedHeaders[1]", "repetition"),
        ],
    );
}

#[test]
fn rewrites_and_redirects() {
    let rewrite = "spec.rules[0].filters[1].urlRewrite.path";
    table(
        "HTTPRoute",
        http(),
        &[
            ("spec.rules[0].filters[1].urlRewrite.path.replacePrefixMatch", json!(null), "=", "is missing"),
            ("spec.rules[0].filters[1].urlRewrite.path.replaceFullPath", json!("/"), "=", "ReplaceFullPath` only"),
            ("spec.rules[0].filters[1].urlRewrite.hostname", json!("*.a"), "=", "DNS name"),
            ("spec.rules[0].matches[0].path.type", json!("Exact"), rewrite, "PathPrefix"),
            ("spec.rules[0].matches[1]", json!({}), rewrite, "exactly one match"),
            (
                "spec.rules[1].filters[0].requestRedirect.path",
                json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}),
                "=",
                "exactly one match",
            ),
            ("spec.rules[1].filters[0].requestRedirect.port", json!(65536), "=", "between 1"),
            ("spec.rules[1].filters[0].requestRedirect.hostname", json!("*"), "=", "DNS name"),
        ],
    );
}

#[test]
fn grpc_routes() {
    let spec = json!({
        "parentRefs": [{"name": "g", "sectionName": "a"}, {"name": "g", "sectionName": "b"}, {"name": "h"}],
        "rules": [{
            "matches": [{"method": {"service": "a.b.C", "method": "D"}, "headers": [{"name": "a", "value": " b"}]}],
            "filters": [{"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}}}],
            "backendRefs": [{"name": "s", "port": 1}],
        }],
    });
    let mut cases = parent_cases();
    cases.extend([
        ("spec.rules", many(&json!({}), 17), "=", "at most 16"),
        ("spec.rules[0].matches[0].method", json!({}), "=", "at least one"),
        ("spec.rules[0].matches[0].method.service", json!("a/b"), "=", "gRPC service"),
        ("spec.rules[0].matches[0].method.method", json!("1"), "=", "gRPC method"),
        ("spec.rules[0].matches[0].headers[0].value", json!(""), "=", "at least 1"),
        ("spec.rules[0].filters[0].requestMirror", json!(null), "=", "is missing"),
        ("spec.rules[0].backendRefs[0].port", json!(null), "=", "needs it"),
    ]);
    table("GRPCRoute", spec, &cases);
}

#[test]
fn transport_routes() {
    let mut cases = parent_cases();
    cases.extend([
        ("spec.rules", json!([]), "=", "at least 1"),
        ("spec.rules[1]", json!({"backendRefs": [{"name": "s", "port": 1}]}), "spec.rules", "at most 1"),
        ("spec.rules[0].backendRefs", json!([]), "=", "at least 1"),
        ("spec.rules[0].backendRefs[0].port", json!(null), "=", "needs it"),
    ]);
    let spec = json!({
        "parentRefs": [{"name": "g", "sectionName": "a"}, {"name": "g", "sectionName": "b"}, {"name": "h"}],
        "rules": [{"backendRefs": [{"name": "s", "port": 1}]}],
    });
    table("TCPRoute", spec.clone(), &cases);
    table("UDPRoute", spec.clone(), &cases);
    let mut spec = spec;
    spec["hostnames"] = json!(["a.example", "*.b.example"]);
    cases.extend([
        ("spec.hostnames", json!(null), "=", "is required"),
        ("spec.hostnames", json!([]), "=", "at least 1"),
        ("spec.hostnames[0]", json!("192.0.2.1"), "=", "is an address"),
        ("spec.hostnames[0]", json!("a.*"), "=", "a host"),
    ]);
    table("TLSRoute", spec, &cases);
}

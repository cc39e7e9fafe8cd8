//! The HTTP filter chain and what routes say to it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use envoy::type_url;
use ir::{
    Features, Forward, Route, Secret, SecretMaterial,
    api::{
        ObjectRef,
        gateway::{CookieLifetime, Cors},
    },
    features::{Counting, CountingAlgorithm, CredentialInjection, ExtAuth, ExtAuthService, ExtProc, GlobalRateLimit},
    route::{Session, SessionKind},
};
use serde_json::{Value, json};

use crate::testing::{accepted, cluster, forward, http_route, json, prefix, simple, to};

fn policy(kind: &str) -> ObjectRef {
    ObjectRef::new("gateway.envoyproxy.io", kind, "default", "p")
}

fn with(name: &str, features: Features) -> Route {
    Route { features: Arc::new(features), ..to(name, prefix(&format!("/{name}")), forward("c")) }
}

/// The HTTP filters and the routes' configuration of them.
fn filters(routes: Vec<Route>) -> (Value, Value) {
    let mut gateway = simple(routes, vec![cluster("c"), cluster("service")]);
    gateway.rate_limit_service = Some("service".into());
    let secret = Secret {
        name: "credential".into(),
        material: SecretMaterial::Value(Arc::from(b"Basic dXNlcjpwYXNz".as_slice())),
        source: ObjectRef::new("", "Secret", "default", "credential"),
    };
    Arc::make_mut(&mut gateway.secrets).insert("credential".into(), Arc::new(secret));
    let lowered = accepted(&gateway);
    let mut listener = json(&lowered, type_url::LISTENER, "tcp-80");
    let mut filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"].take();
    // The router is in every case the same.
    assert_eq!(filters.as_array_mut().unwrap().pop().unwrap()["name"], "envoy.filters.http.router");
    let mut table = json(&lowered, type_url::ROUTE, "http-80");
    let routes = table["virtual_hosts"][0]["routes"].as_array_mut().unwrap();
    let of_routes = routes.iter_mut().map(|route| route["typed_per_filter_config"].take()).collect();
    (filters, of_routes)
}

fn grpc_auth() -> ExtAuth {
    ExtAuth {
        source: policy("SecurityPolicy"),
        service: ExtAuthService::Grpc { cluster: "service".into(), authority: "auth.default".to_owned() },
        request_headers: vec!["cookie".to_owned()],
        body_bytes: Some(8192),
        fail_open: false,
        timeout: Duration::from_secs(10),
        recompute_route: true,
        status_on_error: Some(503),
        include_route_metadata: true,
        context: BTreeMap::from([("tenant".to_owned(), "a".to_owned())]),
    }
}

#[test]
fn authorization() {
    let http = ExtAuth {
        source: http_route("r"),
        service: ExtAuthService::Http {
            cluster: "service".into(),
            authority: "auth.default".to_owned(),
            path: "/check".to_owned(),
            path_override: None,
            response_headers: Some(vec!["x-user".to_owned()]),
        },
        body_bytes: None,
        recompute_route: false,
        status_on_error: None,
        include_route_metadata: false,
        fail_open: true,
        context: BTreeMap::new(),
        ..grpc_auth()
    };
    let feature = |auth: ExtAuth| Features { ext_auth: Some(Arc::new(auth)), ..Features::default() };
    let mut of_rule = with("http", feature(http));
    of_rule.source = Arc::new(ir::Source { route: http_route("r"), ..(*of_rule.source).clone() });
    let routes = vec![with("grpc", feature(grpc_auth())), with("again", feature(grpc_auth())), of_rule];
    let (filters, routes) = filters(routes);
    insta::assert_yaml_snapshot!("authorization_filters", filters);
    insta::assert_yaml_snapshot!("authorization_routes", routes);
}

#[test]
fn external_processing() {
    let processor = |index: usize, settings: Value| {
        let processor = ExtProc {
            source: policy("EnvoyExtensionPolicy"),
            index,
            cluster: "service".into(),
            authority: "waf.default".to_owned(),
            settings: serde_json::from_value(settings).unwrap(),
        };
        Arc::new(processor)
    };
    let full = json!({
        "messageTimeout": "1s", "failOpen": true, "statusOnError": 503,
        "processingMode": {
            "request": {"body": "Buffered", "attributes": ["request.path"]},
            "response": {"body": "Streamed"}, "allowModeOverride": true},
        "metadata": {"accessibleNamespaces": ["a"], "writableNamespaces": ["b"]}});
    let duplex = json!({"processingMode": {"request": {"body": "FullDuplexStreamed"}}});
    let shadow = json!({"shadowMode": true, "processingMode": {"request": {}}});
    let ext_proc = vec![processor(0, full), processor(1, duplex), processor(10, shadow)];
    let (filters, routes) = filters(vec![with("r", Features { ext_proc, ..Features::default() })]);
    insta::assert_yaml_snapshot!("external_processing_filters", filters);
    insta::assert_yaml_snapshot!("external_processing_routes", routes);
}

#[test]
fn cross_origin() {
    let cors: Cors = serde_json::from_value(json!({
        "allowOrigins": ["https://a.example", "https://*.b.example", "*"], "allowMethods": ["GET", "PUT"],
        "allowHeaders": ["x-a", "x-b"], "exposeHeaders": ["x-c"], "maxAge": 600, "allowCredentials": true}))
    .unwrap();
    let open: Cors = serde_json::from_value(json!({"allowOrigins": ["*"], "allowMethods": ["*"]})).unwrap();
    let feature = |cors: Cors| Features { cors: Some(Arc::new(cors)), ..Features::default() };
    let (filters, routes) = filters(vec![with("r", feature(cors)), with("s", feature(open))]);
    insta::assert_yaml_snapshot!("cross_origin_filters", filters);
    insta::assert_yaml_snapshot!("cross_origin_routes", routes);
}

#[test]
fn credentials_and_sessions() {
    let credential = CredentialInjection {
        source: ObjectRef::new("gateway.envoyproxy.io", "HTTPRouteFilter", "default", "f"),
        header: "Authorization".to_owned(),
        overwrite: true,
        secret: "credential".into(),
    };
    let session = |name: &str, kind| {
        let session = Session { name: name.to_owned(), kind };
        to(name, prefix(&format!("/{name}")), Forward { session: Some(session), ..forward("c") })
    };
    let cookie = |ttl, lifetime| SessionKind::Cookie { path: "/a".to_owned(), ttl, lifetime };
    let hour = Some(Duration::from_secs(3600));
    let (filters, routes) = filters(vec![
        with("credential", Features { credential: Some(Arc::new(credential)), ..Features::default() }),
        session("permanent", cookie(hour, Some(CookieLifetime::Permanent))),
        session("browser", cookie(hour, Some(CookieLifetime::Session))),
        session("header", SessionKind::Header),
    ]);
    insta::assert_yaml_snapshot!("credentials_and_sessions_filters", filters);
    insta::assert_yaml_snapshot!("credentials_and_sessions_routes", routes);
}

pub(super) fn limits() -> GlobalRateLimit {
    let rules = json!([
        {"limit": {"requests": 5, "unit": "Second"}},
        {"limit": {"requests": 100, "unit": "Hour"}, "shared": true, "shadowMode": true, "xRateLimitHeaders": "DraftVersion03",
         "clientSelectors": [{"headers": [{"name": "X-User", "type": "Distinct"}, {"name": "x-plan", "value": "free",
         "invert": true}],
            "methods": [{"value": "GET"}, {"value": "HEAD"}], "path": {"type": "PathPrefix", "value": "/api"}}]},
        {"limit": {"requests": 7, "unit": "Month", "fromMetadata": {"namespace": "n", "key": "limit"}},
         "clientSelectors": [{"sourceCIDR": {"type": "Distinct", "value": "10.0.0.0/8"}, "queryParams": [{"name": "q",
         "value": "x"}]}],
         "cost": {"request": {"from": "Number", "number": 0}, "response": {"from": "Metadata", "metadata": {"namespace": "n",
         "key": "tokens"}}}}]);
    GlobalRateLimit {
        source: policy("BackendTrafficPolicy"),
        domain: "default/eg".into(),
        scope: "httproute/default/r/rule/0".to_owned(),
        rules: serde_json::from_value(rules).unwrap(),
        counting: Counting::default(),
    }
}

#[test]
fn global_limits() {
    let (filters, routes) =
        filters(vec![with("r", Features { rate_limit: Some(Arc::new(limits())), ..Features::default() })]);
    insta::assert_yaml_snapshot!("global_limits_filters", filters);
    insta::assert_yaml_snapshot!("global_limits_routes", routes);
}

#[test]
fn the_service_is_told_the_same_descriptors() {
    let other = GlobalRateLimit { scope: "httproute/default/s/rule/0".to_owned(), ..limits() };
    let feature = |limits| Features { rate_limit: Some(Arc::new(limits)), ..Features::default() };
    let gateway = simple([with("r", feature(limits())), with("s", feature(other))], vec![cluster("c")]);
    let configs = crate::rate_limit_config(&gateway);
    let configs: Vec<Value> = configs.iter().map(|config| envoy::json::of(config).unwrap()).collect();
    insta::assert_yaml_snapshot!(configs);
}

/// What the messages have no fields for, at the end of a descriptor and at the values that requests bring.
#[test]
fn the_service_is_told_how_to_count() {
    let counting = Counting { algorithm: CountingAlgorithm::TokenBucket(Some(9)), hash_values: true };
    let mut limits = GlobalRateLimit { counting, ..limits() };
    limits.rules.truncate(2);
    limits.rules[0].limit.requests = 0;
    let feature = Features { rate_limit: Some(Arc::new(limits)), ..Features::default() };
    let configs = crate::rate_limit_config(&simple([with("r", feature)], vec![cluster("c")]));
    let config = envoy::json::of(&configs[0]).unwrap();
    let mut found = Vec::new();
    extensions(&config, &mut found);
    assert_eq!(
        found,
        [
            json!(["header/x-user", {"algorithm": "token_bucket", "burst": 9.0, "hash_value": true}]),
            // A bucket that never fills again has no size.
            json!(["rule", {"algorithm": "token_bucket"}]),
        ]
    );
}

/// All extensions below a node, by the keys of descriptors.
fn extensions(node: &Value, into: &mut Vec<Value>) {
    into.extend(node.get("metadata").map(|metadata| json!([node["key"], metadata["portcullis.dev/ratelimit"]])));
    let children = node["descriptors"].as_array().into_iter().flatten();
    children.for_each(|child| extensions(child, into));
}

#[test]
fn calls_are_counted_where_there_are_grpc_routes() {
    let mut route = to("g", prefix(""), forward("c"));
    route.source = Arc::new(ir::Source { kind: ir::api::RouteKind::Grpc, ..(*route.source).clone() });
    let (filters, _) = filters(vec![route]);
    let names: Vec<_> = filters.as_array().unwrap().iter().map(|filter| filter["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["envoy.filters.http.grpc_web", "envoy.filters.http.grpc_stats"]);
}

/// All filters at once: the order, which is the list's.
#[test]
fn the_order_of_the_chain() {
    let cors: Cors = serde_json::from_value(json!({"allowOrigins": ["*"]})).unwrap();
    let settings = serde_json::from_value(json!({})).unwrap();
    let source = policy("EnvoyExtensionPolicy");
    let processor = ExtProc { source, index: 0, cluster: "service".into(), authority: String::new(), settings };
    let credential = CredentialInjection {
        source: policy("HTTPRouteFilter"),
        header: "Authorization".to_owned(),
        overwrite: false,
        secret: "credential".into(),
    };
    let features = Features {
        cors: Some(Arc::new(cors)),
        ext_auth: Some(Arc::new(grpc_auth())),
        ext_proc: vec![Arc::new(processor)],
        rate_limit: Some(Arc::new(limits())),
        credential: Some(Arc::new(credential)),
        ..Features::default()
    };
    let (filters, routes) = filters(vec![with("r", features), with("plain", Features::default())]);
    let names = filters.as_array().unwrap().iter().map(|filter| (filter["name"].clone(), filter["disabled"].clone()));
    insta::assert_yaml_snapshot!(names.collect::<Vec<_>>());
    assert_eq!(routes[1], Value::Null, "a route without features says nothing to any filter");
}

/// A chain and its table name each other, so that no route ever meets a chain without its filters.
#[test]
fn a_table_is_named_after_its_filters() {
    let names = |auth: Option<&str>| {
        let auth = auth.map(|name| {
            let source = ObjectRef { name: name.to_owned(), ..policy("SecurityPolicy") };
            Arc::new(ExtAuth { source, ..grpc_auth() })
        });
        let route = with("r", Features { ext_auth: auth, ..Features::default() });
        let lowered = accepted(&simple([route], vec![cluster("c"), cluster("service")]));
        let listener = json(&lowered, type_url::LISTENER, "tcp-80").to_string();
        let table = lowered.of_type(type_url::ROUTE).unwrap().keys().next().unwrap().to_string();
        assert!(listener.contains(&format!("\"{table}\"")), "{table} {listener}");
        table
    };
    let (none, one, other) = (names(None), names(Some("one")), names(Some("other")));
    assert_eq!(none, "http-80");
    assert!(one.starts_with("http-80~") && other.starts_with("http-80~") && one != other, "{one} {other}");
}

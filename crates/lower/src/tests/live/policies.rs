//! Filters that some routes use.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::Method;
use ir::{
    Features, Route, Secret, SecretMaterial,
    api::{ObjectRef, gateway::Cors},
    features::{CredentialInjection, ExtAuth, ExtAuthService},
};
use serde_json::json;
use testbed::{client::Request, echo::Echo};

use super::Served;
use crate::testing::{cluster, forward, prefix, simple, to};

fn with(route: Route, features: Features) -> Route {
    Route { features: Arc::new(features), ..route }
}

#[tokio::test]
async fn a_filter_is_on_for_the_routes_that_enable_it_and_no_others() {
    let backend = Echo::http().name("b").spawn().await.unwrap();
    let judge = Echo::http().name("j").spawn().await.unwrap();
    judge.answer_with(Some(403));
    let auth = ExtAuth {
        source: ObjectRef::new("gateway.envoyproxy.io", "SecurityPolicy", "default", "p"),
        service: ExtAuthService::Http {
            cluster: "judge".into(),
            authority: "judge".to_owned(),
            path: String::new(),
            path_override: None,
            response_headers: Some(Vec::new()),
        },
        request_headers: Vec::new(),
        body_bytes: None,
        fail_open: false,
        timeout: Duration::from_secs(10),
        recompute_route: false,
        status_on_error: None,
        include_route_metadata: false,
        context: BTreeMap::new(),
    };
    let credential = CredentialInjection {
        source: ObjectRef::new("gateway.envoyproxy.io", "HTTPRouteFilter", "default", "f"),
        header: "Authorization".to_owned(),
        overwrite: true,
        secret: "credential".into(),
    };
    let judged = Features { ext_auth: Some(Arc::new(auth)), ..Features::default() };
    let injected = Features { credential: Some(Arc::new(credential)), ..Features::default() };
    let routes = [
        with(to("judged", prefix("/judged"), forward("c")), judged),
        with(to("injected", prefix("/injected"), forward("c")), injected),
        to("plain", prefix(""), forward("c")),
    ];
    let mut gateway = simple(routes, vec![cluster("c"), cluster("judge")]);
    let secret = Secret {
        name: "credential".into(),
        material: SecretMaterial::Value(Arc::from(b"Basic abc".as_slice())),
        source: ObjectRef::new("", "Secret", "default", "s"),
    };
    Arc::make_mut(&mut gateway.secrets).insert("credential".into(), Arc::new(secret));
    let served = Served::new(&gateway, &[("c", &backend), ("judge", &judge)]).await;
    assert_eq!((served.status("/judged").await, served.status("/plain").await), (403, 200));
    assert_eq!(judge.count(), 1);
    judge.answer_with(None);
    assert_eq!(served.status("/judged").await, 200);
    let authorization = async |path| {
        let answer = served.get("a.example", path).header("authorization", "mine").send().await.unwrap();
        answer.echoed().unwrap().header("authorization").map(str::to_owned)
    };
    assert_eq!(authorization("/injected").await.as_deref(), Some("Basic abc"));
    assert_eq!(authorization("/plain").await.as_deref(), Some("mine"));
}

#[tokio::test]
async fn preflights_are_answered_as_the_gateway_api_says() {
    let backend = Echo::http().spawn().await.unwrap();
    let cors = |settings| {
        let cors: Cors = serde_json::from_value(settings).unwrap();
        Features { cors: Some(Arc::new(cors)), ..Features::default() }
    };
    let routes = [
        with(
            to("some", prefix("/some"), forward("c")),
            cors(json!({
            "allowOrigins": ["https://a.example", "https://*.b.example"], "allowMethods": ["PUT"], "allowHeaders": ["x-a"],
            "maxAge": 60})),
        ),
        with(
            to("any", prefix("/any"), forward("c")),
            cors(json!({
            "allowOrigins": ["*"], "allowMethods": ["*"], "allowHeaders": ["*"], "allowCredentials": true})),
        ),
    ];
    let served = Served::new(&simple(routes, vec![cluster("c")]), &[("c", &backend)]).await;
    let preflight = async |path: &str, origin: &str| {
        let request = Request::new(Method::OPTIONS, &format!("http://a.example{path}")).to(served.address);
        let request = request.header("origin", origin).header("access-control-request-method", "PUT");
        let answer = request.header("access-control-request-headers", "x-b").send().await.unwrap();
        assert_eq!(answer.status.as_u16() / 100, 2, "{path} {origin}");
        ["origin", "methods", "headers", "credentials", "max-age"].map(|name| {
            let name = if name == "max-age" {
                "access-control-max-age".to_owned()
            } else {
                format!("access-control-allow-{name}")
            };
            answer.header(&name).unwrap_or("-").to_owned()
        })
    };
    assert_eq!(preflight("/some", "https://a.example").await, ["https://a.example", "PUT", "x-a", "-", "60"]);
    assert_eq!(preflight("/some", "https://x.y.b.example").await[0], "https://x.y.b.example");
    for origin in ["https://b.example", "http://a.example", "https://evil.example/.b.example", "https://a.example.evil"]
    {
        assert_eq!(preflight("/some", origin).await[0], "-", "{origin}");
    }
    let any = preflight("/any", "https://x.example").await;
    assert_eq!((any[0].as_str(), any[3].as_str()), ("https://x.example", "true"));
    assert!(any[1].contains("PUT") && any[2] == "x-b", "{any:?}");
    assert_eq!(backend.count(), 0);
}

//! Cross-origin requests (the fetch standard's CORS): preflights are answered, other answers get headers.

use anyhow::Result;
use http::Method;
use testbed::client::Response;

use crate::scene::{Scene, http_route};

fn cors(path: &str, fields: &str) -> String {
    format!(
        "
  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{{type: CORS, cors: {{{fields}}}}}]
    backendRefs: [{{name: a, port: 80}}]"
    )
}

async fn scene() -> Result<Scene> {
    let rules = [
        cors(
            "/some",
            "allowOrigins: ['https://www.foo.com', 'https://*.bar.com'], allowMethods: [GET, PUT], \
             allowHeaders: [x-one, X-Two], exposeHeaders: [x-shown], maxAge: 600, allowCredentials: true",
        ),
        cors("/all", "allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*']"),
        cors("/least", "allowOrigins: ['https://www.foo.com']"),
    ];
    Scene::start(&["a"], &http_route("r", &format!("rules:{}", rules.concat()))).await
}

/// Asks as a browser does before the request itself.
async fn preflight(scene: &Scene, path: &str, origin: &str, method: &str, headers: &str) -> Result<Response> {
    let request = scene.request(Method::OPTIONS, &format!("h{path}"));
    let request = request.header("origin", origin).header("access-control-request-method", method);
    if headers.is_empty() {
        request.send().await
    } else {
        request.header("access-control-request-headers", headers).send().await
    }
}

#[tokio::test]
async fn http_route_cors() -> Result<()> {
    let scene = scene().await?;
    for origin in ["https://www.foo.com", "https://www.bar.com", "https://deep.www.bar.com"] {
        let answer = preflight(&scene, "/some", origin, "PUT", "x-one, x-two").await?;
        assert!(answer.status.is_success(), "{origin}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("600"));
        let list = |name: &str| answer.header(name).map(|value| value.to_lowercase().replace(' ', ""));
        assert_eq!(list("access-control-allow-methods").as_deref(), Some("get,put"));
        assert_eq!(list("access-control-allow-headers").as_deref(), Some("x-one,x-two"));
    }
    // The backend hears of none of this.
    assert_eq!(scene.backend("a").count(), 0);
    let answer = scene.get("h/some").header("origin", "https://www.foo.com").send().await?;
    assert_eq!(answer.echoed()?.pod, "a");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://www.foo.com"));
    assert_eq!(answer.header("access-control-expose-headers"), Some("x-shown"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    Ok(())
}

#[tokio::test]
async fn http_route_cors_with_foreign_origins() -> Result<()> {
    let scene = scene().await?;
    for origin in [
        "https://foo.com",
        "http://www.foo.com",
        "https://www.foo.com:8443",
        "https://bar.com",
        "https://www.bar.com.evil",
    ] {
        let answer = preflight(&scene, "/some", origin, "PUT", "").await?;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}: {answer:?}");
        let answer = scene.get("h/some").header("origin", origin).send().await?;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    Ok(())
}

#[tokio::test]
async fn http_route_cors_with_wildcards() -> Result<()> {
    let scene = scene().await?;
    let answer = preflight(&scene, "/all", "https://any.com", "DELETE", "x-any").await?;
    assert!(answer.status.is_success(), "{answer:?}");
    let origin = answer.header("access-control-allow-origin");
    assert!(matches!(origin, Some("*" | "https://any.com")), "{answer:?}");
    let methods = answer.header("access-control-allow-methods");
    assert!(methods.is_some_and(|methods| methods == "*" || methods.contains("DELETE")), "{answer:?}");
    let headers = answer.header("access-control-allow-headers");
    assert!(headers.is_some_and(|headers| headers == "*" || headers.contains("x-any")), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    Ok(())
}

#[tokio::test]
async fn http_route_cors_with_origins_only() -> Result<()> {
    let scene = scene().await?;
    let answer = preflight(&scene, "/least", "https://www.foo.com", "GET", "").await?;
    assert!(answer.status.is_success(), "{answer:?}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://www.foo.com"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    // Without an origin it is no such request at all.
    let answer = scene.ask("h/least").await?;
    assert_eq!((answer.echoed()?.pod.as_str(), answer.header("access-control-allow-origin")), ("a", None));
    Ok(())
}

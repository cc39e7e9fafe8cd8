//! Sessions: the same endpoint again and again, by cookie or by header.

use anyhow::{Context, Result};
use testbed::client::Response;

use crate::scene::{BOTH, Scene, http_route};

/// A client that sends back what the Gateway gave it in a header of its answer.
async fn persists(scene: &Scene, url: &str, header_of: impl Fn(&Response) -> Result<(String, String)>) -> Result<()> {
    let mut pods = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let first = scene.ask(url).await?;
        let pod = first.echoed()?.pod;
        let (name, value) = header_of(&first)?;
        for _ in 0..4 {
            let again = scene.get(url).header(&name, &value).send().await?;
            assert_eq!(again.echoed()?.pod, pod, "{name}: {value}");
        }
        pods.insert(pod);
        if pods.len() == 2 {
            return Ok(());
        }
    }
    anyhow::bail!("all sessions began at {pods:?}")
}

/// The cookie that an answer sets, as it is sent back, and its attributes.
fn cookie(answer: &Response) -> Result<(String, String)> {
    let set = answer.header("set-cookie").with_context(|| format!("no cookie: {answer:?}"))?;
    let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
    Ok((pair.to_owned(), attributes.to_owned()))
}

#[tokio::test]
async fn http_route_session_persistence_by_cookie() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - matches: [{path: {type: PathPrefix, value: /session}}]
    sessionPersistence: {type: Cookie, sessionName: sid}
    backendRefs: [{name: both, port: 80}]
  - matches: [{path: {type: PathPrefix, value: /lasting}}]
    sessionPersistence: {sessionName: lid, absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}
    backendRefs: [{name: both, port: 80}]
  - backendRefs: [{name: both, port: 80}]",
    );
    let scene = Scene::start(&["a", "b"], &(route + BOTH)).await?;
    for url in ["h/session", "h/lasting/x"] {
        persists(&scene, url, |answer| Ok(("cookie".to_owned(), cookie(answer)?.0))).await?;
    }
    let (session, attributes) = cookie(&scene.ask("h/session").await?)?;
    assert!(session.starts_with("sid=") && !attributes.to_lowercase().contains("max-age"), "{session};{attributes}");
    let (lasting, attributes) = cookie(&scene.ask("h/lasting").await?)?;
    assert!(
        lasting.starts_with("lid=") && attributes.to_lowercase().contains("max-age=3600"),
        "{lasting};{attributes}"
    );
    assert_eq!(scene.ask("h/none").await?.header("set-cookie"), None);
    Ok(())
}

#[tokio::test]
async fn http_route_session_persistence_by_header() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - sessionPersistence: {type: Header, sessionName: x-session}
    backendRefs: [{name: both, port: 80}]",
    );
    let scene = Scene::start(&["a", "b"], &(route + BOTH)).await?;
    let header = |answer: &Response| {
        let value = answer.header("x-session").with_context(|| format!("no header: {answer:?}"))?;
        Ok(("x-session".to_owned(), value.to_owned()))
    };
    persists(&scene, "h/", header).await
}

#[tokio::test]
async fn http_route_session_persistence_across_backends() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - sessionPersistence: {type: Cookie, sessionName: sid}
    backendRefs: [{name: a, port: 80, weight: 1}, {name: b, port: 80, weight: 1}]",
    );
    let scene = Scene::start(&["a", "b"], &route).await?;
    persists(&scene, "h/", |answer| Ok(("cookie".to_owned(), cookie(answer)?.0))).await
}

#[tokio::test]
async fn http_route_session_persistence_outlives_an_endpoint() -> Result<()> {
    let route = http_route(
        "r",
        "rules:
  - sessionPersistence: {type: Cookie, sessionName: sid}
    retry: {attempts: 3}
    backendRefs: [{name: both, port: 80}]",
    );
    let mut scene = Scene::start(&["a", "b"], &(route + BOTH)).await?;
    let first = scene.ask("h/").await?;
    let (gone, left) = if first.echoed()?.pod == "a" { ("a", "b") } else { ("b", "a") };
    scene.stop_backend(gone).await?;
    let again = scene.get("h/").header("cookie", &cookie(&first)?.0).send().await?;
    assert_eq!(again.echoed()?.pod, left);
    Ok(())
}

//! A real Envoy takes its configuration from the server, in both forms of the protocol.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::plane::{GROUP, Plane, bootstrap, cluster, endpoints, listener, routes, small, socket};
use anyhow::Result;
use envoy::type_url::{CLUSTER, ENDPOINT, LISTENER, ROUTE};
use http::StatusCode;
use serde_json::json;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::client::Request;
use testbed::echo::Echo;
use testbed::envoy::{Envoy, Spec};
use testbed::wait::{wait_for_value, wait_until};

const FORMS: [&str; 2] = ["DELTA_GRPC", "GRPC"];

/// Far less than the fifteen seconds after which Envoy goes on without an answer.
const PROMPT: Duration = Duration::from_secs(7);

/// The server, a backend, and an Envoy that serves the small gateway of revision 1.
struct Scene {
    dir: TempDir,
    plane: Plane,
    backend: Echo,
    envoy: Envoy,
}

impl Scene {
    async fn start(api_type: &str) -> Result<Self> {
        let dir = TempDir::new()?;
        let plane = Plane::start(&socket(dir.path())).await?;
        let backend = Echo::http().service("one").spawn().await?;
        plane.set(&small(1, backend.address()).build());
        let envoy = Spec::new(bootstrap(&socket(dir.path()), api_type)).start().await?;
        plane.acked(1).await?;
        Ok(Self { dir, plane, backend, envoy })
    }

    async fn status(&self, path: &str) -> Result<StatusCode> {
        let address = self.envoy.listener("l").await?;
        Ok(Request::get(&format!("http://test{path}")).to(address).send().await?.status)
    }

    async fn updates(&self) -> Result<Vec<(String, u64)>> {
        let stats = self.envoy.stats().await?;
        Ok(stats.into_iter().filter(|(name, _)| name.ends_with("update_success")).collect())
    }
}

#[tokio::test]
async fn a_new_envoy_gets_everything_before_it_is_ready() -> Result<()> {
    for form in FORMS {
        let scene = Scene::start(form).await?;
        assert_eq!(scene.status("/x").await?, StatusCode::OK, "{form}");
        assert_eq!(scene.backend.count(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn changes_arrive_by_every_way() -> Result<()> {
    for form in FORMS {
        let scene = Scene::start(form).await?;
        let other = Echo::http().service("two").spawn().await?;
        // The short way: endpoints alone.
        scene.plane.cache.update(GROUP, 2, ENDPOINT, |old| {
            let (name, body) = endpoints("c", other.address());
            old.with(name, body)
        });
        wait_until("the other backend", PATIENCE, async || scene.status("/").await.is_ok() && other.count() > 0)
            .await?;
        // A new cluster and the route to it, together.
        let snapshot = small(3, other.address())
            .set(CLUSTER, [cluster("c", "1s"), cluster("d", "1s")])
            .set(ENDPOINT, [endpoints("c", other.address()), endpoints("d", scene.backend.address())])
            .set(ROUTE, [routes("r", &[("/new", "d"), ("/.*", "c")])])
            .build();
        scene.plane.set(&snapshot);
        scene.plane.acked(3).await?;
        let before = scene.backend.count();
        assert_eq!(scene.status("/new").await?, StatusCode::OK);
        assert_eq!(scene.backend.count(), before + 1, "{form}");
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_cluster_is_warm_at_once() -> Result<()> {
    for form in FORMS {
        let scene = Scene::start(form).await?;
        let before = Instant::now();
        let snapshot = small(2, scene.backend.address()).set(CLUSTER, [cluster("c", "2s")]).build();
        scene.plane.set(&snapshot);
        let warm = async || scene.envoy.config_dump("").await.is_ok_and(|dump| dump.to_string().contains("\"2s\""));
        wait_until("the new cluster", PATIENCE, warm).await?;
        wait_for_value("warming", PATIENCE, &0, async || {
            scene.envoy.stat("cluster_manager.warming_clusters").await.unwrap_or(1)
        })
        .await?;
        assert!(before.elapsed() < PROMPT, "{form}: warm after {:?}", before.elapsed());
        assert_eq!(scene.status("/").await?, StatusCode::OK);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_gone_is_removed() -> Result<()> {
    for form in FORMS {
        let scene = Scene::start(form).await?;
        let snapshot = small(2, scene.backend.address())
            .set(CLUSTER, [cluster("d", "1s")])
            .set(ENDPOINT, [endpoints("d", scene.backend.address())])
            .set(LISTENER, [listener("l", "q", &[]), listener("m", "q", &[])])
            .set(ROUTE, [routes("q", &[("/.*", "d")])])
            .build();
        scene.plane.set(&snapshot);
        let listeners = async || scene.envoy.listeners().await.unwrap_or_default().into_keys().collect();
        let both = BTreeSet::from(["l".to_owned(), "m".to_owned()]);
        wait_for_value("both listeners", PATIENCE, &both, listeners).await?;
        wait_for_value("one cluster beside the server's", PATIENCE, &2, async || {
            scene.envoy.stat("cluster_manager.active_clusters").await.unwrap_or(0)
        })
        .await?;
        assert_eq!(scene.status("/").await?, StatusCode::OK);
        scene.plane.set(&snapshot.next(3).set(LISTENER, [listener("m", "q", &[])]).build());
        wait_for_value("one listener", PATIENCE, &BTreeSet::from(["m".to_owned()]), listeners).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_restarted_server_disturbs_nothing() -> Result<()> {
    let scene = Scene::start("DELTA_GRPC").await?;
    let (before, backend) = (scene.updates().await?, scene.backend.address());
    let Scene { dir, plane, envoy, .. } = scene;
    plane.stop().await?;
    wait_for_value("the end of the stream", PATIENCE, &0, async || {
        envoy.stat("control_plane.connected_state").await.unwrap_or(1)
    })
    .await?;
    let plane = Plane::start(&socket(dir.path())).await?;
    let mut events = plane.book.events();
    plane.set(&small(1, backend).build());
    plane.acked(1).await?;
    assert!(events.try_recv().is_err(), "nothing was sent that could be answered");
    let after = envoy.stats().await?.into_iter().filter(|(name, _)| name.ends_with("update_success"));
    assert_eq!(before, after.collect::<Vec<_>>());
    plane.set(&small(2, backend).set(ROUTE, [routes("r", &[("/only", "c")])]).build());
    plane.acked(2).await
}

#[tokio::test]
async fn a_rejected_resource_is_named_and_the_others_go_on() -> Result<()> {
    for form in FORMS {
        let scene = Scene::start(form).await?;
        let backend = scene.backend.address();
        let no_such_filter = json!({"name": "none", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "none",
            "cluster": "",
        }});
        let listeners = [listener("l", "r", &[]), listener("bad", "r", &[no_such_filter]), listener("good", "r", &[])];
        let snapshot = small(2, backend).set(LISTENER, listeners).build();
        scene.plane.set(&snapshot);
        scene.envoy.listener("good").await?;
        let ledger = scene.plane.book.watch();
        let rejected = async || {
            let ledger = ledger.borrow().clone();
            ledger.rejections(GROUP).map(|(url, name, _)| (url.to_string(), name.to_string())).collect::<Vec<_>>()
        };
        let wanted = vec![(LISTENER.to_owned(), "bad".to_owned())];
        wait_for_value("the rejection", PATIENCE, &wanted, rejected).await?;
        assert_eq!(ledger.borrow().acked(GROUP), Some(1), "{form}");
        scene
            .plane
            .set(&small(3, backend).set(LISTENER, [listener("l", "r", &[]), listener("good", "r", &[])]).build());
        scene.plane.acked(3).await?;

        let tables = [routes("r", &[("/(", "c")])];
        scene.plane.set(
            &small(4, backend)
                .set(LISTENER, [listener("l", "r", &[]), listener("good", "r", &[])])
                .set(ROUTE, tables)
                .build(),
        );
        let wanted = vec![(ROUTE.to_owned(), "r".to_owned())];
        wait_for_value("the rejected routes", PATIENCE, &wanted, rejected).await?;
        assert_eq!(scene.status("/").await?, StatusCode::OK, "the old routes serve on");
    }
    Ok(())
}

//! A discovery server on a Unix socket, and what a small gateway needs as resources.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use envoy::type_url::{CLUSTER, ENDPOINT, LISTENER, ROUTE};
use kit::drain::Shutdown;
use kit::incoming::Incoming;
use kit::net::{Address, Listener, Purpose};
use serde_json::{Value, json};
use testbed::PATIENCE;
use testbed::wait::wait_for_value;
use tokio::task::JoinHandle;
use xds::grpc::Ads;
use xds::{Cache, LedgerBook, Snapshot, SnapshotBuilder, admit_by_cluster};

/// The group of all Envoys here.
pub(crate) const GROUP: &str = "gateway";

/// A running server.
pub(crate) struct Plane {
    pub(crate) cache: Cache,
    pub(crate) book: LedgerBook,
    shutdown: Shutdown,
    server: JoinHandle<()>,
}

impl Plane {
    pub(crate) async fn start(socket: &Path) -> Result<Self> {
        let (cache, book, shutdown) = (Cache::new(), LedgerBook::default(), Shutdown::new());
        let purpose = Purpose { name: "xds", setting: "the test" };
        let listener = Listener::bind(&Address::Unix(socket.to_owned()), purpose).await?;
        let incoming = Incoming::start(listener, None, &shutdown);
        let ads = Ads::new(cache.clone(), book.clone(), admit_by_cluster(), shutdown.clone());
        let server = tokio::spawn(async move { ads.serve(incoming).await.expect("serving") });
        Ok(Self { cache, book, shutdown, server })
    }

    pub(crate) fn set(&self, snapshot: &Arc<Snapshot>) {
        self.cache.set(GROUP, Arc::clone(snapshot));
    }

    /// Waits until every connected Envoy has this revision.
    pub(crate) async fn acked(&self, revision: u64) -> Result<()> {
        let ledger = self.book.watch();
        wait_for_value("the revision", PATIENCE, &Some(revision), async || ledger.borrow().acked(GROUP)).await
    }

    /// Stops accepting, ends the streams and waits until all is served.
    pub(crate) async fn stop(self) -> Result<()> {
        self.shutdown.stop();
        Ok(self.server.await?)
    }
}

/// A bootstrap that has nothing but the way to the server; `api_type` is `DELTA_GRPC` or `GRPC`.
pub(crate) fn bootstrap(socket: &Path, api_type: &str) -> String {
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    let endpoint = json!({"endpoint": {"address": {"pipe": {"path": socket}}}});
    json!({
        "node": {"id": "envoy-1", "cluster": GROUP},
        "dynamic_resources": {
            "ads_config": {
                "api_type": api_type,
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": {"clusters": [{
            "name": "xds",
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "load_assignment": {"cluster_name": "xds", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }]},
    })
    .to_string()
}

pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("xds.sock")
}

/// A resource from its JSON.
pub(crate) fn encode(type_url: &str, value: &Value) -> Vec<u8> {
    envoy::json::from_json(type_url, value).expect("a good resource")
}

/// A cluster whose endpoints come by discovery.
pub(crate) fn cluster(name: &str, connect_timeout: &str) -> (String, Vec<u8>) {
    let value = json!({
        "name": name,
        "type": "EDS",
        "connect_timeout": connect_timeout,
        "eds_cluster_config": {"eds_config": {"ads": {}, "resource_api_version": "V3"}},
    });
    (name.to_owned(), encode(CLUSTER, &value))
}

pub(crate) fn endpoints(cluster: &str, address: SocketAddr) -> (String, Vec<u8>) {
    let address = json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let value = json!({
        "cluster_name": cluster,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    });
    (cluster.to_owned(), encode(ENDPOINT, &value))
}

/// A route table: regular expression of the path → cluster.
pub(crate) fn routes(name: &str, table: &[(&str, &str)]) -> (String, Vec<u8>) {
    let route = |(regex, cluster): &(&str, &str)| json!({"match": {"safe_regex": {"regex": regex}}, "route": {"cluster": cluster}});
    let routes: Vec<Value> = table.iter().map(route).collect();
    let value = json!({"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]});
    (name.to_owned(), encode(ROUTE, &value))
}

/// A listener on any port that serves a route table; `filters` of network come before the connection manager.
pub(crate) fn listener(name: &str, routes: &str, filters: &[Value]) -> (String, Vec<u8>) {
    let router = json!({"name": "router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
    }});
    let manager = json!({"name": "http", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "rds": {"route_config_name": routes, "config_source": {"ads": {}, "resource_api_version": "V3"}},
        "http_filters": [router],
    }});
    let filters: Vec<Value> = filters.iter().cloned().chain([manager]).collect();
    let value = json!({
        "name": name,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": filters}],
    });
    (name.to_owned(), encode(LISTENER, &value))
}

/// A gateway of one listener, one route table with all paths, one cluster and its endpoints.
pub(crate) fn small(revision: u64, backend: SocketAddr) -> SnapshotBuilder {
    Snapshot::builder(revision)
        .set(CLUSTER, [cluster("c", "1s")])
        .set(ENDPOINT, [endpoints("c", backend)])
        .set(LISTENER, [listener("l", "r", &[])])
        .set(ROUTE, [routes("r", &[("/.*", "c")])])
}

//! What an Envoy is started with: where its management server is, its admin page, and what the user wants changed in that.

mod patch;
mod stats;

use std::collections::BTreeMap;

use envoy::{bootstrap::Bootstrap, json, json::JsonError};
use ir::Gateway;
use serde_json::{Value, json};

/// What the controller decides about one fleet's Envoys.
#[derive(Clone, Debug)]
pub struct BootstrapSettings {
    /// Names this Envoy among those of the fleet.
    pub node_id: String,
    /// The fleet: [`Gateway::name`].
    pub node_cluster: String,
    /// Where Envoy's admin interface listens: nobody but us should reach it.
    pub admin: Address,
    /// Where the management server is.
    pub xds: Xds,
    /// The zone of this Envoy, the same as on its command line; empty where it has none. Without it end points near to the
    /// Envoy are not told from others.
    pub zone: Option<String>,
    /// Where `/ready` answers 200 once Envoy serves and 503 while it drains, if wanted.
    pub ready: Option<Address>,
    /// Where `/stats/prometheus` has the metrics, if wanted.
    pub metrics: Option<Address>,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket.
    Unix(String),
    /// IP address and port; 0 for any free one.
    Ip(std::net::SocketAddr),
}

/// Where the management server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Xds {
    /// At a Unix socket.
    Unix(String),
    /// At a host, with both sides showing certificates. Never without TLS beyond this machine.
    Tcp {
        /// Its name or address.
        host: String,
        /// Its port.
        port: u16,
        /// TLS; without it only on this machine.
        tls: Option<TlsFiles>,
    },
}

/// Files for TLS, on Envoy's machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that the server's certificate is checked against, PEM.
    pub authorities: String,
    /// Our certificate chain, PEM.
    pub certificate: String,
    /// Its private key, PEM.
    pub key: String,
    /// The name that the server's certificate must have.
    pub server_name: String,
    /// The directory of [`TlsFiles::documents`], when Envoy is to follow the files as they are replaced. Without it they
    /// are read once.
    pub documents: Option<String>,
}

/// The name of the document with the certificate and key, and of the secret in it.
const CERTIFICATE: &str = "xds-certificate";
/// The name of the document with the authorities, and of the secret in it.
const AUTHORITIES: &str = "xds-authorities";

impl TlsFiles {
    /// Documents that name the files, by file name. Envoy watches files only for what it gets by secret discovery, of which
    /// these are the answers. Each file is looked for when something in its directory is moved, as it is in a volume of
    /// Kubernetes.
    pub fn documents(&self) -> BTreeMap<String, Value> {
        let watched = |file: &str| json!({"path": file.rsplit_once('/').map_or(".", |(directory, _)| directory)});
        let document = |name: &str, kind: &str, secret: Value| {
            let resource = json!({
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": name,
                kind: secret,
            });
            (document_file(name), json!({"resources": [resource]}))
        };
        let certificate = json!({
            "certificate_chain": {"filename": self.certificate},
            "private_key": {"filename": self.key},
            "watched_directory": watched(&self.certificate),
        });
        let authorities =
            json!({"trusted_ca": {"filename": self.authorities}, "watched_directory": watched(&self.authorities)});
        BTreeMap::from([
            document(CERTIFICATE, "tls_certificate", certificate),
            document(AUTHORITIES, "validation_context", authorities),
        ])
    }
}

fn document_file(name: &str) -> String {
    format!("{name}.json")
}

/// Where the documents of [`TlsFiles::documents`] are in a pod.
pub const POD_DOCUMENTS: &str = "/certs";

/// What Envoy shows and trusts on its way to the controller, by the documents in its pod: names and paths of the certificate
/// and of the authorities.
pub(crate) fn own_documents() -> [(&'static str, String); 2] {
    [CERTIFICATE, AUTHORITIES].map(|name| (name, document_path(POD_DOCUMENTS, name)))
}

fn document_path(directory: &str, name: &str) -> String {
    format!("{directory}/{}", document_file(name))
}

/// Why there is no bootstrap. It is the user's setting that is wrong, ours is always right.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// `bootstrap.value` is no YAML.
    #[error("bootstrap.value is not YAML: {0}")]
    Yaml(String),
    /// A patch cannot be applied.
    #[error("bootstrap.jsonPatches[{index}]: {reason}")]
    Patch {
        /// Which one.
        index: usize,
        /// Why not.
        reason: String,
    },
    /// What came out is no bootstrap that Envoy knows.
    #[error("bootstrap: {0}")]
    Shape(#[from] JsonError),
    /// It takes away what we need.
    #[error("bootstrap: {0}; with type Replace keep what `translate --to bootstrap` prints and change only the rest")]
    Missing(&'static str),
}

/// The bootstrap of a fleet's Envoys, as JSON in Envoy's canonical form.
///
/// # Errors
/// The user's own bootstrap or patches do not fit.
pub fn bootstrap(gateway: &Gateway, settings: &BootstrapSettings) -> Result<Value, BootstrapError> {
    let mut ours = ours(gateway, settings)?;
    let Some(theirs) = &gateway.proxy.bootstrap else {
        // Ours is canonical as it is but for the order (a test compares): the descriptions of all messages, 7 MB, are
        // not needed.
        ours.sort_all_objects();
        return Ok(ours);
    };
    let changed = canonical(&patch::apply(ours, theirs)?)?;
    // Without these an Envoy would run and never be configured.
    for (pointer, what) in [("/dynamic_resources", "dynamic_resources is missing"), ("/admin", "admin is missing")] {
        if changed.pointer(pointer).is_none() {
            return Err(BootstrapError::Missing(what));
        }
    }
    Ok(changed)
}

/// Whether the user's own bootstrap or patches fit, wherever the Envoy is to run.
///
/// # Errors
/// They do not.
pub fn check_bootstrap(gateway: &Gateway) -> Result<(), BootstrapError> {
    let socket = |name: &str| format!("/run/{name}.sock");
    let settings = BootstrapSettings {
        node_id: gateway.name.to_string(),
        node_cluster: gateway.name.to_string(),
        admin: Address::Unix(socket("admin")),
        xds: Xds::Unix(socket("xds")),
        zone: None,
        ready: None,
        metrics: None,
    };
    bootstrap(gateway, &settings).map(drop)
}

fn canonical(bootstrap: &Value) -> Result<Value, BootstrapError> {
    let parsed: Bootstrap = json::parse_as(bootstrap)?;
    Ok(json::of(&parsed)?)
}

fn ours(gateway: &Gateway, settings: &BootstrapSettings) -> Result<Value, BootstrapError> {
    let stats = stats::of(gateway)?;
    let mut clusters = vec![xds_cluster(&settings.xds)];
    let mut listeners = Vec::new();
    listeners.extend(settings.ready.as_ref().map(stats::ready_listener));
    if let Some(address) = &settings.metrics {
        clusters.push(stats::admin_cluster(&settings.admin));
        listeners.push(stats::metrics_listener(address, gateway));
    }
    clusters.extend(settings.zone.as_deref().map(|zone| fleet_cluster(zone, &settings.admin)));
    clusters.extend(stats.clusters);
    let mut from_ads = json!({"ads": {}, "resource_api_version": "V3"});
    if settings.ready.is_some() {
        // Without an end: an Envoy that has no configuration yet is not ready.
        from_ads["initial_fetch_timeout"] = json!("0s");
    }
    let mut bootstrap = json!({
        "node": {"id": settings.node_id, "cluster": settings.node_cluster},
        "admin": {"address": address(&settings.admin)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": true,
                "grpc_services": [{"envoy_grpc": {"cluster_name": XDS}}],
            },
            "lds_config": from_ads,
            "cds_config": from_ads,
        },
        "static_resources": {"clusters": clusters},
        "layered_runtime": {"layers": [{
            "name": "portcullis",
            // RE2 needs time in proportion to the text whatever the expression: long ones are no danger.
            "static_layer": {"re2.max_program_size.error_level": f64::from(u32::MAX), "re2.max_program_size.warn_level": 1000.0},
        }]},
        "overload_manager": {"resource_monitors": [{
            "name": "envoy.resource_monitors.global_downstream_max_connections",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                // File descriptors are finite: beyond this new connections are closed, so that those there are work on.
                "max_active_downstream_connections": "50000",
            },
        }]},
    });
    if settings.zone.is_some() {
        bootstrap["cluster_manager"] = json!({"local_cluster_name": FLEET});
    }
    if !listeners.is_empty() {
        bootstrap["static_resources"]["listeners"] = Value::Array(listeners);
    }
    if !stats.sinks.is_empty() {
        bootstrap["stats_sinks"] = Value::Array(stats.sinks);
    }
    if let Some(config) = stats.config {
        bootstrap["stats_config"] = config;
    }
    Ok(bootstrap)
}

/// The name of the cluster that stands for the Envoys of the fleet.
const FLEET: &str = "fleet";

/// The Envoys that this one shares load with, by zone: itself alone, which is all that has to be known where no load is to be
/// evened out. Nobody sends anything there.
fn fleet_cluster(zone: &str, own: &Address) -> Value {
    let endpoints = json!([{"endpoint": {"address": address(own)}}]);
    let locality = if zone.is_empty() { json!({}) } else { json!({"zone": zone}) };
    json!({
        "name": FLEET,
        "type": "STATIC",
        "load_assignment": {"cluster_name": FLEET, "endpoints": [{"locality": locality, "lb_endpoints": endpoints}]},
    })
}

/// The name of the management server's cluster.
const XDS: &str = "xds_cluster";

fn xds_cluster(xds: &Xds) -> Value {
    let (kind, address, tls) = match xds {
        Xds::Unix(path) => ("STATIC", json!({"pipe": {"path": path}}), None),
        Xds::Tcp { host, port, tls } => {
            ("LOGICAL_DNS", json!({"socket_address": {"address": host, "port_value": port}}), tls.as_ref())
        }
    };
    let mut cluster = json!({
        "name": XDS,
        "type": kind,
        "connect_timeout": "10s",
        "load_assignment": {"cluster_name": XDS, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {
                // A server that vanished without a word is found out.
                "connection_keepalive": {"interval": "30s", "timeout": "5s"},
            }},
        }},
    });
    if kind == "LOGICAL_DNS" {
        // A name may have addresses of both families where only one is listened on (`localhost`): Envoy tries them all,
        // as it does for a logical host only (RFC 8305).
        cluster["dns_lookup_family"] = json!("ALL");
    }
    if let Some(tls) = tls {
        cluster["transport_socket"] = transport_socket(tls);
    }
    cluster
}

fn transport_socket(files: &TlsFiles) -> Value {
    let TlsFiles { authorities, certificate, key, server_name, documents } = files;
    let mut common = json!({
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
    });
    let server = json!([{"san_type": "DNS", "matcher": {"exact": server_name}}]);
    match documents {
        None => {
            common["tls_certificates"] =
                json!([{"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}}]);
            common["validation_context"] =
                json!({"trusted_ca": {"filename": authorities}, "match_typed_subject_alt_names": server});
        }
        Some(directory) => {
            let secret = |name: &str| {
                let path = document_path(directory, name);
                json!({"name": name, "sds_config": {"path_config_source": {"path": path}, "resource_api_version": "V3"}})
            };
            common["tls_certificate_sds_secret_configs"] = json!([secret(CERTIFICATE)]);
            common["combined_validation_context"] = json!({
                "default_validation_context": {"match_typed_subject_alt_names": server},
                "validation_context_sds_secret_config": secret(AUTHORITIES),
            });
        }
    }
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": server_name,
            "common_tls_context": common,
        },
    })
}

fn address(address: &Address) -> Value {
    match address {
        Address::Unix(path) => json!({"pipe": {"path": path}}),
        Address::Ip(address) => {
            let mut socket = json!({"address": address.ip().to_string(), "port_value": address.port()});
            if address.is_ipv6() && address.ip().is_unspecified() {
                // `::` is for IPv4 too.
                socket["ipv4_compat"] = json!(true);
            }
            json!({"socket_address": socket})
        }
    }
}

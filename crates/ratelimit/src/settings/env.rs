//! The environment variables of the reference, so that a chart needs to change no more than the image. Each goes before the
//! field of the file that says the same, and leaves the others as they are. Variables that have no meaning here (pools,
//! memcached's) are ignored; `docs/rate-limiting.md` lists those that have one.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kit::config::Error;
use kit::net::Address;
use kit::redact::Redacted;
use kit::redis::{Sentinel, Server, Tls};
use kit::telemetry::Format;
use kit::tls::PeerPolicy;

use super::redis::RedisSettings;
use super::{RulesFrom, Settings, StoreSettings};
use crate::algorithm::Counting;
use crate::respond::Standard;
use xds::client::Settings as XdsSettings;

/// Finds a variable that is set.
type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings with the variables' in their place.
pub(super) fn apply(mut settings: Settings, get: Get<'_>) -> Result<Settings, Error> {
    listeners(&mut settings, get)?;
    rules(&mut settings, get)?;
    redis(&mut settings, get)?;
    answers(&mut settings, get)?;
    statsd(&mut settings, get)?;
    if let Some(level) = get("LOG_LEVEL") {
        settings.telemetry.log.level = value("LOG_LEVEL", &level.to_lowercase().replace("warning", "warn"))?;
    }
    telemetry(&mut settings, get)?;
    if let Some(delay) = get("DRAIN_DELAY") {
        settings.drain.delay = duration("DRAIN_DELAY", &delay)?;
    }
    if get("LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
        settings.telemetry.log.format = Format::Json;
    }
    Ok(settings)
}

fn listeners(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    for (host, port, address) in
        [("GRPC_HOST", "GRPC_PORT", &mut settings.grpc.address), ("HOST", "PORT", &mut settings.http.address)]
    {
        if let Some(changed) = changed(address, host, port, get)? {
            *address = changed;
        }
    }
    if let Some(path) = get("GRPC_UDS") {
        settings.grpc.address = Address::Unix(PathBuf::from(path));
    }
    if let Some(age) = get("GRPC_MAX_CONNECTION_AGE") {
        settings.grpc.max_connection_age = duration("GRPC_MAX_CONNECTION_AGE", &age)?;
    }
    let admin = settings.admin.address.clone().unwrap_or_else(|| Address::Tcp("127.0.0.1:6070".to_owned()));
    settings.admin.address = changed(&admin, "DEBUG_HOST", "DEBUG_PORT", get)?.or(settings.admin.address.take());
    match flag("GRPC_SERVER_USE_TLS", get)? {
        Some(true) => settings.grpc.tls = Some(server_tls(settings.grpc.tls.take(), get)?),
        Some(false) => settings.grpc.tls = None,
        None => {}
    }
    Ok(())
}

/// The reference has its metrics at `:9090` unless an address is set, and its traces at a collector on the same host.
fn telemetry(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    if flag("USE_PROMETHEUS", get)? == Some(true) {
        let address = get("PROMETHEUS_ADDR").unwrap_or_else(|| ":9090".to_owned());
        let whole = if address.starts_with(':') { format!("0.0.0.0{address}") } else { address };
        settings.metrics = Some(value("PROMETHEUS_ADDR", &whole)?);
    }
    if flag("TRACING_ENABLED", get)? == Some(true) {
        let file = settings.telemetry.traces.take();
        let mut traces = file.unwrap_or_else(|| kit::trace::Settings::to("http://localhost:4317"));
        traces.endpoint = get("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or(traces.endpoint);
        if let Some(rate) = get("TRACING_SAMPLING_RATE") {
            traces.sampling_ratio = value("TRACING_SAMPLING_RATE", &rate)?;
        }
        settings.telemetry.traces = Some(traces);
    }
    Ok(())
}

fn server_tls(file: Option<kit::tls::ServerSettings>, get: Get<'_>) -> Result<kit::tls::ServerSettings, Error> {
    let (cert, key) = file.as_ref().map(|tls| (tls.cert.clone(), tls.key.clone())).unzip();
    let (client_ca, allowed) = file.map(|tls| (tls.client_ca, tls.allowed_clients)).unwrap_or_default();
    Ok(kit::tls::ServerSettings {
        cert: needed("GRPC_SERVER_TLS_CERT", cert, get)?,
        key: needed("GRPC_SERVER_TLS_KEY", key, get)?,
        client_ca: get("GRPC_CLIENT_TLS_CACERT").map(PathBuf::from).or(client_ca),
        allowed_clients: peer("GRPC_CLIENT_TLS_SAN", allowed, get),
    })
}

/// An address whose host or port a variable sets.
fn changed(address: &Address, host: &str, port: &str, get: Get<'_>) -> Result<Option<Address>, Error> {
    let (new_host, new_port) = (get(host), get(port));
    let Address::Tcp(text) = address else { return Ok(None) };
    if new_host.is_none() && new_port.is_none() {
        return Ok(None);
    }
    let (old_host, old_port) = text.rsplit_once(':').expect("an address has a port");
    let text = format!("{}:{}", new_host.as_deref().unwrap_or(old_host), new_port.as_deref().unwrap_or(old_port));
    value(if new_port.is_some() { port } else { host }, &text).map(Some)
}

fn rules(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    match get("CONFIG_TYPE").as_deref() {
        Some("GRPC_XDS_SOTW") => {
            let reference =
                || XdsSettings { address: Address::Tcp("localhost:18000".to_owned()), ..Default::default() };
            settings.rules.xds = Some(xds(settings.rules.xds.take().unwrap_or_else(reference), get)?);
            settings.rules.files.clear();
        }
        Some("FILE") => settings.rules.xds = None,
        None => {}
        Some(_) => return Err(wrong("CONFIG_TYPE", "is unknown, allowed: FILE, GRPC_XDS_SOTW")),
    }
    // The reference has these directories beside a control plane too, and does not look at them then.
    if let (None | Some("FILE"), Some(root)) = (get("CONFIG_TYPE").as_deref(), get("RUNTIME_ROOT")) {
        let below = get("RUNTIME_SUBDIRECTORY").unwrap_or_default();
        let app = get("RUNTIME_APPDIRECTORY").unwrap_or_else(|| "config".to_owned());
        settings.rules = RulesFrom { files: vec![PathBuf::from(root).join(below).join(app)], ..RulesFrom::default() };
    }
    Ok(())
}

fn xds(mut xds: XdsSettings, get: Get<'_>) -> Result<XdsSettings, Error> {
    if let Some(address) = get("CONFIG_GRPC_XDS_SERVER_URL") {
        xds.address = value("CONFIG_GRPC_XDS_SERVER_URL", &address)?;
    }
    xds.node_id = get("CONFIG_GRPC_XDS_NODE_ID").unwrap_or(xds.node_id);
    match flag("CONFIG_GRPC_XDS_SERVER_USE_TLS", get)? {
        Some(true) => xds.tls = Some(xds_tls(xds.tls.take(), get)?),
        Some(false) => xds.tls = None,
        None => {}
    }
    Ok(xds)
}

fn xds_tls(file: Option<kit::tls::ClientSettings>, get: Get<'_>) -> Result<kit::tls::ClientSettings, Error> {
    let ca = file.as_ref().map(|tls| tls.ca.clone());
    let file = file.unwrap_or_default();
    Ok(kit::tls::ClientSettings {
        ca: needed("CONFIG_GRPC_XDS_SERVER_TLS_CACERT", ca, get)?,
        cert: get("CONFIG_GRPC_XDS_CLIENT_TLS_CERT").map(PathBuf::from).or(file.cert),
        key: get("CONFIG_GRPC_XDS_CLIENT_TLS_KEY").map(PathBuf::from).or(file.key),
        allowed_servers: peer("CONFIG_GRPC_XDS_SERVER_TLS_SAN", file.allowed_servers, get),
    })
}

/// The peer's name in its certificate, where a variable says it.
fn peer(name: &str, file: PeerPolicy, get: Get<'_>) -> PeerPolicy {
    get(name).map_or(file, |dns| PeerPolicy { dns: vec![dns], ..PeerPolicy::default() })
}

fn redis(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    match get("BACKEND_TYPE").as_deref() {
        None | Some("redis") => {}
        Some(_) => return Err(wrong("BACKEND_TYPE", "is unknown, allowed: redis; memcached is not supported")),
    }
    let file = match &settings.store {
        StoreSettings::Redis(redis) => Some((**redis).clone()),
        StoreSettings::Memory(_) => None,
    };
    if file.is_some() || get("REDIS_URL").is_some() {
        settings.store = StoreSettings::Redis(Box::new(redis_by(file.unwrap_or_default(), get)?));
    } else if let Some(name) = ABOUT_REDIS.into_iter().find(|name| get(name).is_some()) {
        let what = "is set, and nothing says where Redis is: set REDIS_URL too, or store.redis.server in the file";
        return Err(wrong(name, what));
    }
    if let Some(bytes) = get("LOCAL_CACHE_SIZE_IN_BYTES") {
        // About what one costs.
        settings.local_cache.max_keys = value::<usize>("LOCAL_CACHE_SIZE_IN_BYTES", &bytes)?.div_ceil(128);
    }
    if let Some(prefix) = get("CACHE_KEY_PREFIX") {
        settings.keys.prefix = prefix;
    }
    match flag("STOP_CACHE_KEY_INCREMENT_WHEN_OVERLIMIT", get)? {
        Some(true) => settings.counting = Counting::AllOrNothing,
        Some(false) => settings.counting = Counting::CountAll,
        None => {}
    }
    Ok(())
}

/// Variables that mean nothing without a Redis. (Others that begin so may be Kubernetes': a Service `redis` makes some.)
const ABOUT_REDIS: [&str; 12] = [
    "BACKEND_TYPE",
    "REDIS_TYPE",
    "REDIS_SOCKET_TYPE",
    "REDIS_AUTH",
    "REDIS_TLS",
    "REDIS_TLS_CACERT",
    "REDIS_TLS_CLIENT_CERT",
    "REDIS_TLS_CLIENT_KEY",
    "REDIS_SENTINEL_AUTH",
    "REDIS_TIMEOUT",
    "REDIS_PERSECOND",
    "REDIS_HEALTH_CHECK_ACTIVE_CONNECTION",
];

fn redis_by(mut redis: RedisSettings, get: Get<'_>) -> Result<RedisSettings, Error> {
    redis.server = server("REDIS", redis.server, get)?;
    match flag("REDIS_PERSECOND", get)? {
        Some(true) => {
            let other = server("REDIS_PERSECOND", redis.per_second.take().unwrap_or_default(), get)?;
            if other.address.is_none() && other.sentinel.is_none() && other.cluster.is_empty() {
                return Err(wrong("REDIS_PERSECOND_URL", "is missing, and needed with REDIS_PERSECOND"));
            }
            redis.per_second = Some(other);
        }
        Some(false) => redis.per_second = None,
        None => {}
    }
    if let Some(timeout) = get("REDIS_TIMEOUT") {
        redis.deadline = duration("REDIS_TIMEOUT", &timeout)?;
    }
    redis.ready_only_with_redis =
        flag("REDIS_HEALTH_CHECK_ACTIVE_CONNECTION", get)?.unwrap_or(redis.ready_only_with_redis);
    Ok(redis)
}

/// A Redis by the variables that begin with `prefix`.
fn server(prefix: &str, mut server: Server, get: Get<'_>) -> Result<Server, Error> {
    let name = |rest: &str| format!("{prefix}_{rest}");
    if let Some(url) = get(&name("URL")) {
        place(&mut server, prefix, &url, get)?;
    }
    if let (Some(sentinel), Some(auth)) = (&mut server.sentinel, get(&name("SENTINEL_AUTH"))) {
        sentinel.password = Some(Redacted::new(auth));
    }
    if let Some(auth) = get(&name("AUTH")) {
        let (username, password) =
            auth.split_once(':').map_or((None, auth.as_str()), |(user, password)| (Some(user), password));
        (server.username, server.password) = (username.map(str::to_owned), Some(Redacted::new(password.to_owned())));
    }
    match flag(&name("TLS"), get)? {
        Some(true) => {
            let file = server.tls.take().unwrap_or_default();
            let path = |name: &str, file: Option<PathBuf>| get(name).map(PathBuf::from).or(file);
            // The reference has one set of files for both.
            server.tls = Some(Tls {
                ca: path("REDIS_TLS_CACERT", file.ca),
                cert: path("REDIS_TLS_CLIENT_CERT", file.cert),
                key: path("REDIS_TLS_CLIENT_KEY", file.key),
            });
        }
        Some(false) => server.tls = None,
        None => {}
    }
    Ok(server)
}

/// Where a Redis is, instead of where it was.
fn place(server: &mut Server, prefix: &str, url: &str, get: Get<'_>) -> Result<(), Error> {
    let name = |rest: &str| format!("{prefix}_{rest}");
    let before = server.sentinel.take();
    (server.address, server.cluster) = (None, Vec::new());
    let address = |text: &str| value::<Address>(&name("URL"), text);
    match get(&name("TYPE")).unwrap_or_default().to_uppercase().as_str() {
        "SENTINEL" => {
            let (master, sentinels) = url.split_once(',').ok_or_else(|| {
                wrong(&name("URL"), "needs the master's name and at least one Sentinel: name,host:port,host:port")
            })?;
            let addresses = sentinels.split(',').map(address).collect::<Result<_, _>>()?;
            let before = before.unwrap_or_default();
            server.sentinel = Some(Sentinel { master: master.to_owned(), addresses, ..before });
        }
        "CLUSTER" => server.cluster = url.split(',').map(address).collect::<Result<_, _>>()?,
        "" | "SINGLE" if get(&name("SOCKET_TYPE")).is_some_and(|kind| kind.starts_with("tcp")) => {
            server.address = Some(address(url)?);
        }
        "" | "SINGLE" => server.address = Some(Address::Unix(PathBuf::from(url))),
        _ => return Err(wrong(&name("TYPE"), "is unknown, allowed: SINGLE, SENTINEL, CLUSTER")),
    }
    Ok(())
}

fn answers(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    for (name, field) in [
        ("SHADOW_MODE", &mut settings.shadow_mode),
        ("QUOTA_MODE", &mut settings.quota_mode),
        ("RESPONSE_DYNAMIC_METADATA", &mut settings.dynamic_metadata),
    ] {
        *field = flag(name, get)?.unwrap_or(*field);
    }
    if let Some(ratio) = get("NEAR_LIMIT_RATIO") {
        settings.near_limit_ratio = value("NEAR_LIMIT_RATIO", &ratio)?;
    }
    let headers = &mut settings.headers;
    match flag("LIMIT_RESPONSE_HEADERS_ENABLED", get)? {
        Some(true) => headers.standard = Standard::Names,
        Some(false) => headers.standard = Standard::None,
        None => {}
    }
    for (name, field) in [
        ("LIMIT_LIMIT_HEADER", &mut headers.limit),
        ("LIMIT_REMAINING_HEADER", &mut headers.remaining),
        ("LIMIT_RESET_HEADER", &mut headers.reset),
    ] {
        if let Some(text) = get(name) {
            *field = text;
        }
    }
    Ok(())
}

fn statsd(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    match flag("USE_STATSD", get)? {
        Some(true) => {}
        Some(false) => {
            settings.statsd = None;
            return Ok(());
        }
        None => return Ok(()),
    }
    let mut statsd = settings.statsd.take().unwrap_or_default();
    statsd.address = changed(&statsd.address, "STATSD_HOST", "STATSD_PORT", get)?.unwrap_or(statsd.address);
    if let Some(interval) = get("STATS_FLUSH_INTERVAL") {
        statsd.interval = duration("STATS_FLUSH_INTERVAL", &interval)?;
    }
    if get("STATSD_PROTOCOL").is_some_and(|protocol| protocol != "udp") {
        return Err(wrong("STATSD_PROTOCOL", "is not supported, allowed: udp"));
    }
    settings.statsd = Some(statsd);
    Ok(())
}

fn wrong(name: &str, what: impl Into<String>) -> Error {
    Error::Variable { name: name.to_owned(), what: what.into() }
}

/// A path that a variable or the file has to say.
fn needed(name: &str, file: Option<PathBuf>, get: Get<'_>) -> Result<PathBuf, Error> {
    let path = get(name).map(PathBuf::from).or(file);
    path.ok_or_else(|| wrong(name, "is missing, and needed with the others that are set"))
}

fn duration(name: &str, text: &str) -> Result<Duration, Error> {
    kit::duration::parse(text).ok_or_else(|| wrong(name, "is no duration, allowed: such as 24h or 20ms"))
}

fn value<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|error| wrong(name, format!("is `{text}`: {error}")))
}

/// The truth values that the reference understands.
fn flag(name: &str, get: Get<'_>) -> Result<Option<bool>, Error> {
    match get(name).as_deref() {
        None => Ok(None),
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(Some(true)),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(Some(false)),
        Some(other) => Err(wrong(name, format!("is `{other}`, allowed: true, false"))),
    }
}

#[cfg(test)]
mod tests;

//! The environment variables of the reference, so that a chart needs to change no more than the image. They go before the
//! file. Variables that have no meaning here (pools, statsd, memcached's) are ignored; `docs/rate-limiting.md` lists them.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use kit::config::Error;
use kit::net::Address;
use kit::redact::Redacted;
use kit::telemetry::Format;
use kit::tls::PeerPolicy;

use super::redis::{RedisSettings, Sentinel, Server, Tls};
use super::{Settings, StoreSettings, XdsSettings};
use crate::algorithm::Counting;
use crate::respond::Standard;

/// Finds a variable that is set.
type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings with the variables' in their place.
pub(super) fn apply(mut settings: Settings, get: Get<'_>) -> Result<Settings, Error> {
    listeners(&mut settings, get)?;
    rules(&mut settings, get)?;
    redis(&mut settings, get)?;
    answers(&mut settings, get)?;
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
    if flag("GRPC_SERVER_USE_TLS", get)? == Some(true) {
        settings.grpc.tls = Some(kit::tls::ServerSettings {
            cert: PathBuf::from(needed("GRPC_SERVER_TLS_CERT", get)?),
            key: PathBuf::from(needed("GRPC_SERVER_TLS_KEY", get)?),
            client_ca: get("GRPC_CLIENT_TLS_CACERT").map(PathBuf::from),
            allowed_clients: peer("GRPC_CLIENT_TLS_SAN", get),
        });
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
        let mut traces = kit::trace::Settings::to("http://localhost:4317");
        traces.endpoint = get("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or(traces.endpoint);
        if let Some(rate) = get("TRACING_SAMPLING_RATE") {
            traces.sampling_ratio = value("TRACING_SAMPLING_RATE", &rate)?;
        }
        settings.telemetry.traces = Some(traces);
    }
    Ok(())
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
            let address = get("CONFIG_GRPC_XDS_SERVER_URL").unwrap_or_else(|| "localhost:18000".to_owned());
            let mut xds =
                XdsSettings { address: value("CONFIG_GRPC_XDS_SERVER_URL", &address)?, ..XdsSettings::default() };
            xds.node_id = get("CONFIG_GRPC_XDS_NODE_ID").unwrap_or(xds.node_id);
            if flag("CONFIG_GRPC_XDS_SERVER_USE_TLS", get)? == Some(true) {
                xds.tls = Some(xds_tls(get)?);
            }
            settings.rules.xds = Some(xds);
        }
        None | Some("FILE") => {
            if let Some(root) = get("RUNTIME_ROOT") {
                let below = get("RUNTIME_SUBDIRECTORY").unwrap_or_default();
                let app = get("RUNTIME_APPDIRECTORY").unwrap_or_else(|| "config".to_owned());
                settings.rules.files = vec![PathBuf::from(root).join(below).join(app)];
            }
        }
        Some(_) => return Err(wrong("CONFIG_TYPE", "is unknown, allowed: FILE, GRPC_XDS_SOTW")),
    }
    Ok(())
}

fn xds_tls(get: Get<'_>) -> Result<kit::tls::ClientSettings, Error> {
    Ok(kit::tls::ClientSettings {
        ca: PathBuf::from(needed("CONFIG_GRPC_XDS_SERVER_TLS_CACERT", get)?),
        cert: get("CONFIG_GRPC_XDS_CLIENT_TLS_CERT").map(PathBuf::from),
        key: get("CONFIG_GRPC_XDS_CLIENT_TLS_KEY").map(PathBuf::from),
        allowed_servers: peer("CONFIG_GRPC_XDS_SERVER_TLS_SAN", get),
    })
}

/// The peer's name in its certificate, where a variable says it.
fn peer(name: &str, get: Get<'_>) -> PeerPolicy {
    PeerPolicy { dns: get(name).into_iter().collect(), ..PeerPolicy::default() }
}

fn redis(settings: &mut Settings, get: Get<'_>) -> Result<(), Error> {
    match get("BACKEND_TYPE").as_deref() {
        None | Some("redis") => {}
        Some(_) => return Err(wrong("BACKEND_TYPE", "is unknown, allowed: redis; memcached is not supported")),
    }
    if let Some(url) = get("REDIS_URL") {
        let mut redis = RedisSettings { server: server("REDIS", &url, get)?, ..RedisSettings::default() };
        if flag("REDIS_PERSECOND", get)? == Some(true) {
            redis.per_second = Some(server("REDIS_PERSECOND", &needed("REDIS_PERSECOND_URL", get)?, get)?);
        }
        if let Some(timeout) = get("REDIS_TIMEOUT") {
            redis.deadline = duration("REDIS_TIMEOUT", &timeout)?;
        }
        redis.ready_only_with_redis = flag("REDIS_HEALTH_CHECK_ACTIVE_CONNECTION", get)? == Some(true);
        settings.store = StoreSettings::Redis(Box::new(redis));
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

/// A Redis by the variables that begin with `prefix`.
fn server(prefix: &str, url: &str, get: Get<'_>) -> Result<Server, Error> {
    let name = |rest: &str| format!("{prefix}_{rest}");
    let mut server = Server::default();
    let address = |text: &str| value::<Address>(&name("URL"), text);
    match get(&name("TYPE")).unwrap_or_default().to_uppercase().as_str() {
        "SENTINEL" => {
            let (master, sentinels) = url.split_once(',').ok_or_else(|| {
                wrong(&name("URL"), "needs the master's name and at least one Sentinel: name,host:port,host:port")
            })?;
            let addresses = sentinels.split(',').map(address).collect::<Result<_, _>>()?;
            let password = get(&name("SENTINEL_AUTH")).map(Redacted::new);
            server.sentinel = Some(Sentinel { master: master.to_owned(), addresses, password, username: None });
        }
        "CLUSTER" => server.cluster = url.split(',').map(address).collect::<Result<_, _>>()?,
        "" | "SINGLE" if get(&name("SOCKET_TYPE")).is_some_and(|kind| kind.starts_with("tcp")) => {
            server.address = Some(address(url)?);
        }
        "" | "SINGLE" => server.address = Some(Address::Unix(PathBuf::from(url))),
        _ => return Err(wrong(&name("TYPE"), "is unknown, allowed: SINGLE, SENTINEL, CLUSTER")),
    }
    if let Some(auth) = get(&name("AUTH")) {
        let (username, password) =
            auth.split_once(':').map_or((None, auth.as_str()), |(user, password)| (Some(user), password));
        (server.username, server.password) = (username.map(str::to_owned), Some(Redacted::new(password.to_owned())));
    }
    if flag(&name("TLS"), get)? == Some(true) {
        let file = |name: &str| get(name).map(PathBuf::from);
        // The reference has one set of files for both.
        server.tls = Some(Tls {
            ca: file("REDIS_TLS_CACERT"),
            cert: file("REDIS_TLS_CLIENT_CERT"),
            key: file("REDIS_TLS_CLIENT_KEY"),
        });
    }
    Ok(server)
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

fn wrong(name: &str, what: impl Into<String>) -> Error {
    Error::Variable { name: name.to_owned(), what: what.into() }
}

fn needed(name: &str, get: Get<'_>) -> Result<String, Error> {
    get(name).ok_or_else(|| wrong(name, "is missing, and needed with the others that are set"))
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
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Settings, Error> {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        apply(Settings::default(), &get)
    }

    #[test]
    fn the_variables_of_a_usual_deployment_are_understood() {
        let settings = with(&[
            ("CONFIG_TYPE", "GRPC_XDS_SOTW"),
            ("CONFIG_GRPC_XDS_SERVER_URL", "envoy-gateway:18001"),
            ("CONFIG_GRPC_XDS_NODE_ID", "envoy-ratelimit"),
            ("CONFIG_GRPC_XDS_SERVER_USE_TLS", "true"),
            ("CONFIG_GRPC_XDS_SERVER_TLS_CACERT", "/certs/ca.crt"),
            ("REDIS_SOCKET_TYPE", "tcp"),
            ("REDIS_URL", "redis:6379"),
            ("REDIS_AUTH", "limits:secret"),
            ("GRPC_PORT", "9081"),
            ("DEBUG_HOST", "0.0.0.0"),
            ("SHADOW_MODE", "true"),
            ("LOG_LEVEL", "WARNING"),
            ("USE_PROMETHEUS", "true"),
            ("PROMETHEUS_ADDR", ":19001"),
            ("TRACING_ENABLED", "true"),
            ("TRACING_SAMPLING_RATE", "0.1"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
            ("DRAIN_DELAY", "5s"),
        ])
        .unwrap();
        assert_eq!(settings.metrics.map(|address| address.to_string()).as_deref(), Some("0.0.0.0:19001"));
        let traces = settings.telemetry.traces.unwrap();
        assert_eq!((traces.endpoint.as_str(), traces.sampling_ratio), ("http://collector:4317", 0.1));
        assert_eq!(settings.drain.delay, Duration::from_secs(5));
        let xds = settings.rules.xds.unwrap();
        assert_eq!(
            (xds.address.to_string().as_str(), xds.node_id.as_str()),
            ("envoy-gateway:18001", "envoy-ratelimit")
        );
        assert!(xds.tls.is_some() && settings.shadow_mode);
        assert_eq!(settings.grpc.address.to_string(), "0.0.0.0:9081");
        assert_eq!(settings.admin.address.unwrap().to_string(), "0.0.0.0:6070");
        let StoreSettings::Redis(redis) = settings.store else { panic!("no Redis") };
        assert_eq!(redis.server.address.unwrap().to_string(), "redis:6379");
        assert_eq!(
            (redis.server.username.as_deref(), redis.server.password.unwrap().reveal().as_str()),
            (Some("limits"), "secret")
        );
    }

    #[test]
    fn every_kind_of_redis_is_understood() {
        let server = |kind: &str, url: &str| {
            let settings = with(&[("REDIS_TYPE", kind), ("REDIS_URL", url), ("RUNTIME_ROOT", "/data")]).unwrap();
            let StoreSettings::Redis(redis) = settings.store else { panic!("no Redis") };
            assert_eq!(settings.rules.files, [PathBuf::from("/data/config")]);
            redis.server
        };
        assert_eq!(server("SINGLE", "/run/redis.sock").address.unwrap().to_string(), "unix:/run/redis.sock");
        let sentinel = server("sentinel", "main,a:1,b:2").sentinel.unwrap();
        assert_eq!((sentinel.master.as_str(), sentinel.addresses.len()), ("main", 2));
        assert_eq!(server("CLUSTER", "a:1,b:2,c:3").cluster.len(), 3);
    }

    #[test]
    fn what_cannot_be_understood_is_said() {
        for (variables, wanted) in [
            ([("BACKEND_TYPE", "memcache"), ("A", "")], "BACKEND_TYPE is unknown, allowed: redis"),
            ([("SHADOW_MODE", "yes"), ("A", "")], "SHADOW_MODE is `yes`, allowed: true, false"),
            ([("GRPC_PORT", "http"), ("A", "")], "GRPC_PORT is `0.0.0.0:http`"),
            ([("TRACING_ENABLED", "true"), ("TRACING_SAMPLING_RATE", "all")], "TRACING_SAMPLING_RATE is `all`"),
            ([("DRAIN_DELAY", "long"), ("A", "")], "DRAIN_DELAY is no duration, allowed: such as"),
            ([("REDIS_URL", "main"), ("REDIS_TYPE", "SENTINEL")], "REDIS_URL needs the master's name"),
            ([("REDIS_URL", "/s"), ("REDIS_PERSECOND", "true")], "REDIS_PERSECOND_URL is missing"),
        ] {
            let error = with(&variables).unwrap_err().to_string();
            assert!(error.starts_with("the environment variable ") && error.contains(wanted), "{error}");
        }
    }
}

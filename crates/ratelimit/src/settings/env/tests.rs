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
    ])
    .unwrap();
    let xds = settings.rules.xds.unwrap();
    assert_eq!((xds.address.to_string().as_str(), xds.node_id.as_str()), ("envoy-gateway:18001", "envoy-ratelimit"));
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

const FILE: &str = "
grpc: {tls: {cert: a.crt, key: a.key, clientCa: ca.crt}}
rules: {xds: {address: 'plane:1', nodeId: me, tls: {ca: plane.crt, cert: own.crt, key: own.key}}}
store:
  redis:
    server: {sentinel: {master: m, addresses: ['s:1'], password: x}, username: u, database: 2, connections: 3, tls: {ca: r.crt}}
    perSecond: {address: 'quick:1', connections: 5}
    deadline: 7ms
    onFailure: local
    replicas: 4
statsd: {address: 'stats:1', interval: 3s}
";

#[test]
fn a_variable_changes_its_own_field_only() {
    let file: Settings = kit::config::parse("ratelimit.yaml", FILE).unwrap();
    let with = |variables: &[(&str, &str)]| {
        let get = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        apply(file.clone(), &get).unwrap()
    };
    assert_eq!(with(&[]), file);
    let redis = |settings: &Settings| match &settings.store {
        StoreSettings::Redis(redis) => (**redis).clone(),
        StoreSettings::Memory(_) => panic!("no Redis"),
    };
    // Nothing but the place, the password, the deadline.
    let changed = redis(&with(&[
        ("REDIS_URL", "main,t:2"),
        ("REDIS_TYPE", "SENTINEL"),
        ("REDIS_AUTH", "y"),
        ("REDIS_TIMEOUT", "9ms"),
        ("REDIS_PERSECOND", "true"),
        ("REDIS_TLS", "true"),
    ]));
    let mut wanted = redis(&file);
    let sentinel = wanted.server.sentinel.as_mut().unwrap();
    (sentinel.master, sentinel.addresses) = ("main".to_owned(), vec!["t:2".parse().unwrap()]);
    (wanted.server.username, wanted.server.password) = (None, Some("y".to_owned().into()));
    wanted.deadline = std::time::Duration::from_millis(9);
    assert_eq!(changed, wanted);
    let changed = with(&[
        ("GRPC_SERVER_USE_TLS", "true"),
        ("GRPC_SERVER_TLS_CERT", "b.crt"),
        ("CONFIG_TYPE", "GRPC_XDS_SOTW"),
        ("CONFIG_GRPC_XDS_SERVER_USE_TLS", "true"),
        ("CONFIG_GRPC_XDS_NODE_ID", "you"),
        ("USE_STATSD", "true"),
        ("STATSD_PORT", "2"),
    ]);
    let mut wanted = file.clone();
    wanted.grpc.tls.as_mut().unwrap().cert = "b.crt".into();
    wanted.rules.xds.as_mut().unwrap().node_id = "you".to_owned();
    wanted.statsd.as_mut().unwrap().address = "stats:2".parse().unwrap();
    assert_eq!(changed, wanted);
    // Rules come from one place.
    let rules = with(&[("RUNTIME_ROOT", "/data")]).rules;
    assert!(rules.xds.is_none() && rules.files == [PathBuf::from("/data/config")]);
}

#[test]
fn what_cannot_be_understood_is_said() {
    for (variables, wanted) in [
        ([("BACKEND_TYPE", "memcache"), ("A", "")], "BACKEND_TYPE is unknown, allowed: redis"),
        ([("SHADOW_MODE", "yes"), ("A", "")], "SHADOW_MODE is `yes`, allowed: true, false"),
        ([("GRPC_PORT", "http"), ("A", "")], "GRPC_PORT is `0.0.0.0:http`"),
        ([("REDIS_URL", "main"), ("REDIS_TYPE", "SENTINEL")], "REDIS_URL needs the master's name"),
        ([("REDIS_URL", "/s"), ("REDIS_PERSECOND", "true")], "REDIS_PERSECOND_URL is missing"),
        ([("REDIS_AUTH", "secret"), ("A", "")], "REDIS_AUTH is set, and nothing says where Redis is: set REDIS_URL"),
        ([("BACKEND_TYPE", "redis"), ("REDIS_PORT", "tcp://10.0.0.1:6379")], "BACKEND_TYPE is set, and nothing says"),
        ([("USE_STATSD", "true"), ("STATSD_PROTOCOL", "tcp")], "STATSD_PROTOCOL is not supported, allowed: udp"),
    ] {
        let error = with(&variables).unwrap_err().to_string();
        assert!(error.starts_with("the environment variable ") && error.contains(wanted), "{error}");
    }
}

#[test]
fn telemetry_and_drain_are_told_as_the_controller_tells_them() {
    let settings = with(&[
        ("RUNTIME_ROOT", "/data"),
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
    assert_eq!(
        (traces.endpoint.as_str(), traces.sampling_ratio.to_string().as_str()),
        ("http://collector:4317", "0.1")
    );
    assert_eq!(settings.drain.delay, Duration::from_secs(5));
    for variables in
        [[("TRACING_ENABLED", "true"), ("TRACING_SAMPLING_RATE", "all")], [("DRAIN_DELAY", "long"), ("A", "")]]
    {
        let error = with(&variables).unwrap_err().to_string();
        assert!(
            error.contains("TRACING_SAMPLING_RATE is `all`") || error.contains("DRAIN_DELAY is no duration"),
            "{error}"
        );
    }
}

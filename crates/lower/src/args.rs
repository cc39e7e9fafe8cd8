//! Envoy's command line.

use ir::api::ext::{EnvoyProxySpec, envoy_proxy::LogLevel};

/// The key of the level of all components that have no level of their own.
const DEFAULT: &str = "default";

/// The arguments that an Envoy of these settings is started with, beside those that say where its configuration is.
pub fn envoy_args(proxy: &EnvoyProxySpec) -> Vec<String> {
    let mut args = Vec::new();
    let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
    let levels = &proxy.logging.level;
    flag("--log-level", levels.get(DEFAULT).copied().unwrap_or(LogLevel::Warn).as_str().to_owned());
    let components: Vec<String> = levels
        .iter()
        .filter(|(component, _)| *component != DEFAULT)
        .map(|(component, level)| format!("{component}:{}", level.as_str()))
        .collect();
    if !components.is_empty() {
        flag("--component-log-level", components.join(","));
    }
    if let Some(workers) = proxy.concurrency {
        flag("--concurrency", workers.to_string());
    }
    flag("--drain-time-s", proxy.drain_timeout().as_secs().to_string());
    // All connections are asked to close at once, instead of ever more of them: whoever stops an Envoy waits for it.
    flag("--drain-strategy", "immediate".to_owned());
    // Envoy looks through every field of every update for unknown ones, to count them. Ours come from the same protobufs;
    // without the search an update of a route table takes half the time.
    args.push("--ignore-unknown-dynamic-fields".to_owned());
    // Several Envoys may run on a machine, and none takes over from another.
    args.push("--disable-hot-restart".to_owned());
    args.extend(proxy.extra_args.iter().cloned());
    args
}

#[cfg(test)]
mod tests {
    use ir::api::ext::envoy_proxy::{Logging, Shutdown};

    use super::*;

    #[test]
    fn settings_are_arguments() {
        let level = [(DEFAULT, LogLevel::Error), ("upstream", LogLevel::Debug), ("http", LogLevel::Trace)];
        let proxy = EnvoyProxySpec {
            logging: Logging { level: level.map(|(name, level)| (name.to_owned(), level)).into() },
            concurrency: Some(2),
            shutdown: Some(Shutdown { drain_timeout: Some("90s".into()), ..Shutdown::default() }),
            extra_args: vec!["--cpuset-threads".to_owned()],
            ..EnvoyProxySpec::default()
        };
        let expected = "--log-level error --component-log-level http:trace,upstream:debug --concurrency 2 --drain-time-s 90 \
            --drain-strategy immediate --ignore-unknown-dynamic-fields --disable-hot-restart --cpuset-threads";
        assert_eq!(envoy_args(&proxy).join(" "), expected);
        assert_eq!(envoy_args(&EnvoyProxySpec::default())[..2], ["--log-level", "warn"]);
    }
}

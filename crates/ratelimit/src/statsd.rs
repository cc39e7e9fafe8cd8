//! Metrics by the names of the reference, sent to a statsd server: what each counter has grown by, in as few datagrams as
//! possible. They are made of the metrics that there are ([`crate::metrics`]), not counted once more.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use kit::Kit;
use kit::metrics::Described as _;
use kit::net::Address;
use prometheus::Registry;
use prometheus::proto::{Metric, MetricFamily};
use tokio::net::{UdpSocket, lookup_host};

use crate::decide::Limiter;
use crate::metrics::Name;
use crate::rules::Rules;
use crate::settings::Statsd;

/// What fits into a packet of Ethernet with any headers.
const DATAGRAM: usize = 1432;

/// Our counters of rules, and how the reference calls them.
const OF_RULES: [(Name, &str); 6] = [
    (Name::Hits, "total_hits"),
    (Name::Over, "over_limit"),
    (Name::Near, "near_limit"),
    (Name::OverCached, "over_limit_with_local_cache"),
    (Name::Within, "within_limit"),
    (Name::Shadow, "shadow_mode"),
];

/// Our other counters, all labels together.
const OF_SERVICE: [(&str, &str); 9] = [
    ("ratelimit_requests_total", "ratelimit_server.ShouldRateLimit.total_requests"),
    ("ratelimit_malformed_requests_total", "ratelimit_server.ShouldRateLimit.total_requests"),
    ("ratelimit_malformed_requests_total", "ratelimit.service.call.should_rate_limit.service_error"),
    ("ratelimit_fallback_total", "ratelimit.service.call.should_rate_limit.redis_error"),
    ("ratelimit_global_shadow_mode_total", "ratelimit.service.global_shadow_mode"),
    ("config_reloads_total", "ratelimit.service.config_load_success"),
    ("config_reload_failures_total", "ratelimit.service.config_load_error"),
    ("ratelimit_xds_updates_total", "ratelimit.service.config_load_success"),
    ("ratelimit_xds_updates_total", "ratelimit.service.config_load_error"),
];

/// Sends until the process stops, and once more then.
pub(crate) fn start(kit: &Kit, settings: Statsd, limiter: Arc<Limiter>) {
    let (metrics, shutdown) = (kit.metrics.clone(), kit.shutdown.clone());
    kit.tasks.spawn("statsd", async move {
        let (mut counts, mut reported) = (Counts::default(), false);
        let mut running = true;
        while running {
            running = shutdown.unless_stopping(tokio::time::sleep(settings.interval)).await.is_some();
            let lines = counts.grown(metrics.registry(), &limiter.rules().rules);
            match send(&settings.address, &lines).await {
                Ok(()) => reported = false,
                // What was not sent is not sent later: statsd adds up what it hears, and that is known to be lossy.
                Err(error) if !reported => {
                    tracing::warn!(address = %settings.address, "statsd cannot be told: {error}");
                    reported = true;
                }
                Err(_) => {}
            }
        }
        Ok::<(), io::Error>(())
    });
}

async fn send(address: &Address, lines: &[String]) -> io::Result<()> {
    let Address::Tcp(address) = address else { return Ok(()) };
    let server = lookup_host(address.as_str()).await?.next();
    let server = server.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).await?;
    for datagram in datagrams(lines) {
        socket.send_to(datagram.as_bytes(), server).await?;
    }
    Ok(())
}

/// Lines together as long as they fit.
fn datagrams(lines: &[String]) -> Vec<String> {
    let mut datagrams: Vec<String> = Vec::new();
    for line in lines {
        match datagrams.last_mut().filter(|last| last.len() + 1 + line.len() <= DATAGRAM) {
            Some(last) => *last += &format!("\n{line}"),
            None => datagrams.push(line.clone()),
        }
    }
    datagrams
}

/// What was told already, by name.
#[derive(Debug, Default)]
struct Counts(HashMap<String, u64>);

impl Counts {
    /// A line for each counter that has grown.
    fn grown(&mut self, registry: &Registry, rules: &Rules) -> Vec<String> {
        let now = totals(&registry.gather(), rules);
        let before = std::mem::replace(&mut self.0, now);
        let mut lines: Vec<String> = Vec::new();
        for (name, count) in &self.0 {
            // A counter that is less than it was has begun anew.
            let old = before.get(name).filter(|old| *old <= count).unwrap_or(&0);
            if count > old {
                lines.push(format!("{name}:{}|c", count - old));
            }
        }
        lines.sort_unstable();
        lines
    }
}

/// All counters by the names of the reference.
fn totals(families: &[MetricFamily], rules: &Rules) -> HashMap<String, u64> {
    let paths = paths(rules);
    let mut totals: HashMap<String, u64> = HashMap::new();
    for family in families {
        for (name, last) in OF_RULES {
            for metric in family.get_metric().iter().filter(|_| family.name() == name.describe().0) {
                let (domain, rule) = (label(metric, "domain"), label(metric, "rule"));
                let path = paths.get(&(domain, rule)).copied().flatten().unwrap_or(rule);
                let name = format!("ratelimit.service.rate_limit.{}.{last}", plain(&format!("{domain}.{path}")));
                *totals.entry(name).or_default() += count(metric);
            }
        }
        for (_, name) in OF_SERVICE.iter().filter(|(known, _)| family.name() == *known) {
            let counted = family.get_metric().iter().filter(|metric| is_about(metric, name));
            *totals.entry((*name).to_owned()).or_default() += counted.map(count).sum::<u64>();
        }
    }
    totals
}

/// Whether a metric of the configuration is about what this name says: that of the rules, taken or not.
fn is_about(metric: &Metric, name: &str) -> bool {
    let outcome = if name.ends_with("config_load_error") { "nack" } else { "ack" };
    match (label(metric, "config"), label(metric, "outcome")) {
        ("", "") | ("rules", _) => true,
        (_, known) => known == outcome,
    }
}

/// The paths of rules that have a name, by domain and name; none where several share it. The reference knows them by path.
fn paths(rules: &Rules) -> HashMap<(&str, &str), Option<&str>> {
    let mut paths: HashMap<(&str, &str), Option<&str>> = HashMap::new();
    for rule in rules.all() {
        let path = paths.entry((&*rule.domain, rule.label()));
        path.and_modify(|path| *path = None).or_insert(Some(&*rule.path));
    }
    paths
}

fn label<'a>(metric: &'a Metric, name: &str) -> &'a str {
    metric.get_label().iter().find(|pair| pair.name() == name).map_or("", |pair| pair.value())
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters are whole numbers")]
fn count(metric: &Metric) -> u64 {
    metric.get_counter().get_value() as u64
}

/// A name as the reference sends it: separators of statsd and the dots of addresses are `_`.
fn plain(name: &str) -> String {
    let name = name.replace([':', '|', '\n'], "_");
    let mut plain = String::with_capacity(name.len());
    let mut rest = name.as_str();
    while let Some(start) = rest.find(|character: char| character.is_ascii_digit()) {
        let length = address(&rest[start..]);
        let end = start + length.unwrap_or(1);
        plain += &rest[..start];
        let found = &rest[start..end];
        plain += &if length.is_some() { found.replace('.', "_") } else { found.to_owned() };
        rest = &rest[end..];
    }
    plain + rest
}

/// The length of the IPv4 address that a text begins with: four times up to three digits.
fn address(text: &str) -> Option<usize> {
    let mut at = 0;
    for part in 0..4 {
        let digits = text[at..].bytes().take(3).take_while(u8::is_ascii_digit).count();
        at += digits;
        if digits == 0 || (part < 3 && !text[at..].starts_with('.')) {
            return None;
        }
        at += usize::from(part < 3);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn names_are_those_of_the_reference() {
        for (name, wanted) in [
            ("edge.user", "edge.user"),
            ("edge.remote_address_192.0.2.1.path_/a:b|c", "edge.remote_address_192_0_2_1.path_/a_b_c"),
            ("v1.2.3", "v1.2.3"),
            ("1.2.3.4.5.6.7.8", "1_2_3_4.5_6_7_8"),
            ("a1234.1.1.1", "a1234_1_1_1"),
        ] {
            assert_eq!(plain(name), wanted);
        }
    }

    #[test]
    fn what_has_grown_is_told_once() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry);
        let text =
            "{domain: edge, descriptors: [{key: user, rate_limit: {unit: day, name: users, requests_per_unit: 1}}]}";
        let rules = crate::rules::read(&[("r.yaml".to_owned(), text.to_owned())]).unwrap().rules;
        let mut counts = Counts::default();
        let counters = metrics.of_rules(&rules);
        counters[0].hits.inc_by(3);
        metrics.passed.inc();
        metrics.malformed.with_label_values(&["no_domain"]).inc();
        metrics.updates.with_label_values(&["ack"]).inc();
        metrics.fallbacks.with_label_values(&["allow", "down"]).inc();
        metrics.fallbacks.with_label_values(&["allow", "deadline"]).inc();
        assert_eq!(
            counts.grown(&registry, &rules),
            [
                "ratelimit.service.call.should_rate_limit.redis_error:2|c",
                "ratelimit.service.call.should_rate_limit.service_error:1|c",
                "ratelimit.service.config_load_success:1|c",
                "ratelimit.service.rate_limit.edge.user.total_hits:3|c",
                "ratelimit_server.ShouldRateLimit.total_requests:2|c",
            ]
        );
        assert_eq!(counts.grown(&registry, &rules), Vec::<String>::new());
        counters[0].hits.inc();
        assert_eq!(counts.grown(&registry, &rules), ["ratelimit.service.rate_limit.edge.user.total_hits:1|c"]);
    }

    #[test]
    fn lines_share_datagrams() {
        let lines: Vec<String> = (0..100).map(|number| format!("{number:040}:1|c")).collect();
        let datagrams = datagrams(&lines);
        assert!(datagrams.len() == 4 && datagrams.iter().all(|datagram| datagram.len() <= DATAGRAM));
        assert_eq!(datagrams.join("\n").lines().collect::<Vec<_>>(), lines);
    }
}

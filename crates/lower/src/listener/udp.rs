//! Datagrams, forwarded by session: those of one client address and port go to the same end point.

use envoy::{
    ext::{
        matching::{network_inputs::SourcePortInput, runtime_fraction::RuntimeFraction},
        udp::udp_proxy::{Route, UdpProxyConfig, udp_proxy_config::RouteSpecifier},
    },
    listener::{self as envoy_listener, ListenerFilter, UdpListenerConfig, listener_filter},
    types::{FractionalPercent, fractional_percent::DenominatorType},
    xds_core::TypedExtensionConfig,
    xds_matcher::{
        Matcher,
        matcher::{
            MatcherList, MatcherType, OnMatch,
            matcher_list::{FieldMatcher, Predicate, predicate},
            on_match,
        },
    },
};
use ir::{Listener, UdpProxy, WeightedCluster};

use super::address;

/// A listener for datagrams, bound to `port`. Without clusters they are dropped.
pub(super) fn lower(listener: &Listener, port: u16, proxy: &UdpProxy) -> envoy_listener::Listener {
    let config = UdpProxyConfig {
        stat_prefix: proxy.name.to_string(),
        route_specifier: Some(RouteSpecifier::Matcher(matcher(&proxy.clusters))),
        ..Default::default()
    };
    let (address, additional_addresses) = address::bind(listener, port);
    envoy_listener::Listener {
        name: listener.name.to_string(),
        address: Some(address),
        additional_addresses,
        listener_filters: vec![ListenerFilter {
            name: "envoy.filters.udp_listener.udp_proxy".to_owned(),
            config_type: Some(listener_filter::ConfigType::TypedConfig(envoy::any(&config))),
            ..Default::default()
        }],
        udp_listener_config: Some(UdpListenerConfig::default()),
        ..Default::default()
    }
}

/// Chooses a cluster for each session.
///
/// Datagrams know no weighted clusters. Where there are several, the client's port decides, hashed with another seed at each
/// step: the first takes its share of all, the second its share of the rest, and so on.
fn matcher(clusters: &[WeightedCluster]) -> Matcher {
    let shares: Vec<_> = clusters.iter().filter(|share| share.weight > 0).collect();
    let mut rest: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let Some((last, first)) = shares.split_last() else { return Matcher::default() };
    let mut matchers = Vec::new();
    for (seed, share) in first.iter().enumerate() {
        matchers.push(FieldMatcher {
            predicate: Some(taken(u64::from(share.weight), rest, seed as u64)),
            on_match: Some(on_match(share)),
        });
        rest -= u64::from(share.weight);
    }
    let several = !matchers.is_empty();
    let matcher_type = several.then_some(MatcherType::MatcherList(MatcherList { matchers }));
    Matcher { matcher_type, on_no_match: last.cluster.is_some().then(|| Box::new(on_match(last))) }
}

fn taken(weight: u64, of: u64, seed: u64) -> Predicate {
    let numerator = u32::try_from(weight * 1_000_000 / of.max(1)).unwrap_or(1_000_000);
    let fraction = RuntimeFraction {
        runtime_fraction: Some(envoy::core::RuntimeFractionalPercent {
            default_value: Some(FractionalPercent { numerator, denominator: DenominatorType::Million.into() }),
            ..Default::default()
        }),
        seed,
    };
    let single = predicate::SinglePredicate {
        input: Some(extension("source_port", &SourcePortInput {})),
        matcher: Some(predicate::single_predicate::Matcher::CustomMatch(extension("fraction", &fraction))),
    };
    Predicate { match_type: Some(predicate::MatchType::SinglePredicate(single)) }
}

/// A share whose reference does not resolve goes to a cluster that is never there: its datagrams are dropped.
fn on_match(share: &WeightedCluster) -> OnMatch {
    let cluster = share.cluster.as_deref().unwrap_or("unresolved").to_owned();
    OnMatch { on_match: Some(on_match::OnMatch::Action(extension("route", &Route { cluster }))), ..Default::default() }
}

fn extension<M: envoy::Message + envoy::Name>(name: &str, config: &M) -> TypedExtensionConfig {
    TypedExtensionConfig { name: name.to_owned(), typed_config: Some(envoy::any(config)) }
}

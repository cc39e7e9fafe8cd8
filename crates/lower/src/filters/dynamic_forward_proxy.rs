//! `envoy.filters.http.dynamic_forward_proxy`: requests for a back end that is found by the host they name wait here until
//! DNS has answered.

use envoy::{
    cluster::cluster::DnsLookupFamily,
    ext::{
        http::dynamic_forward_proxy::{FilterConfig, filter_config::ImplementationSpecifier},
        shared::dynamic_forward_proxy::DnsCacheConfig,
    },
};
use ir::IpFamily;

use crate::{
    cluster::lookup_family,
    http_filters::{Chain, Instance},
};

/// One for each way of asking DNS. On for all routes: it lets those alone whose cluster is of another kind.
pub(crate) fn instances(chain: &Chain<'_>) -> Vec<Instance> {
    let instance = |family: &IpFamily| {
        let config = FilterConfig {
            implementation_specifier: Some(ImplementationSpecifier::DnsCacheConfig(dns_cache(*family))),
            ..Default::default()
        };
        Instance::on(format!("envoy.filters.http.dynamic_forward_proxy/{}", family_name(*family)), &config)
    };
    chain.scope.dynamic_families.iter().map(instance).collect()
}

/// The cache that the filter and its clusters share: Envoy demands that all who name it agree on it.
pub(crate) fn dns_cache(family: IpFamily) -> DnsCacheConfig {
    let lookup: DnsLookupFamily = lookup_family(family);
    DnsCacheConfig {
        name: format!("dynamic-{}", family_name(family)),
        dns_lookup_family: lookup.into(),
        ..Default::default()
    }
}

fn family_name(family: IpFamily) -> &'static str {
    match family {
        IpFamily::V4 => "ipv4",
        IpFamily::V6 => "ipv6",
        IpFamily::Dual => "dual",
    }
}

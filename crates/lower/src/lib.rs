//! The resolved gateway as Envoy resources.
//!
//! ```text
//! ir::Gateway ─▶ lower() ─▶ Lowered: listeners, route configurations, clusters, secrets, encoded and by name
//!                  ▲  │
//!                  Memo: what was made the last time, compared by pointer
//! ir::Endpoints ─▶ endpoints() ─▶ the end points of one cluster, on their own short way
//! ```
//!
//! Pure: the same gateway gives the same bytes. A change of one route costs the encoding of one route and the copying of its
//! table: routes are encoded one by one and kept, and hosts and tables are put together from their bytes (`wire`).
//! `http_filters` holds the order of the HTTP filter chain; each filter has a module in `filters`.

mod access_log;
pub mod args;
pub mod bootstrap;
mod cluster;
mod convert;
mod endpoints;
mod filters;
mod host;
mod http_filters;
mod kept;
mod listener;
mod login;
mod memo;
mod metadata;
mod output;
mod ports;
mod rate_limit;
mod route;
mod scope;
mod secret;
mod settings;
mod static_bootstrap;
mod table;
mod telemetry;
mod tls;
mod tracing;
mod wire;

use std::{collections::BTreeMap, sync::Arc};

use envoy::type_url;
use ir::{Gateway, Protocol, RouteTable, Transport};

pub use self::{
    args::envoy_args,
    bootstrap::{BootstrapError, BootstrapSettings, bootstrap, check_bootstrap},
    endpoints::endpoints,
    login::login_profiles,
    memo::Memo,
    output::{Lowered, Origin, Resource, Resources},
    ports::{POD_PORTS, bound_ports},
    rate_limit::rate_limit_config,
    settings::{RateLimitSettings, Settings},
    static_bootstrap::static_bootstrap,
};
use self::{
    host::HostOptions,
    kept::{equal, identical},
    scope::Scope,
};

/// Envoy's configuration for one fleet. `memo` is that of the same fleet the time before, or a new one.
pub fn lower(gateway: &Gateway, settings: &Settings, memo: &mut Memo) -> Lowered {
    memo.prepare(settings);
    let same_clusters = memo.take_clusters(&gateway.clusters);
    let scope = Scope::new(gateway, settings, memo.families());
    let tables = tables(&scope, memo);
    let resources = BTreeMap::from([
        (type_url::LISTENER, listener::listeners(&scope, memo)),
        (type_url::ROUTE, tables),
        (type_url::CLUSTER, clusters(&scope, same_clusters, memo)),
        (type_url::SECRET, secrets(&scope, memo)),
    ]);
    Lowered { resources }
}

fn tables(scope: &Scope<'_>, memo: &mut Memo) -> Resources {
    let stats = scope.metrics().and_then(|metrics| metrics.enable_virtual_host_stats).unwrap_or_default();
    let options = HostOptions { route: scope.route_options(), stats };
    let (before, kept, resources) = &mut memo.tables;
    if *before != options {
        *kept = Default::default();
        *before = options;
    }
    let mut tables: BTreeMap<&str, &Arc<RouteTable>> = BTreeMap::new();
    for listener in &scope.gateway.listeners {
        let Transport::Tcp(chains) = &listener.transport else { continue };
        for chain in chains {
            if let Protocol::Http(http) = &chain.protocol {
                tables.insert(&http.routes.name, &http.routes);
            }
        }
    }
    let tables: Vec<_> = tables.into_values().collect();
    let changed = kept.update(tables.iter().copied(), table_name, identical, |table, before| {
        before.unwrap_or_default().update(table, options)
    });
    if changed {
        *resources = memo::resources(kept, |_, memo| Arc::clone(&memo.name), |memo| &memo.bytes, Origin::Table);
    }
    Arc::clone(resources)
}

fn table_name(table: &RouteTable) -> &str {
    &table.name
}

fn clusters(scope: &Scope<'_>, same: bool, memo: &mut Memo) -> Resources {
    let options = cluster::ClusterOptions::of(scope);
    let (before, kept, resources) = &mut memo.clusters;
    if *before == options && same {
        return Arc::clone(resources);
    }
    if *before != options {
        *kept = Default::default();
        *before = options;
    }
    let changed = kept.update(
        scope.gateway.clusters.values().collect::<Vec<_>>().into_iter(),
        cluster_name,
        equal,
        |cluster, _| cluster::encode(cluster, options, scope.settings),
    );
    if changed {
        *resources = memo::resources(kept, |cluster, _| Arc::clone(&cluster.name), |bytes| bytes, Origin::Cluster);
    }
    Arc::clone(resources)
}

fn cluster_name(cluster: &ir::Cluster) -> &str {
    &cluster.name
}

fn secrets(scope: &Scope<'_>, memo: &mut Memo) -> Resources {
    let (kept, resources) = &mut memo.secrets;
    let secrets = secret::all(scope.gateway);
    if kept.update(secrets.iter(), secret_name, equal, |secret, _| secret::encode(secret)) {
        *resources = memo::resources(kept, |secret, _| Arc::clone(&secret.name), |bytes| bytes, Origin::Secret);
    }
    Arc::clone(resources)
}

fn secret_name(secret: &ir::Secret) -> &str {
    &secret.name
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

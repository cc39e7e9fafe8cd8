//! Route tables: their hosts put together from bytes.
//!
//! A table is named after the filters that its routes count on, and a chain of filters asks for a table by that name. So
//! when the filters become others, Envoy has the new chain wait for the new table and takes both at once, while connections
//! that the old chain still finishes keep the old table. With one name for both, routes would for a moment, and on old
//! connections for as long as they last, name a filter that is not in their chain: Envoy passes over it in silence, and
//! a request would go through without the authorization that its route demands.

use std::sync::Arc;

use bytes::Bytes;
use envoy::{Message, route::RouteConfiguration};
use ir::{RouteTable, VirtualHost, route::Respond};

use crate::{
    filters::Needs,
    host::{HostMemo, HostOptions},
    kept::{Kept, identical},
    wire,
};

/// What was made from a table.
#[derive(Debug, Default)]
pub(crate) struct TableMemo {
    hosts: Kept<VirtualHost, HostMemo>,
    /// Its name in Envoy.
    pub(crate) name: Arc<str>,
    /// What its routes need of the filter chain.
    pub(crate) needs: Needs,
    /// The encoded route configuration.
    pub(crate) bytes: Bytes,
}

impl TableMemo {
    /// Brings it up to date.
    pub(crate) fn update(mut self, table: &RouteTable, options: HostOptions) -> Self {
        self.hosts.update(table.hosts.iter(), domain, identical, |host, before| {
            before.unwrap_or_default().update(host, options)
        });
        self.needs = Needs::default();
        self.hosts.iter().for_each(|(_, host)| self.needs.add(&host.needs));
        self.name = match self.needs.fingerprint() {
            Some(fingerprint) => format!("{}~{fingerprint:08x}", table.name).into(),
            None => Arc::clone(&table.name),
        };
        self.bytes = assemble(&self.name, &self.hosts).into();
        self
    }
}

fn domain(host: &VirtualHost) -> &str {
    &host.domain
}

fn assemble(name: &str, hosts: &Kept<VirtualHost, HostMemo>) -> Vec<u8> {
    let shell = RouteConfiguration {
        name: name.to_owned(),
        // The Gateway API wants the port in `Host` left out of account, and `Host` forwarded as it is.
        ignore_port_in_host_matching: true,
        // What is said for one back end of a rule comes after what is said for the rule.
        most_specific_header_mutations_wins: true,
        max_direct_response_body_size_bytes: Some(Respond::MOST_BODY_BYTES),
        ..Default::default()
    };
    let size: usize = hosts.iter().map(|(_, host)| wire::bound(host.bytes.len())).sum();
    let mut out = Vec::with_capacity(size + shell.encoded_len());
    shell.encode(&mut out).expect("a vector takes all that is put into it");
    hosts.iter().for_each(|(_, host)| wire::put_message(&mut out, wire::TABLE_HOSTS, &host.bytes));
    out
}

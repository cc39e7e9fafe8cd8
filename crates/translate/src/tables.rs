//! Route tables: the routes of each host, in order of precedence.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use ir::{RouteTable, VirtualHost};

use crate::{
    names,
    plan::{ListenerPlan, Plan},
    routes::{Attachment, Outcome},
    rules::Entry,
};

/// A route on a listener.
#[derive(Clone, Copy)]
pub(crate) struct Attached<'a> {
    pub(crate) outcome: &'a Outcome,
    pub(crate) attachment: &'a Attachment,
}

/// For each listener, its routes.
pub(crate) fn by_listener<'a>(plan: &Plan, outcomes: &'a [Arc<Outcome>]) -> Vec<Vec<Attached<'a>>> {
    let mut lists: Vec<Vec<Attached<'a>>> = vec![Vec::new(); plan.listeners.len()];
    for outcome in outcomes {
        for attachment in outcome.attachments() {
            lists[attachment.listener].push(Attached { outcome, attachment });
        }
    }
    lists
}

/// Hosts and tables of the translation before: what did not change stays the same `Arc`.
#[derive(Debug, Default)]
pub(crate) struct TableMemo {
    tables: HashMap<Arc<str>, Arc<RouteTable>>,
}

/// Builds tables, with the memory of those before.
#[derive(Debug)]
pub(crate) struct TableBuilder<'m> {
    before: &'m TableMemo,
    pub(crate) after: TableMemo,
}

/// What a host is made of.
#[derive(Default)]
struct Host<'a> {
    entries: Vec<(&'a Entry, &'a Outcome)>,
    misdirected: bool,
}

impl<'m> TableBuilder<'m> {
    pub(crate) fn new(before: &'m TableMemo) -> Self {
        Self { before, after: TableMemo::default() }
    }

    /// The table of all clear HTTP listeners of a port. Each host belongs to the most specific listener that it is one
    /// of: the others' routes for it are left out (listener isolation).
    pub(crate) fn clear(
        &mut self,
        name: String,
        plan: &Plan,
        listeners: &[usize],
        routes: &[Vec<Attached<'_>>],
    ) -> Arc<RouteTable> {
        let mut hosts = BTreeMap::new();
        for index in listeners {
            add_routes(&mut hosts, plan, *index, listeners, &routes[*index]);
        }
        for hostname in listeners.iter().filter_map(|index| plan.listeners[*index].hostname.as_deref()) {
            // A listener without routes for its host still keeps others' routes away from it.
            hosts.entry(Arc::from(hostname)).or_default();
        }
        self.finish(name, hosts)
    }

    /// The table of one HTTPS listener. Hosts of the port's other listeners are answered 421: the client has the wrong
    /// connection for them.
    pub(crate) fn secure(
        &mut self,
        name: String,
        plan: &Plan,
        index: usize,
        listeners: &[usize],
        routes: &[Attached<'_>],
    ) -> Arc<RouteTable> {
        let mut hosts = BTreeMap::new();
        add_routes(&mut hosts, plan, index, listeners, routes);
        if let Some(hostname) = plan.listeners[index].hostname.as_deref() {
            hosts.entry(Arc::from(hostname)).or_default();
        }
        for other in listeners.iter().filter(|other| **other != index) {
            let domain = plan.listeners[*other].hostname.as_deref().unwrap_or("*");
            hosts.entry(Arc::from(domain)).or_insert_with(|| Host { entries: Vec::new(), misdirected: true });
        }
        self.finish(name, hosts)
    }

    fn finish(&mut self, name: String, hosts: BTreeMap<Arc<str>, Host<'_>>) -> Arc<RouteTable> {
        let before = self.before.tables.get(name.as_str());
        let mut old = before.map(|table| table.hosts.iter().peekable());
        let built = hosts.into_iter().map(|(domain, host)| {
            // Both are ordered by domain, so the old host is found by walking along.
            let old = old.as_mut().and_then(|old| {
                while old.next_if(|known| known.domain < domain).is_some() {}
                old.next_if(|known| known.domain == domain)
            });
            virtual_host(domain, host, old)
        });
        let hosts: Vec<_> = built.collect();
        let same = before.filter(|table| {
            table.hosts.len() == hosts.len() && table.hosts.iter().zip(&hosts).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        let table = same.cloned().unwrap_or_else(|| Arc::new(RouteTable { name: name.into(), hosts }));
        self.after.tables.insert(Arc::clone(&table.name), Arc::clone(&table));
        table
    }
}

/// Adds the routes of a listener to the hosts that are its own.
fn add_routes<'a>(
    hosts: &mut BTreeMap<Arc<str>, Host<'a>>,
    plan: &Plan,
    index: usize,
    listeners: &[usize],
    routes: &[Attached<'a>],
) {
    for Attached { outcome, attachment } in routes {
        for domain in &attachment.domains {
            if owner(plan, listeners, domain) == Some(index) {
                let host = hosts.entry(Arc::clone(domain)).or_default();
                host.entries.extend(attachment.compiled.entries.iter().map(|entry| (entry, *outcome)));
            }
        }
    }
}

/// The listener of a socket that a host belongs to: the most specific one whose hosts include it.
pub(crate) fn owner(plan: &Plan, listeners: &[usize], domain: &str) -> Option<usize> {
    let hostname = |index: &usize| plan.listeners[*index].hostname.as_deref();
    let covers = |listener: &ListenerPlan| match domain {
        "*" => listener.hostname.is_none(),
        domain => names::covers(listener.hostname.as_deref(), domain),
    };
    let covering = listeners.iter().copied().filter(|index| covers(&plan.listeners[*index]));
    covering.max_by_key(|index| names::specificity(hostname(index)))
}

/// A host with its routes in order; the old one where it is the same.
fn virtual_host(domain: Arc<str>, host: Host<'_>, old: Option<&Arc<VirtualHost>>) -> Arc<VirtualHost> {
    let Host { mut entries, misdirected } = host;
    entries.sort_by(|(a, a_route), (b, b_route)| {
        let by_rank = Reverse(&a.rank).cmp(&Reverse(&b.rank));
        by_rank.then_with(|| a_route.age.cmp(&b_route.age)).then_with(|| a.rule.cmp(&b.rule))
    });
    let same = old.filter(|old| {
        old.misdirected == misdirected
            && old.routes.len() == entries.len()
            && old.routes.iter().zip(&entries).all(|(old, (entry, _))| Arc::ptr_eq(old, &entry.route))
    });
    same.cloned().unwrap_or_else(|| {
        let routes = entries.into_iter().map(|(entry, _)| Arc::clone(&entry.route)).collect();
        Arc::new(VirtualHost { domain, routes, misdirected })
    })
}

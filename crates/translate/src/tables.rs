//! Route tables: the routes of each host, in order of precedence.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
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
    pub(crate) outcome: &'a Arc<Outcome>,
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

/// Tables of the translation before: hosts that did not change stay the same `Arc`.
#[derive(Debug, Default)]
pub(crate) struct TableMemo {
    tables: HashMap<Arc<str>, Known>,
}

/// A table and what it was made from.
#[derive(Debug)]
struct Known {
    table: Arc<RouteTable>,
    /// The listeners whose routes are in it.
    listeners: Vec<usize>,
    /// The routes of those listeners.
    outcomes: Vec<Arc<Outcome>>,
}

/// Builds tables, with the memory of those before.
#[derive(Debug)]
pub(crate) struct TableBuilder<'m> {
    /// The tables before; nothing when the plan is another, and listeners may mean other things.
    before: Option<&'m TableMemo>,
    pub(crate) after: TableMemo,
}

/// What a host is made of.
#[derive(Default)]
struct Host<'a> {
    entries: Vec<(&'a Entry, &'a Outcome)>,
    misdirected: bool,
}

/// The hosts of a table that have to be looked at.
enum Touched {
    All,
    Some(HashSet<Arc<str>>),
}

impl Touched {
    fn has(&self, domain: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(domains) => domains.contains(domain),
        }
    }
}

impl<'m> TableBuilder<'m> {
    pub(crate) fn new(before: Option<&'m TableMemo>) -> Self {
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
        let touched = self.touched(&name, listeners, routes);
        let mut hosts = BTreeMap::new();
        for index in listeners {
            add_routes(&mut hosts, plan, *index, listeners, &routes[*index], &touched);
        }
        // A listener without routes for its host still keeps others' routes away from it.
        let own = listeners.iter().filter_map(|index| plan.listeners[*index].hostname.as_deref());
        for hostname in own.filter(|hostname| touched.has(hostname)) {
            hosts.entry(Arc::from(hostname)).or_default();
        }
        self.finish(name, hosts, &touched, listeners, routes)
    }

    /// The table of one HTTPS listener. Hosts of the port's other listeners are answered 421: the client has the wrong
    /// connection for them.
    pub(crate) fn secure(
        &mut self,
        name: String,
        plan: &Plan,
        index: usize,
        listeners: &[usize],
        routes: &[Vec<Attached<'_>>],
    ) -> Arc<RouteTable> {
        let own = [index];
        let touched = self.touched(&name, &own, routes);
        let mut hosts = BTreeMap::new();
        add_routes(&mut hosts, plan, index, listeners, &routes[index], &touched);
        let hostname = |index: &usize| plan.listeners[*index].hostname.as_deref();
        if let Some(hostname) = hostname(&index).filter(|hostname| touched.has(hostname)) {
            hosts.entry(Arc::from(hostname)).or_default();
        }
        for other in listeners.iter().filter(|other| **other != index) {
            let domain = hostname(other).unwrap_or("*");
            if touched.has(domain) {
                hosts.entry(Arc::from(domain)).or_insert_with(|| Host { entries: Vec::new(), misdirected: true });
            }
        }
        self.finish(name, hosts, &touched, &own, routes)
    }

    /// The hosts that may have changed since the table before: those of routes that came, went or changed.
    fn touched(&self, name: &str, listeners: &[usize], routes: &[Vec<Attached<'_>>]) -> Touched {
        let Some(known) = self.before.and_then(|before| before.tables.get(name)) else { return Touched::All };
        let now = listeners.iter().flat_map(|index| &routes[*index]).map(|attached| attached.outcome);
        let now: Vec<&Arc<Outcome>> = now.collect();
        let (before, now) = between(&known.outcomes, &now);
        let addresses = |outcomes: &mut dyn Iterator<Item = &Arc<Outcome>>| -> HashSet<*const Outcome> {
            outcomes.map(Arc::as_ptr).collect()
        };
        let (had, has) = (addresses(&mut before.iter()), addresses(&mut now.iter().copied()));
        let went = before.iter().filter(|outcome| !has.contains(&Arc::as_ptr(outcome)));
        let came = now.iter().copied().filter(|outcome| !had.contains(&Arc::as_ptr(outcome)));
        let here = went.chain(came).flat_map(|outcome| outcome.attachments());
        let here = here.filter(|attachment| known.listeners.contains(&attachment.listener));
        let domains = here.flat_map(|attachment| attachment.domains.iter().cloned()).collect();
        Touched::Some(domains)
    }

    /// Puts the table together: touched hosts anew, the others as they were.
    fn finish(
        &mut self,
        name: String,
        hosts: BTreeMap<Arc<str>, Host<'_>>,
        touched: &Touched,
        listeners: &[usize],
        routes: &[Vec<Attached<'_>>],
    ) -> Arc<RouteTable> {
        let before = self.before.and_then(|before| before.tables.get(name.as_str())).map(|known| &known.table);
        let mut old = before.map(|table| table.hosts.as_slice()).unwrap_or_default().iter().peekable();
        let mut merged = Vec::with_capacity(old.len() + hosts.len());
        for (domain, host) in hosts {
            // Both are ordered by domain, so the old hosts are met by walking along.
            while let Some(earlier) = old.next_if(|known| known.domain < domain) {
                merged.extend((!touched.has(&earlier.domain)).then(|| Arc::clone(earlier)));
            }
            let known = old.next_if(|known| known.domain == domain);
            merged.push(virtual_host(domain, host, known));
        }
        merged.extend(old.filter(|earlier| !touched.has(&earlier.domain)).cloned());
        let same = before.filter(|table| {
            table.hosts.len() == merged.len() && table.hosts.iter().zip(&merged).all(|(a, b)| Arc::ptr_eq(a, b))
        });
        let table = same.cloned().unwrap_or_else(|| Arc::new(RouteTable { name: name.into(), hosts: merged }));
        let outcomes = listeners.iter().flat_map(|index| &routes[*index]).map(|attached| Arc::clone(attached.outcome));
        let known = Known { table: Arc::clone(&table), listeners: listeners.to_vec(), outcomes: outcomes.collect() };
        self.after.tables.insert(Arc::clone(&table.name), known);
        table
    }
}

/// What lies between the beginning and the end that two lists have in common.
fn between<'a, 'b>(
    before: &'a [Arc<Outcome>],
    now: &'b [&'b Arc<Outcome>],
) -> (&'a [Arc<Outcome>], &'b [&'b Arc<Outcome>]) {
    let same = |(before, now): &(&Arc<Outcome>, &&Arc<Outcome>)| Arc::ptr_eq(before, now);
    let head = before.iter().zip(now).take_while(same).count();
    let (before, now) = (&before[head..], &now[head..]);
    let tail = before.iter().rev().zip(now.iter().rev()).take_while(same).count();
    (&before[..before.len() - tail], &now[..now.len() - tail])
}

/// Adds the routes of a listener to the hosts that are its own.
fn add_routes<'a>(
    hosts: &mut BTreeMap<Arc<str>, Host<'a>>,
    plan: &Plan,
    index: usize,
    listeners: &[usize],
    routes: &[Attached<'a>],
    touched: &Touched,
) {
    for Attached { outcome, attachment } in routes {
        for domain in attachment.domains.iter().filter(|domain| touched.has(domain)) {
            if owner(plan, listeners, domain) == Some(index) {
                let host = hosts.entry(Arc::clone(domain)).or_default();
                host.entries.extend(attachment.compiled.entries.iter().map(|entry| (entry, &***outcome)));
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

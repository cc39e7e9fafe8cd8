//! Route tables: the routes of each host, in order of precedence. Kept up to date by what changed: hosts that no change is
//! about stay as they are.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ir::{RouteTable, VirtualHost};

use crate::{
    names,
    plan::{ListenerPlan, Plan},
    routes::Outcome,
    rules::{Entry, Rank},
    standing::{Attached, Change},
};

/// What changed, for each listener.
#[derive(Debug, Default)]
pub(crate) struct Moves(HashMap<usize, Moved>);

/// What changed for one listener.
#[derive(Debug, Default)]
struct Moved {
    went: Vec<Attached>,
    came: Vec<Attached>,
}

impl Moves {
    /// Sorts changes by listener.
    pub(crate) fn of(changes: &[Change]) -> Self {
        let mut moves = Self::default();
        for change in changes {
            for attached in change.before.iter().flat_map(Attached::all) {
                moves.0.entry(attached.attachment().listener).or_default().went.push(attached);
            }
            for attached in change.after.iter().flat_map(Attached::all) {
                moves.0.entry(attached.attachment().listener).or_default().came.push(attached);
            }
        }
        moves
    }
}

/// All tables under one plan, by name.
#[derive(Debug, Default)]
pub(crate) struct Tables(HashMap<String, Table>);

/// A table and what it is made from.
#[derive(Debug)]
struct Table {
    built: Arc<RouteTable>,
    hosts: BTreeMap<Arc<str>, Host>,
}

/// A host and what it is made from.
#[derive(Debug, Default)]
struct Host {
    /// In order of precedence.
    entries: Vec<Placed>,
    /// What it is without routes; nothing when it is not there then.
    empty: Option<Empty>,
    built: Option<Arc<VirtualHost>>,
}

/// A host without routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Empty {
    /// It is a listener's own, and keeps others' routes away.
    Own,
    /// It is another listener's: the client has the wrong connection for it.
    Misdirected,
}

/// A route at its place in a host.
#[derive(Debug)]
struct Placed {
    rank: Rank,
    rule: usize,
    /// Its index among all that came of its route, the last word in the order.
    number: usize,
    outcome: Arc<Outcome>,
    route: Arc<ir::Route>,
}

impl Placed {
    fn all(attached: &Attached) -> impl Iterator<Item = Self> {
        let entries = attached.attachment().compiled.entries.iter().enumerate();
        entries.map(|(number, Entry { rank, rule, route })| Self {
            rank: rank.clone(),
            rule: *rule,
            number,
            outcome: Arc::clone(&attached.outcome),
            route: Arc::clone(route),
        })
    }

    /// The better match first, then the older route, then the earlier rule.
    fn order(&self, other: &Self) -> Ordering {
        let by_rank = Reverse(&self.rank).cmp(&Reverse(&other.rank));
        let by_age = || self.outcome.age.cmp(&other.outcome.age);
        by_rank.then_with(by_age).then_with(|| (self.rule, self.number).cmp(&(other.rule, other.number)))
    }
}

/// So many routes are put at their places one by one; more are sorted with all.
const FEW: usize = 16;

impl Host {
    fn put(&mut self, mut more: Vec<Placed>) {
        if more.len() > FEW {
            self.entries.append(&mut more);
            self.entries.sort_by(Placed::order);
            return;
        }
        for placed in more {
            if self.entries.is_empty() {
                // Most hosts have one route.
                self.entries.reserve_exact(1);
            }
            let at = self.entries.partition_point(|other| other.order(&placed) != Ordering::Greater);
            self.entries.insert(at, placed);
        }
    }

    /// The host as it is now; the one before where it is the same.
    fn build(&mut self, domain: &Arc<str>) -> Option<&Arc<VirtualHost>> {
        let misdirected = self.entries.is_empty() && self.empty == Some(Empty::Misdirected);
        if self.entries.is_empty() && self.empty.is_none() {
            self.built = None;
            return None;
        }
        let same = self.built.as_ref().is_some_and(|built| {
            built.misdirected == misdirected
                && built.routes.len() == self.entries.len()
                && built.routes.iter().zip(&self.entries).all(|(old, placed)| Arc::ptr_eq(old, &placed.route))
        });
        if !same {
            let routes = self.entries.iter().map(|placed| Arc::clone(&placed.route)).collect();
            self.built = Some(Arc::new(VirtualHost { domain: Arc::clone(domain), routes, misdirected }));
        }
        self.built.as_ref()
    }
}

/// Builds the tables of a plan.
#[derive(Debug)]
pub(crate) struct TableBuilder<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) moves: &'a Moves,
    pub(crate) tables: &'a mut Tables,
}

impl TableBuilder<'_> {
    /// The table of all clear HTTP listeners of a port. Each host belongs to the most specific listener that it is one
    /// of: the others' routes for it are left out (listener isolation).
    pub(crate) fn clear(&mut self, name: String, listeners: &[usize]) -> Arc<RouteTable> {
        let own = listeners.iter().filter_map(|index| self.plan.listeners[*index].hostname.as_deref());
        let empty = own.map(|hostname| (Arc::from(hostname), Empty::Own)).collect();
        self.table(name, listeners, listeners, empty)
    }

    /// The table of one HTTPS listener. Hosts of the port's other listeners are answered 421: the client has the wrong
    /// connection for them.
    pub(crate) fn secure(&mut self, name: String, index: usize, listeners: &[usize]) -> Arc<RouteTable> {
        let hostname = |index: &usize| self.plan.listeners[*index].hostname.as_deref();
        let others = listeners.iter().filter(|other| **other != index);
        let others = others.map(|other| (Arc::from(hostname(other).unwrap_or("*")), Empty::Misdirected));
        let own = hostname(&index).map(|hostname| (Arc::from(hostname), Empty::Own));
        self.table(name, &[index], listeners, others.chain(own).collect())
    }

    /// A table of the routes of some of a port's listeners. Without routes it has the hosts `empty`.
    fn table(
        &mut self,
        name: String,
        of: &[usize],
        listeners: &[usize],
        empty: BTreeMap<Arc<str>, Empty>,
    ) -> Arc<RouteTable> {
        let plan = self.plan;
        let table = self.tables.0.entry(name).or_insert_with_key(|name| Table::new(name, empty));
        let mut touched = HashSet::new();
        for index in of {
            let Some(moved) = self.moves.0.get(index) else { continue };
            let own = |domain: &&Arc<str>| owner(plan, listeners, domain) == Some(*index);
            for attached in &moved.went {
                for domain in attached.attachment().domains.iter().filter(own) {
                    touched.insert(Arc::clone(domain));
                    if let Some(host) = table.hosts.get_mut(domain) {
                        host.entries.retain(|placed| !Arc::ptr_eq(&placed.outcome, &attached.outcome));
                    }
                }
            }
            let mut came: BTreeMap<&Arc<str>, Vec<Placed>> = BTreeMap::new();
            for attached in &moved.came {
                for domain in attached.attachment().domains.iter().filter(own) {
                    came.entry(domain).or_default().extend(Placed::all(attached));
                }
            }
            for (domain, placed) in came {
                touched.insert(Arc::clone(domain));
                table.hosts.entry(Arc::clone(domain)).or_default().put(placed);
            }
        }
        table.build(&touched)
    }
}

impl Table {
    /// Without routes.
    fn new(name: &str, empty: BTreeMap<Arc<str>, Empty>) -> Self {
        let host = |(domain, empty): (Arc<str>, Empty)| {
            let mut host = Host { empty: Some(empty), ..Host::default() };
            host.build(&domain);
            (domain, host)
        };
        let hosts: BTreeMap<_, _> = empty.into_iter().map(host).collect();
        let built = hosts.values().filter_map(|host| host.built.clone()).collect();
        Self { built: Arc::new(RouteTable { name: name.into(), hosts: built }), hosts }
    }

    fn build(&mut self, touched: &HashSet<Arc<str>>) -> Arc<RouteTable> {
        let mut changed = false;
        for domain in touched {
            let Some(host) = self.hosts.get_mut(domain) else { continue };
            let before = host.built.as_ref().map(Arc::as_ptr);
            let after = host.build(domain).map(Arc::as_ptr);
            changed |= before != after;
            if after.is_none() {
                self.hosts.remove(domain);
            }
        }
        if changed {
            let hosts = self.hosts.values().filter_map(|host| host.built.clone()).collect();
            self.built = Arc::new(RouteTable { name: Arc::clone(&self.built.name), hosts });
        }
        Arc::clone(&self.built)
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

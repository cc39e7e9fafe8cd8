//! What is left of the error budgets of routes, by what the exporter has seen itself.
//!
//! ```text
//! snapshot ─▶ how much each counter grew since the last look ─▶ a slot of the route's ledger
//!             all slots of the window ─▶ 1 - (bad / all) / budget, as the rules of `slo` have it
//! ```
//!
//! What was before the exporter began is not known here, and the page says since when it counts; Prometheus, with those rules,
//! knows the whole window.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::histogram::Histogram;
use crate::labels::Place;
use crate::slo::{self, Goal, Objective, Route};
use crate::traffic::{Said, Snapshot};

/// In so many steps a window moves on.
const STEPS: u32 = 60;
/// The longest annotation that is read, in bytes.
const LONGEST: usize = 1024;

/// The budgets of all routes that promise something.
#[derive(Debug)]
pub(crate) struct Budgets {
    began: Instant,
    ledgers: BTreeMap<Route, Ledger>,
}

/// What a route promises, or why that cannot be understood.
#[derive(Debug, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    Objectives(Vec<Budget>),
    Wrong(String),
}

/// What is left for one objective.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Budget {
    pub(crate) objective: String,
    /// 1: all of it, 0: nothing, below: more than there was. Nothing when there were no requests.
    pub(crate) left: Option<f64>,
    all: u64,
    bad: u64,
    /// The time that the objective is for, in seconds, and how much of it was seen.
    window: u64,
    seen: u64,
}

/// What one route promises, and what became of it.
#[derive(Debug)]
struct Ledger {
    said: Box<[u8]>,
    account: Result<Account, slo::Wrong>,
}

#[derive(Debug)]
struct Account {
    objectives: Vec<Objective>,
    window: Duration,
    slots: VecDeque<Slot>,
    /// What counters said at the last look, by their labels and the number of the objective.
    before: HashMap<Key, Count>,
    /// The same of this look.
    now: HashMap<Key, Count>,
}

type Key = (Arc<str>, usize);

/// What was counted within a step, by objective.
#[derive(Debug)]
struct Slot {
    began: Instant,
    counts: Vec<Count>,
}

/// Requests that an objective is about, and those for which it did not hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    all: u64,
    bad: u64,
}

impl Budgets {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, ledgers: BTreeMap::new() }
    }

    /// For how long this counts.
    pub(crate) fn known(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.began)
    }

    /// Takes in what was counted since the last look. `bounds` are where buckets of times end, in seconds.
    pub(crate) fn look(&mut self, snapshot: &Snapshot, bounds: &[f64], now: Instant) {
        self.read(snapshot, bounds);
        let routes: HashMap<_, _> =
            snapshot.routes.iter().filter_map(|(_, route)| Some((route.id, named(&route.place)?))).collect();
        let accounts = self.ledgers.values_mut().filter_map(|ledger| ledger.account.as_mut().ok());
        accounts.for_each(|account| account.move_on(now));
        for (series, outcome, count) in &snapshot.requests {
            let bad = if outcome.code >= 500 { *count } else { 0 };
            if let Some(account) = routes.get(&outcome.route).and_then(|route| account(&mut self.ledgers, route)) {
                account.requests(series, Count { all: *count, bad });
            }
        }
        for (series, route) in &snapshot.routes {
            if let Some(account) = routes.get(&route.id).and_then(|route| account(&mut self.ledgers, route)) {
                account.times(series, &route.totals.whole, bounds);
            }
        }
        self.ledgers.retain(|route, ledger| match &mut ledger.account {
            Ok(account) => account.close(),
            Err(_) => routes.values().any(|known| known == route),
        });
    }

    /// What routes say now. One that was not heard of for long keeps its ledger: its budget does not come back by silence.
    fn read(&mut self, snapshot: &Snapshot, bounds: &[f64]) {
        let mut all: BTreeMap<Route, &Said> = BTreeMap::new();
        for (_, route) in &snapshot.routes {
            let said = &route.totals.said;
            if let Some(name) = named(&route.place)
                && all.get(&name).is_none_or(|other| other.at < said.at)
            {
                all.insert(name, said);
            }
        }
        for (route, said) in all {
            if said.text.is_empty() {
                self.ledgers.remove(&route);
            } else if self.ledgers.get(&route).is_none_or(|ledger| ledger.said != said.text) {
                let ledger = Ledger::new(&said.text, bounds);
                if let Err(wrong) = &ledger.account {
                    let Route { kind, namespace, name } = &route;
                    tracing::warn!("{kind} {namespace}/{name}: {}: {wrong}", slo::ANNOTATION);
                }
                self.ledgers.insert(route, ledger);
            }
        }
    }

    /// The least that is left for an objective of this route.
    pub(crate) fn least(&self, place: &Place) -> Option<f64> {
        match self.of(place, Instant::now())? {
            Told::Objectives(all) => all.iter().filter_map(|budget| budget.left).min_by(f64::total_cmp),
            Told::Wrong(_) => None,
        }
    }

    /// What this route promises and what is left of it; nothing where it promises nothing.
    pub(crate) fn of(&self, place: &Place, now: Instant) -> Option<Told> {
        let known = self.known(now);
        Some(match &self.ledgers.get(&named(place)?)?.account {
            Ok(account) => Told::Objectives(account.budgets(known)),
            Err(wrong) => Told::Wrong(wrong.to_string()),
        })
    }
}

/// The route of Gateway API, if it is one.
fn named(place: &Place) -> Option<Route> {
    let Place { kind, namespace, route, .. } = place;
    let named = || Route { kind: kind.clone(), namespace: namespace.clone(), name: route.clone() };
    (!kind.is_empty()).then(named)
}

fn account<'a>(ledgers: &'a mut BTreeMap<Route, Ledger>, route: &Route) -> Option<&'a mut Account> {
    ledgers.get_mut(route)?.account.as_mut().ok()
}

impl Ledger {
    fn new(said: &[u8], bounds: &[f64]) -> Self {
        let text = String::from_utf8_lossy(&said[..said.len().min(LONGEST)]);
        let account = slo::parse(&text, bounds).map(|(objectives, window)| Account {
            objectives,
            window,
            slots: VecDeque::new(),
            before: HashMap::new(),
            now: HashMap::new(),
        });
        Self { said: said.into(), account }
    }
}

impl Account {
    /// Begins a slot when it is time, and forgets those that the window has passed.
    fn move_on(&mut self, now: Instant) {
        let step = self.window / STEPS;
        if self.slots.back().is_none_or(|slot| now.saturating_duration_since(slot.began) >= step) {
            let counts = vec![Count::default(); self.objectives.len()];
            self.slots.push_back(Slot { began: now, counts });
        }
        while self.slots.front().is_some_and(|slot| now.saturating_duration_since(slot.began) > self.window + step) {
            self.slots.pop_front();
        }
    }

    fn requests(&mut self, series: &Arc<str>, count: Count) {
        for index in self.with(|goal| goal == Goal::Availability) {
            self.add(series, index, count);
        }
    }

    fn times(&mut self, series: &Arc<str>, times: &Histogram, bounds: &[f64]) {
        for index in self.with(|goal| matches!(goal, Goal::Latency(_))) {
            if let Goal::Latency(time) = self.objectives[index].goal {
                // The time is one at which a bucket ends, as near as numbers are.
                let in_time = bounds.iter().take_while(|bound| **bound < time.as_secs_f64() + 1e-9).count();
                let in_time: u64 = times.classic.iter().take(in_time).sum();
                self.add(series, index, Count { all: times.count, bad: times.count.saturating_sub(in_time) });
            }
        }
    }

    fn with(&self, wanted: impl Fn(Goal) -> bool) -> Vec<usize> {
        let all = self.objectives.iter().enumerate();
        all.filter(|(_, objective)| wanted(objective.goal)).map(|(index, _)| index).collect()
    }

    /// Adds by how much a counter grew. One that is smaller than before was forgotten, and began anew.
    fn add(&mut self, series: &Arc<str>, index: usize, now: Count) {
        let key = (Arc::clone(series), index);
        let before = self.before.get(&key).copied().unwrap_or_default();
        let before = if before.all > now.all { Count::default() } else { before };
        if let Some(slot) = self.slots.back_mut() {
            slot.counts[index].all += now.all - before.all;
            slot.counts[index].bad += now.bad.saturating_sub(before.bad);
        }
        self.now.insert(key, now);
    }

    /// Ends a look. False when nothing in the window is known of it.
    fn close(&mut self) -> bool {
        self.before = std::mem::take(&mut self.now);
        !self.before.is_empty() || self.slots.iter().any(|slot| slot.counts.iter().any(|count| count.all > 0))
    }

    fn budgets(&self, known: Duration) -> Vec<Budget> {
        let budget = |(index, objective): (usize, &Objective)| {
            let (mut all, mut bad) = (0, 0);
            for slot in &self.slots {
                all += slot.counts[index].all;
                bad += slot.counts[index].bad;
            }
            #[allow(clippy::cast_precision_loss, reason = "a share is no exact number")]
            let left = (all > 0).then(|| 1.0 - bad as f64 / all as f64 / objective.budget());
            let seen = known.min(self.window).as_secs();
            Budget { objective: objective.to_string(), left, all, bad, window: self.window.as_secs(), seen }
        };
        self.objectives.iter().enumerate().map(budget).collect()
    }
}

#[cfg(test)]
mod tests;

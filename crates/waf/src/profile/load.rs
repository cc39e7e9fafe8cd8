//! Profiles from files: each by itself, so that one that is wrong leaves all others as they are.
//!
//! ```text
//! places ─▶ read ─▶ plans ─▶ sources ─▶ compiled ─┬─▶ in force
//!            └─ wrong ─┴────────┴──────────┴─▶ the last good one of those
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use coraza::{Rules, Source};

use super::plan::Plan;
use super::read::{self, Place, Read};
use super::source::{placed, source};
use super::{Profile, Profiles, check, guardrails};

/// Why profiles are not usable: everything that is wrong, one a line. Mended by whoever writes them.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Error(Vec<String>);

/// Something that is wrong with a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The profile; where that cannot be told, the path of its file or directory.
    pub profile: String,
    /// What is wrong, with file, line and field or directive.
    pub what: String,
    /// The file, or the directory that cannot be read.
    pub(super) file: String,
    /// Whether it is of those who have to extend another's.
    pub(super) bound: bool,
}

impl Failure {
    /// Whether it concerns a file.
    pub(super) fn is_about(&self, file: &str) -> bool {
        Path::new(file).starts_with(&self.file)
    }
}

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The profiles to judge by: those of now, and the last good one of each that is wrong now.
    pub profiles: Profiles,
    /// What is wrong.
    pub failures: Vec<Failure>,
}

impl Loaded {
    /// The profiles, if nothing is wrong with any.
    pub fn complete(self) -> Result<Profiles, Error> {
        if self.failures.is_empty() { Ok(self.profiles) } else { Err(of(&self.failures)) }
    }
}

fn of(failures: &[Failure]) -> Error {
    Error(failures.iter().map(|failure| failure.what.clone()).collect())
}

/// Loads profiles, and remembers those of the last time.
#[derive(Debug)]
pub struct Loader {
    gate: bool,
    last: Mutex<BTreeMap<String, Good>>,
}

impl Default for Loader {
    fn default() -> Self {
        Self::new(true)
    }
}

/// A profile that can be used, and what it was made from.
#[derive(Debug, Clone)]
struct Good {
    profile: Arc<Profile>,
    source: Source,
    file: String,
}

impl Loader {
    /// With a gate before the rules, or without.
    pub fn new(gate: bool) -> Self {
        Self { gate, last: Mutex::default() }
    }

    /// All profiles of these places, over those that come with the program. The first time, everything has to be right in places
    /// that may hold anything: who starts the service sees to them. Others are taken as they are.
    pub fn load(&self, places: &[Place]) -> Result<Loaded, Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut failures = Vec::new();
        let files = last.iter().map(|(name, good)| (name.as_str(), good.file.as_str())).collect();
        let read = read::all(places, &files, &mut failures);
        let plans = plans(&read, &mut failures);
        let mut sources = sources(&read, &plans, &mut failures);
        if !self.gate {
            sources = sources.into_iter().map(|(name, source)| (name, source.without_gate())).collect();
        }
        let mut now = compile(plans, sources, &read, &last, &mut failures);
        if last.is_empty() && failures.iter().any(|failure| !failure.bound) {
            return Err(of(&failures));
        }
        for (name, good) in std::mem::take(&mut *last) {
            let wrong = failures.iter().any(|failure| failure.profile == name || failure.is_about(&good.file));
            if wrong && !now.contains_key(&name) {
                now.insert(name, good);
            }
        }
        let profiles = now.iter().map(|(name, good)| (name.clone(), Arc::clone(&good.profile))).collect();
        *last = now;
        Ok(Loaded { profiles: Profiles(profiles), failures })
    }
}

/// What the profiles of these places, and those that come with the program, come to in SecLang, by name. They include the Core
/// Rule Set as `@owasp_crs/…`.
pub fn as_directives(places: &[Place]) -> Result<BTreeMap<String, String>, Error> {
    let mut failures = Vec::new();
    let read = read::all(places, &BTreeMap::new(), &mut failures);
    let plans = plans(&read, &mut failures);
    let sources = sources(&read, &plans, &mut failures);
    if !failures.is_empty() {
        return Err(of(&failures));
    }
    Ok(sources.into_iter().map(|(name, source)| (name.to_owned(), source.loaded().collect())).collect())
}

/// All of them, those first that others may extend.
fn bases_first(read: &BTreeMap<String, Read>) -> Vec<(&str, &Read)> {
    let mut all: Vec<_> = read.iter().map(|(name, one)| (name.as_str(), one)).collect();
    all.sort_by_key(|(_, one)| one.spec.extends.is_some());
    all
}

/// The plans of all that are right.
fn plans<'a>(read: &'a BTreeMap<String, Read>, wrong: &mut Vec<Failure>) -> BTreeMap<&'a str, Plan> {
    let mut plans = BTreeMap::new();
    for (name, one) in bases_first(read) {
        let mut findings = check::wrong_values(&one.spec);
        if let Some(must) = one.must_extend.as_ref().filter(|must| one.spec.extends.as_ref() != Some(must)) {
            findings.push(("extends".to_owned(), format!("has to be {must} for the profiles here")));
        }
        let base = base_of(one, read, &plans).map_err(|what| findings.push(("extends".to_owned(), what))).ok();
        if let Some(shadow) = one.spec.shadow.as_ref().filter(|shadow| !read.contains_key(*shadow) || *shadow == name) {
            findings.push(("shadow".to_owned(), format!("there is no other profile {shadow}")));
        }
        if let Some(base) = base {
            let plan = Plan::of(&one.spec, &base);
            if one.spec.extends.is_some() {
                findings.extend(guardrails::breaches(&one.spec, &plan, &base));
            }
            if findings.is_empty() {
                plans.insert(name, plan);
            }
        }
        wrong.extend(findings.into_iter().map(|finding| one.failure(one.finding(finding))));
    }
    plans
}

/// The plan that a profile changes.
fn base_of(one: &Read, read: &BTreeMap<String, Read>, plans: &BTreeMap<&str, Plan>) -> Result<Plan, String> {
    let Some(base) = &one.spec.extends else { return Ok(Plan::default()) };
    if read.get(base).is_none_or(|base| base.spec.extends.is_some()) {
        return Err(format!("there is no profile {base} that extends no other"));
    }
    plans.get(base.as_str()).cloned().ok_or_else(|| unusable(base))
}

fn unusable(base: &str) -> String {
    format!("the profile {base} cannot be used itself")
}

/// What each plan is compiled from.
fn sources<'a>(
    read: &'a BTreeMap<String, Read>,
    plans: &BTreeMap<&'a str, Plan>,
    wrong: &mut Vec<Failure>,
) -> BTreeMap<&'a str, Source> {
    let mut sources = BTreeMap::new();
    for (name, plan) in plans {
        match source(plan, &read[*name], read) {
            Ok(source) => drop(sources.insert(*name, source)),
            Err(what) => wrong.push(read[*name].failure(what)),
        }
    }
    sources
}

/// Those whose rules compile. Rules that are in force already, or come out the same as another's, are not compiled again.
fn compile(
    mut plans: BTreeMap<&str, Plan>,
    mut sources: BTreeMap<&str, Source>,
    read: &BTreeMap<String, Read>,
    last: &BTreeMap<String, Good>,
    wrong: &mut Vec<Failure>,
) -> BTreeMap<String, Good> {
    let mut now: BTreeMap<String, Good> = BTreeMap::new();
    for (name, one) in bases_first(read) {
        let (Some(plan), Some(source)) = (plans.remove(name), sources.remove(name)) else { continue };
        if let Some(base) = one.spec.extends.as_ref().filter(|base| !now.contains_key(*base)) {
            wrong.push(one.failure(one.finding(("extends".to_owned(), unusable(base)))));
            continue;
        }
        let same = now.values().chain(last.values()).find(|good| good.source == source);
        match same.map_or_else(|| Rules::compile(&source), |good| Ok(good.profile.rules.clone())) {
            Ok(rules) => {
                let profile = Arc::new(Profile { plan, rules });
                now.insert(name.to_owned(), Good { profile, source, file: one.file.clone() });
            }
            Err(problem) => wrong.push(one.failure(placed(&problem, one, read))),
        }
    }
    now
}

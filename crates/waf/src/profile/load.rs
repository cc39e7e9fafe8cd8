//! Profiles from files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use coraza::{Problem, Rules, Source};
use kit::config::{self, Document, Finding};
use serde::{Deserialize, Serialize};

use super::plan::Plan;
use super::spec::Spec;
use super::{Profile, Profiles, check, guardrails, seclang};

/// Profiles that are always there, unless files have others of these names.
const BUILTIN: &[(&str, &str)] = &[
    ("baseline.yaml", include_str!("../../../../waf-rules/baseline.yaml")),
    ("detect.yaml", include_str!("../../../../waf-rules/detect.yaml")),
    ("strict.yaml", include_str!("../../../../waf-rules/strict.yaml")),
];

/// A file or directory with profiles.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Place {
    /// A profile's file, or a directory with profiles (`.yaml`) and the files that they name.
    pub path: PathBuf,
    /// What every profile there has to extend: that profile's guardrails hold for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
}

/// Why profiles are not usable; mended by whoever writes them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] config::Error),
    /// Their content is wrong: everything that is, one a line.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// Loads profiles, and remembers the compiled rules of the last time.
#[derive(Debug, Default)]
pub struct Loader {
    compiled: Mutex<Vec<(Source, Rules)>>,
}

/// The profiles that come with the program.
pub fn builtin() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| name.trim_end_matches(".yaml"))
}

/// A profile as it was read, and where.
struct Read {
    spec: Spec,
    document: Document,
    file: String,
    /// Where the files that it names are.
    directory: Option<PathBuf>,
    /// Set where the place says what has to be extended.
    must_extend: Option<String>,
}

impl Read {
    fn finding(&self, (field, what): (String, String)) -> String {
        self.document.finding(&field, what).to_string()
    }

    /// A problem in SecLang that stands in a field: the text begins in the line after the field.
    fn line(&self, field: &str, line: usize) -> String {
        format!("{}:{}", self.file, self.document.position(field).line + line)
    }
}

impl Loader {
    /// All profiles of these places, over those that come with the program.
    pub fn load(&self, places: &[Place]) -> Result<Profiles, Error> {
        with_sources(places, |plans, sources, read| self.compile(plans, sources, read))
    }

    fn compile(
        &self,
        mut plans: BTreeMap<&str, Plan>,
        sources: BTreeMap<&str, Source>,
        read: &BTreeMap<String, Read>,
    ) -> Result<Profiles, Error> {
        let mut known = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut now, mut wrong, mut profiles) = (Vec::<(Source, Rules)>::new(), Vec::new(), BTreeMap::new());
        for (name, source) in sources {
            let same =
                now.iter().chain(known.iter()).find(|(other, _)| *other == source).map(|(_, rules)| rules.clone());
            match same.map_or_else(|| Rules::compile(&source), Ok) {
                Ok(rules) => {
                    now.push((source, rules.clone()));
                    if let Some(plan) = plans.remove(name) {
                        profiles.insert(name.to_owned(), Arc::new(Profile { plan, rules }));
                    }
                }
                Err(problem) => wrong.push(placed(&problem, &read[name], read)),
            }
        }
        if !wrong.is_empty() {
            return Err(Error::Wrong(wrong));
        }
        *known = now;
        Ok(Profiles(profiles))
    }
}

/// What the profiles of these places, and those that come with the program, come to in SecLang, by name. They include the Core
/// Rule Set as `@owasp_crs/…`.
pub fn as_directives(places: &[Place]) -> Result<BTreeMap<String, String>, Error> {
    let text = |source: &Source| source.loaded().collect();
    with_sources(places, |_, sources, _| {
        Ok(sources.iter().map(|(name, source)| ((*name).to_owned(), text(source))).collect())
    })
}

/// Hands on plans and sources of all profiles, once everything is right.
fn with_sources<T>(
    places: &[Place],
    then: impl FnOnce(BTreeMap<&str, Plan>, BTreeMap<&str, Source>, &BTreeMap<String, Read>) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut wrong = Vec::new();
    let read = read_all(places, &mut wrong)?;
    let plans = plans(&read, &mut wrong);
    let sources = sources(&read, &plans, &mut wrong);
    if wrong.is_empty() { then(plans, sources, &read) } else { Err(Error::Wrong(wrong)) }
}

/// The profiles of these places, over those that come with the program, by name.
fn read_all(places: &[Place], wrong: &mut Vec<String>) -> Result<BTreeMap<String, Read>, Error> {
    let mut read: BTreeMap<String, Read> = BTreeMap::new();
    for (file, text) in BUILTIN {
        let one = parse(file, text, None, None).map_err(|finding| Error::Wrong(vec![finding.to_string()]))?;
        read.insert(one.spec.name.clone(), one);
    }
    for one in read_places(places, wrong)? {
        let name = one.spec.name.clone();
        if let Some(base) = one.must_extend.as_ref().filter(|_| builtin().any(|inside| inside == name)) {
            let taken =
                format!("`{name}` is inside already, and profiles that have to extend {base} cannot replace it");
            wrong.push(one.finding(("name".to_owned(), taken)));
            continue;
        }
        match read.insert(name.clone(), one) {
            Some(other) if other.directory.is_some() => {
                let twice = format!("is that of {} already", other.file);
                wrong.push(read[&name].finding(("name".to_owned(), twice)));
            }
            _ => {}
        }
    }
    Ok(read)
}

/// What each plan is compiled from.
fn sources<'a>(
    read: &'a BTreeMap<String, Read>,
    plans: &BTreeMap<&'a str, Plan>,
    wrong: &mut Vec<String>,
) -> BTreeMap<&'a str, Source> {
    let mut sources = BTreeMap::new();
    for (name, plan) in plans {
        match source(plan, &read[*name], read) {
            Ok(source) => drop(sources.insert(*name, source)),
            Err(error) => wrong.push(error),
        }
    }
    sources
}

fn read_places(places: &[Place], wrong: &mut Vec<String>) -> Result<Vec<Read>, Error> {
    let mut list = Vec::new();
    for place in places {
        for file in kit::config::files(&place.path)? {
            if !file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
                continue;
            }
            let text = config::read_text(&file)?;
            match parse(&file.display().to_string(), &text, file.parent(), place.extends.clone()) {
                Ok(one) => list.push(one),
                Err(finding) => wrong.push(finding.to_string()),
            }
        }
    }
    Ok(list)
}

fn parse(file: &str, text: &str, directory: Option<&Path>, must_extend: Option<String>) -> Result<Read, Finding> {
    let document = config::single(file, text)?;
    let (spec, _) = document.read()?;
    Ok(Read { spec, document, file: file.to_owned(), directory: directory.map(Path::to_owned), must_extend })
}

/// The plans of all that are right; what is wrong with the others is added.
fn plans<'a>(read: &'a BTreeMap<String, Read>, wrong: &mut Vec<String>) -> BTreeMap<&'a str, Plan> {
    let mut plans = BTreeMap::new();
    for (name, one) in read {
        let mut findings = check::wrong_values(&one.spec);
        if let Some(must) = one.must_extend.as_ref().filter(|must| one.spec.extends.as_ref() != Some(must)) {
            findings.push(("extends".to_owned(), format!("has to be {must} for the profiles here")));
        }
        let base = match &one.spec.extends {
            None => Some(Plan::default()),
            Some(base) => match read.get(base).filter(|base| base.spec.extends.is_none()) {
                Some(base) => Some(Plan::of(&base.spec, &Plan::default())),
                None => {
                    findings.push(("extends".to_owned(), format!("there is no profile {base} that extends no other")));
                    None
                }
            },
        };
        if let Some(shadow) = one.spec.shadow.as_ref().filter(|shadow| !read.contains_key(*shadow) || *shadow == name) {
            findings.push(("shadow".to_owned(), format!("there is no other profile {shadow}")));
        }
        if let Some(base) = base {
            let plan = Plan::of(&one.spec, &base);
            if one.spec.extends.is_some() {
                findings.extend(guardrails::breaches(&one.spec, &plan, &base));
            }
            if findings.is_empty() {
                plans.insert(name.as_str(), plan);
            }
        }
        wrong.extend(findings.into_iter().map(|finding| one.finding(finding)));
    }
    plans
}

/// The files of a rule set, in the order in which they are loaded.
fn source(plan: &Plan, one: &Read, read: &BTreeMap<String, Read>) -> Result<Source, String> {
    let base = one.spec.extends.as_ref().map(|base| &read[base]);
    let inside = !["none", "files"].contains(&plan.core.version.as_str());
    let version = if inside { plan.core.version.clone() } else { Plan::default().core.version };
    let mut source = Source::new(version).load("engine", seclang::engine(plan));
    for from in base.into_iter().chain([one]) {
        source = provided(source, from)?;
        source = source.load(&part(from, "before"), from.spec.before.clone());
    }
    if plan.core.version != "none" {
        source = source.load("setup", seclang::setup(&plan.core));
    }
    source = source.load("exclusions by path", seclang::exclusions_by_path(&plan.exclusions));
    if inside {
        source = source.load("core rules", "Include @owasp_crs/*.conf\n");
    }
    for from in base.into_iter().chain([one]) {
        let limits = from.spec.extends.as_ref().map(|base| Plan::of(&read[base].spec, &Plan::default()));
        let checked = |text: &str, place: &dyn Fn(usize) -> String| match &limits {
            Some(base) => guardrails::wrong_statements(text, base)
                .into_iter()
                .next()
                .map_or(Ok(()), |(line, why)| Err(format!("{}: {why}", place(line)))),
            None => Ok(()),
        };
        checked(&from.spec.directives, &|line| from.line("directives", line))?;
        source = source.load(&part(from, "directives"), from.spec.directives.clone());
        for name in &from.spec.files {
            let (path, text) = beside(from, name)?;
            checked(&text, &|line| format!("{}:{line}", path.display()))?;
            let known = if from.spec.extends.is_none() { name.clone() } else { part(from, name) };
            source = source.load(&known, text);
        }
    }
    Ok(source.load("exclusions", seclang::exclusions_everywhere(&plan.exclusions)))
}

/// The name of a part of a profile as the engine knows it. Without a directory: what it includes lies beside the profile.
fn part(from: &Read, name: &str) -> String {
    format!("{}#{name}", from.spec.name)
}

/// A profile that extends no other may include what lies beside it: data for operators, a Core Rule Set of its own.
fn provided(mut source: Source, from: &Read) -> Result<Source, String> {
    let Some(directory) = from.directory.as_ref().filter(|_| from.spec.extends.is_none()) else { return Ok(source) };
    let files = kit::config::files(directory).map_err(|error| error.to_string())?;
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "conf" || kind == "data")) {
        let text = config::read_text(file).map_err(|error| error.to_string())?;
        source = source.provide(&file.strip_prefix(directory).unwrap_or(file).display().to_string(), text);
    }
    Ok(source)
}

fn beside(from: &Read, name: &str) -> Result<(PathBuf, String), String> {
    let inside = Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let directory = from.directory.as_ref().filter(|_| inside);
    let Some(directory) = directory else {
        return Err(from.finding(("files".to_owned(), format!("`{name}` is not beside the profile"))));
    };
    let path = directory.join(name);
    let text = config::read_text(&path).map_err(|error| from.finding(("files".to_owned(), error.to_string())))?;
    Ok((path, text))
}

/// A problem of the engine with the place in the file that people know.
fn placed(problem: &Problem, one: &Read, read: &BTreeMap<String, Read>) -> String {
    let what = Problem { file: String::new(), line: 0, ..problem.clone() };
    let at = |from: &Read, name: &str| {
        let file = from.directory.as_ref()?.join(name);
        file.is_file().then(|| format!("{}:{}", file.display(), problem.line))
    };
    let place = match problem.file.split_once('#') {
        Some((profile, field @ ("before" | "directives"))) => {
            read.get(profile).map(|from| from.line(field, problem.line as usize))
        }
        Some((profile, name)) => read.get(profile).and_then(|from| at(from, name)),
        None => {
            let base = one.spec.extends.as_ref().map(|base| &read[base]);
            [Some(one), base].into_iter().flatten().find_map(|from| at(from, &problem.file))
        }
    };
    match place {
        Some(place) => format!("{place}: {what}"),
        None => format!("{}: {problem}", one.file),
    }
}

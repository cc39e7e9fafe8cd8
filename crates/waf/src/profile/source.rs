//! What a profile is compiled from, and where in its files a problem of the engine is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coraza::{Problem, Source};
use kit::config;

use super::plan::Plan;
use super::read::Read;
use super::{guardrails, seclang};

/// The files of a rule set, in the order in which they are loaded.
pub(super) fn source(plan: &Plan, one: &Read, read: &BTreeMap<String, Read>) -> Result<Source, String> {
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
pub(super) fn placed(problem: &Problem, one: &Read, read: &BTreeMap<String, Read>) -> String {
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

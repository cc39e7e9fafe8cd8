//! Profiles as their files have them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kit::config::{self, Document, Finding};
use serde::{Deserialize, Serialize};

use super::load::Failure;
use super::spec::Spec;

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

/// The profiles that come with the program.
pub fn builtin() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| name.trim_end_matches(".yaml"))
}

/// A profile as it was read, and where.
pub(super) struct Read {
    pub(super) spec: Spec,
    pub(super) document: Document,
    pub(super) file: String,
    /// Where the files that it names are; none for those inside.
    pub(super) directory: Option<PathBuf>,
    /// Set where the place says what has to be extended.
    pub(super) must_extend: Option<String>,
}

impl Read {
    pub(super) fn finding(&self, (field, what): (String, String)) -> String {
        self.document.finding(&field, what).to_string()
    }

    /// A problem in SecLang that stands in a field: the text begins in the line after the field.
    pub(super) fn line(&self, field: &str, line: usize) -> String {
        format!("{}:{}", self.file, self.document.position(field).line + line)
    }

    /// Why it cannot be used.
    pub(super) fn failure(&self, what: String) -> Failure {
        Failure { profile: self.spec.name.clone(), what, file: self.file.clone(), bound: self.must_extend.is_some() }
    }

    /// The same for one whose name is another's: that one is not to blame.
    fn misnamed(&self, what: String) -> Failure {
        let what = self.finding(("name".to_owned(), what));
        Failure { profile: self.file.clone(), ..self.failure(what) }
    }
}

/// The profiles of these places, over those that come with the program, by name. `last` says which file each had the last time.
pub(super) fn all(places: &[Place], last: &BTreeMap<&str, &str>, wrong: &mut Vec<Failure>) -> BTreeMap<String, Read> {
    let mut read: BTreeMap<String, Read> = BTreeMap::new();
    for (file, text) in BUILTIN {
        let one = parse(file, text, None, None).expect("what is inside was read by every test that ran the service");
        read.insert(one.spec.name.clone(), one);
    }
    let mut found: Vec<Read> = places.iter().flat_map(|place| of_place(place, wrong)).collect();
    // What took the place of one that is inside and cannot be read now has not given it up.
    read.retain(|name, _| {
        !last.get(name.as_str()).is_some_and(|file| wrong.iter().any(|failure| failure.is_about(file)))
    });
    // Who had a name keeps it.
    found.sort_by_key(|one| last.get(one.spec.name.as_str()) != Some(&one.file.as_str()));
    for one in found {
        let name = one.spec.name.clone();
        if let Some(base) = one.must_extend.as_ref().filter(|_| builtin().any(|inside| inside == name)) {
            let taken =
                format!("`{name}` is inside already, and profiles that have to extend {base} cannot replace it");
            wrong.push(one.misnamed(taken));
        } else if let Some(other) = read.get(&name).filter(|other| other.directory.is_some()) {
            wrong.push(one.misnamed(format!("is that of {} already", other.file)));
        } else {
            read.insert(name, one);
        }
    }
    read
}

fn of_place(place: &Place, wrong: &mut Vec<Failure>) -> Vec<Read> {
    let failure = |path: &Path, what: String| {
        let file = path.display().to_string();
        Failure { profile: file.clone(), what, file, bound: place.extends.is_some() }
    };
    let files = match config::files(&place.path) {
        Ok(files) => files,
        Err(error) => {
            wrong.push(failure(&place.path, error.to_string()));
            return Vec::new();
        }
    };
    let mut list = Vec::new();
    for file in files {
        if !file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            continue;
        }
        let text = config::read_text(&file).map_err(|error| error.to_string());
        let name = file.display().to_string();
        let one = text.and_then(|text| {
            parse(&name, &text, file.parent(), place.extends.clone()).map_err(|finding| finding.to_string())
        });
        match one {
            Ok(one) => list.push(one),
            Err(what) => wrong.push(failure(&file, what)),
        }
    }
    list
}

fn parse(file: &str, text: &str, directory: Option<&Path>, must_extend: Option<String>) -> Result<Read, Finding> {
    let document = config::single(file, text)?;
    let (spec, _) = document.read()?;
    Ok(Read { spec, document, file: file.to_owned(), directory: directory.map(Path::to_owned), must_extend })
}

//! Rules from files: a file, or all files of a directory and below it except those whose names begin with a dot.

use std::path::PathBuf;

use kit::config::{self, Document, Finding};

use super::spec::{Domain, FIELDS};
use super::{Problem, Rules, compile};

/// What was read: the rules, and what is odd but taken as the reference takes it.
#[derive(Debug)]
pub struct Loaded {
    /// The rules.
    pub rules: Rules,
    /// Fields that stand where nothing reads them.
    pub warnings: Vec<Finding>,
}

/// Why files are not usable; mended by whoever writes them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] config::Error),
    /// Their content is wrong: everything that is, one a line.
    #[error("{}", lines(.0))]
    Wrong(Vec<Finding>),
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Loads the rules of files and directories; a file without content counts for nothing.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Error> {
    let mut texts = Vec::new();
    for path in paths {
        for file in config::files(path)? {
            texts.push((file.display().to_string(), config::read_text(&file)?));
        }
    }
    read(&texts)
}

/// Makes the rules of texts, each with the name of its file.
pub fn read(texts: &[(String, String)]) -> Result<Loaded, Error> {
    let (mut sources, mut documents) = (Vec::new(), Vec::new());
    let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
    for (file, text) in texts {
        for document in config::documents(file, text) {
            match document.and_then(|document| Ok((document.read::<Domain>()?, document))) {
                Ok(((domain, unknown), document)) => {
                    let (misplaced, nonsense): (Vec<_>, Vec<_>) = unknown.into_iter().partition(is_of_the_language);
                    warnings.extend(misplaced);
                    wrong.extend(nonsense.into_iter().map(with_allowed));
                    sources.push(domain);
                    documents.push(document);
                }
                Err(finding) => wrong.push(finding),
            }
        }
    }
    match compile(&sources) {
        Ok(rules) if wrong.is_empty() => Ok(Loaded { rules, warnings }),
        compiled => {
            wrong.extend(compiled.err().unwrap_or_default().into_iter().map(|problem| placed(problem, &documents)));
            Err(Error::Wrong(wrong))
        }
    }
}

fn placed(problem: Problem, documents: &[Document]) -> Finding {
    documents[problem.place.source].finding(&problem.place.field, problem.what)
}

/// The reference knows the field, though not there: it loads such a file and ignores the field, so nothing may break here.
fn is_of_the_language(finding: &Finding) -> bool {
    finding.field.rsplit('.').next().is_some_and(|name| FIELDS.contains(&name))
}

fn with_allowed(finding: Finding) -> Finding {
    Finding { what: format!("{}, allowed: {}", finding.what, FIELDS.join(", ")), ..finding }
}

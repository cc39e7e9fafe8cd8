//! Paragraphs that people wrote.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
    readme: Option<PathBuf>,
    source: Option<String>,
}

/// The paragraphs of all packages' read-mes, each once, in a fixed order.
pub(crate) fn all() -> Vec<String> {
    // Those of other platforms are not here.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = testbed::binary::cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", &platform]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    let mut paragraphs = BTreeSet::new();
    for package in metadata.packages.into_iter().filter(|package| package.source.is_some()) {
        let readme = package.readme.map(|readme| package.manifest_path.with_file_name("").join(readme));
        let text = readme.and_then(|readme| std::fs::read_to_string(readme).ok()).unwrap_or_default();
        paragraphs.extend(prose(&text));
    }
    assert!(paragraphs.len() > 500, "only {} paragraphs", paragraphs.len());
    paragraphs.into_iter().collect()
}

/// What is a paragraph of sentences: no code, tables, headings, lists of links.
fn prose(markdown: &str) -> Vec<String> {
    let outside: String = markdown.split("```").step_by(2).collect();
    let is_prose = |paragraph: &&str| {
        let begins = paragraph.starts_with(|first: char| first.is_alphabetic());
        begins && (40..1500).contains(&paragraph.len()) && paragraph.contains(". ") && !paragraph.contains("](")
    };
    let joined = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    outside.split("\n\n").map(str::trim).filter(is_prose).map(joined).collect()
}

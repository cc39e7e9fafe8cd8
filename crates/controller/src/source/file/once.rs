//! Files read once, for commands that work offline.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    contents::Contents,
    document::{self, Original},
    store::Store,
    walk::walk,
};
use crate::source::Seen;
use api::ObjectRef;

/// What stands for the standard input among paths.
const STDIN: &str = "-";

/// What was read.
#[derive(Debug)]
pub struct Once {
    /// The resources, and what is wrong.
    pub seen: Seen,
    /// Where each resource stands: file and line.
    pub places: BTreeMap<ObjectRef, (Arc<str>, usize)>,
    /// The resources as they are written, in the order of files and lines.
    pub originals: Vec<Original>,
}

/// Reads files, directories and, for `-`, the standard input.
///
/// # Errors
/// When one of them cannot be read.
pub fn read_once(roots: &[PathBuf]) -> io::Result<Once> {
    let mut store = Store::default();
    let mut originals = Vec::new();
    for (name, text) in texts(roots)? {
        for chunk in kit::config::split(&text) {
            originals.extend(document::originals(&name, &chunk));
        }
        store.replace(&name, Some(Contents::read(&name, &text, &Contents::default())));
    }
    let places = store.places().map(|(reference, file, line)| (reference.clone(), (Arc::clone(file), line)));
    let places: BTreeMap<_, _> = places.collect();
    let mut printed = std::collections::BTreeSet::new();
    originals.retain(|original: &Original| {
        places.contains_key(&original.reference) && printed.insert(original.reference.clone())
    });
    Ok(Once { seen: store.seen(), places, originals })
}

fn texts(roots: &[PathBuf]) -> io::Result<Vec<(Arc<str>, String)>> {
    let mut texts = Vec::new();
    let mut paths = Vec::new();
    for root in roots {
        if root == Path::new(STDIN) {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            texts.push(("(standard input)".into(), text));
        } else if let Err(error) = root.metadata() {
            return Err(io::Error::new(error.kind(), format!("{}: {error}", root.display())));
        } else {
            paths.push(root.clone());
        }
    }
    for path in walk(&paths) {
        let name = path.display().to_string();
        let text = kit::config::read_text(&path).map_err(io::Error::other)?;
        texts.push((name.into(), text));
    }
    Ok(texts)
}

//! Which labels there are. Each set of labels is written once and has a number; what is counted stands under the number.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Place;

/// How many sets of labels each metric may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caps {
    pub(crate) requests: usize,
    pub(crate) routes: usize,
    pub(crate) replies: usize,
    pub(crate) connections: usize,
}

/// The number of a set of labels.
pub(crate) type Id = usize;

/// Sets of labels with numbers from 0 on. A number that is given back is used again.
#[derive(Debug)]
pub(crate) struct Numbered<T> {
    ids: HashMap<Arc<str>, Id>,
    places: Vec<Option<(Arc<str>, T)>>,
    free: Vec<Id>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { ids: HashMap::new(), places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Numbered<T> {
    /// The number of these labels; nothing when they are new and there are `cap` of them already.
    pub(crate) fn number(&mut self, text: &str, value: T, cap: usize) -> Option<Id> {
        if let Some(id) = self.ids.get(text) {
            return Some(*id);
        }
        if self.ids.len() >= cap {
            return None;
        }
        let text: Arc<str> = text.into();
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[id] = Some((Arc::clone(&text), value));
        self.ids.insert(text, id);
        Some(id)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// What has this number.
    pub(crate) fn get(&self, id: Id) -> Option<&(Arc<str>, T)> {
        self.places.get(id)?.as_ref()
    }

    /// All with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &Arc<str>, &T)> {
        self.places.iter().enumerate().filter_map(|(id, place)| place.as_ref().map(|(text, value)| (id, text, value)))
    }

    /// Forgets these.
    pub(crate) fn forget(&mut self, ids: impl IntoIterator<Item = Id>) {
        for id in ids {
            if let Some((text, _)) = self.places.get_mut(id).and_then(Option::take) {
                self.ids.remove(&text);
                self.free.push(id);
            }
        }
    }
}

/// Sets of labels of requests: whose they are and what became of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) route: Id,
    /// 0 when the client got no status.
    pub(crate) code: u16,
}

/// All sets of labels.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) requests: Numbered<Outcome>,
    pub(crate) routes: Numbered<Arc<Place>>,
    pub(crate) replies: Numbered<Id>,
    pub(crate) connections: Numbered<()>,
    pub(crate) listeners: Numbered<()>,
    /// Gateways that logs come from.
    pub(crate) origins: Numbered<()>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_used_again() {
        let mut book = Numbered::default();
        assert_eq!(
            [book.number("a", 1, 2), book.number("b", 2, 2), book.number("a", 3, 2)],
            [Some(0), Some(1), Some(0)]
        );
        assert_eq!(book.number("c", 3, 2), None);
        book.forget([0]);
        assert!(book.get(0).is_none());
        assert_eq!(book.number("c", 4, 2), Some(0));
        assert_eq!(
            book.iter().map(|(id, text, value)| (id, &**text, *value)).collect::<Vec<_>>(),
            [(0, "c", 4), (1, "b", 2)]
        );
        assert_eq!(book.len(), 2);
    }
}

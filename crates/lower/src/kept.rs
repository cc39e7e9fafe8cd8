//! What was made from shared parts, kept for as long as the parts stay the same.

use std::{collections::BTreeMap, mem, ops::Range, sync::Arc};

/// A list of parts, each with what was made from it.
#[derive(Debug)]
pub(crate) struct Kept<T, V>(Vec<(Arc<T>, V)>);

impl<T, V> Default for Kept<T, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Where parts changed: those before the first and after the last change are the same in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The places that were.
    pub(crate) before: Range<usize>,
    /// The places that took theirs.
    pub(crate) after: Range<usize>,
}

/// How to tell whether a part is what it was: being the same in memory is enough, but may be more than is needed.
pub(crate) type Same<T> = fn(&Arc<T>, &Arc<T>) -> bool;

/// The same in memory. For parts that are made anew only when something in them changed.
pub(crate) fn identical<T>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other)
}

/// The same in memory or equal. For small parts, where comparing costs less than making.
pub(crate) fn equal<T: PartialEq>(one: &Arc<T>, other: &Arc<T>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

impl<T, V> Kept<T, V> {
    /// Takes a new list of parts. What stays the same is kept, the rest is made, with what was kept under the same name at
    /// hand. Says what changed, if anything.
    ///
    /// Costs a pointer comparison for each part; only between the first and the last change parts are looked at.
    pub(crate) fn update<'a>(
        &mut self,
        parts: impl ExactSizeIterator<Item = &'a Arc<T>> + DoubleEndedIterator + Clone,
        name: fn(&T) -> &str,
        same: Same<T>,
        mut make: impl FnMut(&Arc<T>, Option<V>) -> V,
    ) -> Option<Change>
    where
        T: 'a,
    {
        let unchanged = |(old, new): &(&(Arc<T>, V), &Arc<T>)| Arc::ptr_eq(&old.0, new);
        let head = self.0.iter().zip(parts.clone()).take_while(unchanged).count();
        let rest = self.0.len().min(parts.len()) - head;
        let tail = self.0.iter().rev().zip(parts.clone().rev()).take(rest).take_while(unchanged).count();
        if head == self.0.len() && head == parts.len() {
            return None;
        }
        let change = Change { before: head..self.0.len() - tail, after: head..parts.len() - tail };
        let mut old = mem::take(&mut self.0);
        let last = old.split_off(old.len() - tail);
        let mut between: Vec<Option<(Arc<T>, V)>> = old.split_off(head).into_iter().map(Some).collect();
        let by_name: BTreeMap<String, usize> = between
            .iter()
            .enumerate()
            .filter_map(|(index, part)| Some((name(&part.as_ref()?.0).to_owned(), index)))
            .collect();
        self.0 = old;
        self.0.reserve_exact(parts.len() - head);
        for part in parts.skip(change.after.start).take(change.after.len()) {
            let before = by_name.get(name(part)).and_then(|index| between.get_mut(*index)?.take());
            let value = match before {
                Some((old, value)) if same(&old, part) => value,
                before => make(part, before.map(|(_, value)| value)),
            };
            self.0.push((Arc::clone(part), value));
        }
        self.0.extend(last);
        Some(change)
    }

    /// The parts with what was made from them, in their order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(Arc<T>, V)> + Clone {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::ptr_arg)] // the part's own type
    fn name(text: &String) -> &str {
        text.split('=').next().unwrap()
    }

    fn update(kept: &mut Kept<String, String>, parts: &[Arc<String>]) -> (bool, Vec<String>) {
        let mut made = Vec::new();
        let changed = kept.update(parts.iter(), name, equal, |part, before| {
            made.push(format!("{part} after {}", before.unwrap_or_default()));
            part.to_string()
        });
        assert!(kept.iter().map(|(part, value)| (part, value)).eq(parts.iter().map(|part| (part, &**part))));
        (changed.is_some(), made)
    }

    #[test]
    fn only_what_changed_is_made() {
        let part = |text: &str| Arc::new(text.to_owned());
        let mut kept = Kept::default();
        let mut parts = ["a=1", "b=1", "c=1", "d=1"].map(part).to_vec();
        assert_eq!(update(&mut kept, &parts).1.len(), 4);
        assert_eq!(update(&mut kept, &parts), (false, vec![]));
        parts[1] = part("b=2");
        assert_eq!(update(&mut kept, &parts), (true, vec!["b=2 after b=1".to_owned()]));
        parts[1] = part("b=2");
        assert_eq!(update(&mut kept, &parts), (true, vec![]), "equal, but not the same in memory");
        parts.swap(0, 3);
        assert_eq!(update(&mut kept, &parts), (true, vec![]));
        parts.remove(2);
        assert_eq!(update(&mut kept, &parts), (true, vec![]));
        parts.insert(1, part("e=1"));
        assert_eq!(update(&mut kept, &parts), (true, vec!["e=1 after ".to_owned()]));
        parts.clear();
        assert_eq!(update(&mut kept, &parts), (true, vec![]));
    }

    #[test]
    fn doubles_are_no_trouble() {
        let one = Arc::new("a=1".to_owned());
        let mut kept = Kept::default();
        for parts in [vec![Arc::clone(&one), Arc::clone(&one)], vec![Arc::clone(&one); 3], vec![one]] {
            update(&mut kept, &parts);
        }
    }
}

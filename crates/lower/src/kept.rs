//! What was made from shared parts, kept for as long as the parts stay the same.

use std::{collections::BTreeMap, mem, sync::Arc};

/// How far to look for a part where others before it are gone.
const AHEAD: usize = 8;

/// A list of parts, each with what was made from it.
#[derive(Debug)]
pub(crate) struct Kept<T, V>(Vec<(Arc<T>, V)>);

impl<T, V> Default for Kept<T, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
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
    /// hand. Says whether anything changed.
    ///
    /// Costs a pointer comparison for each part; only parts that changed or moved are looked at.
    pub(crate) fn update<'a>(
        &mut self,
        parts: impl ExactSizeIterator<Item = &'a Arc<T>> + DoubleEndedIterator + Clone,
        name: fn(&T) -> &str,
        same: Same<T>,
        mut make: impl FnMut(&Arc<T>, Option<V>) -> V,
    ) -> bool
    where
        T: 'a,
    {
        let count = parts.len();
        let unchanged = |(old, new): &(&(Arc<T>, V), &Arc<T>)| Arc::ptr_eq(&old.0, new);
        let head = self.0.iter().zip(parts.clone()).take_while(unchanged).count();
        let rest = self.0.len().min(count) - head;
        let tail = self.0.iter().rev().zip(parts.clone().rev()).take(rest).take_while(unchanged).count();
        if head == self.0.len() && head == count {
            return false;
        }
        let between = parts.skip(head).take(count - tail - head);
        let mut old = mem::take(&mut self.0);
        let last = old.split_off(old.len() - tail);
        let changed = old.split_off(head);
        let places = places(&changed, between.clone(), name);
        let mut changed: Vec<Option<(Arc<T>, V)>> = changed.into_iter().map(Some).collect();
        self.0 = old;
        self.0.reserve_exact(count - head);
        for (part, place) in between.zip(places) {
            let before = place.and_then(|place| changed.get_mut(place)?.take());
            let value = match before {
                Some((old, value)) if same(&old, part) => value,
                before => make(part, before.map(|(_, value)| value)),
            };
            self.0.push((Arc::clone(part), value));
        }
        self.0.extend(last);
        true
    }

    /// The parts with what was made from them, in their order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(Arc<T>, V)> + Clone {
        self.0.iter()
    }
}

/// For each part, where it was before, or else a part of its name. No place comes twice.
///
/// One part that moves past thousands shifts them all: they are found in step, and names are compared for the others only.
fn places<'a, T: 'a, V>(
    old: &[(Arc<T>, V)],
    parts: impl Iterator<Item = &'a Arc<T>> + Clone,
    name: fn(&T) -> &str,
) -> Vec<Option<usize>> {
    let (mut next, mut passed) = (0, Vec::new());
    let in_step = |part: &Arc<T>| {
        let ahead = old[next..].iter().take(AHEAD).position(|(old, _)| Arc::ptr_eq(old, part))?;
        passed.extend(next..next + ahead);
        next += ahead + 1;
        Some(next - 1)
    };
    let mut places: Vec<Option<usize>> = parts.clone().map(in_step).collect();
    passed.extend(next..old.len());
    let mut by_name: BTreeMap<&str, usize> = passed.into_iter().map(|place| (name(&old[place].0), place)).collect();
    for (place, part) in places.iter_mut().zip(parts).filter(|(place, _)| place.is_none()) {
        *place = by_name.remove(name(part));
    }
    places
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
        (changed, made)
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
    fn what_moved_is_kept() {
        let part = |number: usize| Arc::new(format!("{number}=1"));
        let mut parts: Vec<_> = (0..100).map(part).collect();
        let mut kept = Kept::default();
        update(&mut kept, &parts);
        parts.rotate_left(1);
        assert_eq!(update(&mut kept, &parts), (true, vec![]), "one, past all others");
        let changed = Arc::new("9=2".to_owned());
        parts.remove(8);
        parts.insert(80, changed);
        assert_eq!(update(&mut kept, &parts), (true, vec!["9=2 after 9=1".to_owned()]));
        parts.drain(20..50);
        parts.swap(0, 1);
        parts.reverse();
        assert_eq!(update(&mut kept, &parts), (true, vec![]), "in no order, and with a gap");
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

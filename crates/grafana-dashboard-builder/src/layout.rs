//! Where panels are: 24 columns, filled from the left, line by line.

use serde_json::{Value, json};

/// How wide a dashboard is.
pub(crate) const COLUMNS: u32 = 24;

/// The least that a panel without a width of its own gets.
const LEAST: u32 = 6;

/// Where a panel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Place {
    pub(crate) fn json(self) -> Value {
        json!({ "x": self.x, "y": self.y, "w": self.width, "h": self.height })
    }
}

/// Places panels of these widths, and gives the height of all lines.
pub(crate) fn place(widths: &[Option<u32>], top: u32, height: u32) -> (Vec<Place>, u32) {
    let mut places = Vec::new();
    let mut y = top;
    for line in lines(widths) {
        let mut x = 0;
        for width in shares(line) {
            places.push(Place { x, y, width, height });
            x += width;
        }
        y += height;
    }
    (places, y - top)
}

/// Splits panels into lines that they fit in.
fn lines(widths: &[Option<u32>]) -> Vec<&[Option<u32>]> {
    let (mut lines, mut start, mut used) = (Vec::new(), 0, 0);
    for (index, width) in widths.iter().enumerate() {
        let least = width.unwrap_or(LEAST).min(COLUMNS);
        if used + least > COLUMNS {
            lines.push(&widths[start..index]);
            (start, used) = (index, 0);
        }
        used += least;
    }
    if start < widths.len() {
        lines.push(&widths[start..]);
    }
    lines
}

/// The widths of a line's panels: those without one share what is left, the first ones the rest.
fn shares(line: &[Option<u32>]) -> impl Iterator<Item = u32> {
    let taken: u32 = line.iter().flatten().map(|width| (*width).min(COLUMNS)).sum();
    let open = u32::try_from(line.iter().filter(|width| width.is_none()).count()).unwrap_or(COLUMNS).max(1);
    let (each, mut rest) = ((COLUMNS - taken) / open, (COLUMNS - taken) % open);
    line.iter().map(move |width| match width {
        Some(width) => (*width).min(COLUMNS),
        None if rest > 0 => {
            rest -= 1;
            each + 1
        }
        None => each,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn widths(of: &[Option<u32>]) -> Vec<(u32, u32, u32)> {
        place(of, 1, 8).0.iter().map(|place| (place.x, place.y, place.width)).collect()
    }

    #[test]
    fn panels_share_a_line() {
        assert_eq!(widths(&[None]), [(0, 1, 24)]);
        assert_eq!(widths(&[None; 3]), [(0, 1, 8), (8, 1, 8), (16, 1, 8)]);
        assert_eq!(widths(&[Some(4), None, None]), [(0, 1, 4), (4, 1, 10), (14, 1, 10)]);
        assert_eq!(widths(&[Some(3), Some(2), None, None]), [(0, 1, 3), (3, 1, 2), (5, 1, 10), (15, 1, 9)]);
        assert_eq!(widths(&[None; 5])[4], (0, 9, 24));
        assert_eq!(widths(&[Some(20), Some(20)]), [(0, 1, 20), (0, 9, 20)]);
        assert_eq!(place(&[None; 9], 1, 8).1, 24);
        assert_eq!(place(&[], 1, 8), (Vec::new(), 0));
    }

    #[test]
    fn nothing_overlaps_whatever_the_widths() {
        for seed in 0..2_000_u32 {
            let width = |index: u32| match (seed.wrapping_mul(2_654_435_761) >> index) % 40 {
                0..=9 => None,
                width => Some(width - 9),
            };
            let of: Vec<_> = (0..seed % 12).map(width).collect();
            let (places, _) = place(&of, 0, 4);
            assert_eq!(places.len(), of.len());
            for (index, place) in places.iter().enumerate() {
                assert!(place.width > 0 && place.x + place.width <= COLUMNS, "{of:?}: {place:?}");
                let apart = |other: &Place| other.y != place.y || other.x + other.width <= place.x;
                assert!(places[..index].iter().all(apart), "{of:?}");
            }
        }
    }
}

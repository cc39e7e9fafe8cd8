//! Charges that go into one call: those of one server, and in a cluster those of one slot.

use smallvec::SmallVec;

use super::Raw;
use crate::store::Batch;

/// Slots of a Redis cluster.
const SLOTS: u16 = 16_384;

/// Charges of one call, by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) link: usize,
    slot: Option<u16>,
    pub(super) charges: SmallVec<[usize; 4]>,
}

impl Group {
    /// Some charges of it.
    pub(super) fn only(&self, charges: SmallVec<[usize; 4]>) -> Self {
        Self { charges, ..self.clone() }
    }

    /// Whether one of its own charges refused the request: then the script has counted none of them.
    pub(super) fn refused(&self, batch: &Batch, raws: &[Raw]) -> bool {
        self.charges.iter().any(|index| batch.charges()[*index].refuses(raws[*index].used))
    }
}

/// The groups of all charges.
pub(super) fn of(
    batch: &Batch,
    link: impl Fn(usize) -> usize,
    is_cluster: impl Fn(usize) -> bool,
) -> SmallVec<[Group; 1]> {
    let mut groups: SmallVec<[Group; 1]> = SmallVec::new();
    for (index, charge) in batch.charges().iter().enumerate() {
        let link = link(index);
        let slot = is_cluster(link).then(|| slot(batch.windowed_key(charge)));
        match groups.iter_mut().find(|group| group.link == link && group.slot == slot) {
            Some(group) => group.charges.push(index),
            None => groups.push(Group { link, slot, charges: SmallVec::from_slice(&[index]) }),
        }
    }
    groups
}

/// The slot of a key: CRC-16 (XMODEM) of what stands between the first braces, or of all of it.
fn slot(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let rest = &key[open + 1..];
        rest.iter().position(|byte| *byte == b'}').filter(|length| *length > 0).map(|length| &rest[..length])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        let mut crc = crc ^ (u16::from(*byte) << 8);
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::Counting;
    use crate::limit::{Limit, Unit};
    use crate::store::Weight;

    #[test]
    fn slots_are_those_of_redis() {
        // The check value of CRC-16/XMODEM, and slots as `CLUSTER KEYSLOT` gives them.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot(b"foo"), 12_182);
        assert_eq!(slot(b"{foo}.bar"), 12_182);
        assert_eq!(slot(b"{}foo"), crc16(b"{}foo") % SLOTS);
    }

    #[test]
    fn one_call_for_a_server_and_one_for_each_slot() {
        let mut batch = Batch::new(0, Counting::CountAll);
        for key in ["foo", "bar", "{foo}"] {
            batch.push(
                Limit::fixed(1, Unit::MINUTE),
                1,
                Weight::Refuses,
                |buffer| buffer.extend_from_slice(key.as_bytes()),
                |_| {},
            );
        }
        assert_eq!(of(&batch, |_| 0, |_| false).len(), 1);
        let apart = of(&batch, |_| 0, |_| true);
        assert_eq!(apart.iter().map(|group| group.charges.to_vec()).collect::<Vec<_>>(), [vec![0, 2], vec![1]]);
        assert_eq!(of(&batch, |index| index % 2, |_| false).len(), 2);
    }
}

//! How long, how large: buckets with bounds that are set, and native buckets, which need none.
//!
//! A native bucket ends at a power of 2^(1/8) (Prometheus' schema 3): a quantile from it is off by 4.5 % at most.

use std::num::NonZeroU128;

/// How many native buckets lie between a number and its double: 2 to the power of this.
pub(crate) const SCHEMA: i32 = 3;
/// Below this a value counts as zero: less than a nanosecond.
pub(crate) const ZERO: f64 = 1e-9;
/// Where the buckets of one octave end, as parts of its end.
const OCTAVE: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    std::f64::consts::FRAC_1_SQRT_2,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_6,
    0.917_004_043_204_671_2,
];

/// Values, counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    /// How many are at most each bound and above the one before; those above all bounds last.
    pub(crate) classic: Vec<u64>,
    /// The index of a native bucket, and how many are in it, in order.
    pub(crate) native: Vec<(i16, u64)>,
    /// Those that count as zero.
    pub(crate) zero: u64,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// For each bucket with a bound, the last request in it whose trace is known.
    pub(crate) exemplars: Vec<Option<Exemplar>>,
}

/// A request that stands for its bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Exemplar {
    /// The trace. Zero is none: so says the standard (W3C Trace Context), and that there is none takes no room.
    pub(crate) trace: NonZeroU128,
    pub(crate) value: f64,
    /// Seconds of the Unix epoch.
    pub(crate) time: f64,
}

impl Histogram {
    /// Counts a value.
    pub(crate) fn observe(&mut self, bounds: &[f64], value: f64, exemplar: Option<Exemplar>) {
        if self.classic.is_empty() {
            self.classic = vec![0; bounds.len() + 1];
        }
        let place = bounds.partition_point(|bound| *bound < value);
        self.classic[place] += 1;
        self.count += 1;
        self.sum += value;
        if value <= ZERO {
            self.zero += 1;
        } else {
            self.add_native(index(value), 1);
        }
        if exemplar.is_some() {
            self.exemplars.resize(bounds.len() + 1, None);
            self.exemplars[place] = exemplar;
        }
    }

    fn add_native(&mut self, index: i16, count: u64) {
        match self.native.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(place) => self.native[place].1 += count,
            Err(place) => self.native.insert(place, (index, count)),
        }
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.classic.resize(other.classic.len().max(self.classic.len()), 0);
        for (mine, theirs) in self.classic.iter_mut().zip(&other.classic) {
            *mine += theirs;
        }
        if self.native.is_empty() {
            self.native.clone_from(&other.native);
        } else {
            for (index, count) in &other.native {
                self.add_native(*index, *count);
            }
        }
        self.zero += other.zero;
        self.count += other.count;
        self.sum += other.sum;
        if self.exemplars.len() < other.exemplars.len() {
            self.exemplars.resize(other.exemplars.len(), None);
        }
        for (mine, theirs) in self.exemplars.iter_mut().zip(&other.exemplars) {
            let newer = theirs.filter(|theirs| mine.is_none_or(|mine| mine.time <= theirs.time));
            *mine = newer.or(*mine);
        }
    }

    /// What was counted since this was like `before`; without exemplars and bounds.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let then = |index: i16| {
            let found = before.native.binary_search_by_key(&index, |(index, _)| *index);
            found.map_or(0, |place| before.native[place].1)
        };
        let native = self.native.iter().map(|(index, count)| (*index, count.saturating_sub(then(*index))));
        Self {
            native: native.filter(|(_, count)| *count > 0).collect(),
            zero: self.zero.saturating_sub(before.zero),
            count: self.count.saturating_sub(before.count),
            sum: self.sum - before.sum,
            ..Self::default()
        }
    }

    /// The value that this share of all is at most, by native buckets; nothing when there are none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        #[allow(clippy::cast_precision_loss, reason = "a share of a count is no exact number")]
        let wanted = share * self.count as f64;
        #[allow(clippy::cast_precision_loss, reason = "the same")]
        let reached = |count: u64| count as f64 >= wanted;
        let mut below = self.zero;
        if self.count == 0 || reached(below) {
            return (self.count > 0).then_some(0.0);
        }
        let bucket = self.native.iter().find(|(_, count)| {
            below += count;
            reached(below)
        });
        bucket.map(|(index, _)| f64::exp2(f64::from(*index) / 8.0))
    }
}

/// The native bucket of a positive number: the index whose bound is the smallest that is not below it.
fn index(value: f64) -> i16 {
    let bits = value.to_bits();
    // The number is `part` times a power of two, with `part` from a half to below one.
    let exponent = i32::try_from(bits >> 52 & 0x7ff).unwrap_or_default() - 1022;
    let part = f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52);
    let within = OCTAVE.partition_point(|bound| *bound < part);
    i16::try_from((exponent - 1) * 8 + i32::try_from(within).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_native_bucket_holds_its_numbers(value in 1e-6_f64..1e9) {
            let index = f64::from(index(value));
            prop_assert!(value <= f64::exp2(index / 8.0) * (1.0 + 1e-12));
            prop_assert!(value > f64::exp2((index - 1.0) / 8.0) * (1.0 - 1e-12));
        }

        #[test]
        fn quantiles_are_near_the_exact_ones(mut values in prop::collection::vec(1e-4_f64..1e3, 1..300), share in 0.01_f64..1.0) {
            let mut histogram = Histogram::default();
            for value in &values {
                histogram.observe(&[1.0], *value, None);
            }
            values.sort_by(f64::total_cmp);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
            let exact = values[((share * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
            let found = histogram.quantile(share).unwrap();
            prop_assert!(found >= exact * 0.999_999 && found <= exact * 1.0906, "{found} {exact}");
        }
    }

    #[test]
    fn bounds_belong_to_their_bucket() {
        let mut histogram = Histogram::default();
        for value in [0.0, 0.1, 0.100_001, 5.0] {
            histogram.observe(&[0.1, 1.0], value, None);
        }
        assert_eq!((histogram.classic.as_slice(), histogram.zero, histogram.count), ([2, 1, 1].as_slice(), 1, 4));
        assert_eq!([1.0, 2.0, 0.5, 0.25].map(index), [0, 8, -8, -16]);
    }

    #[test]
    fn what_is_merged_can_be_taken_away_again() {
        let exemplar = |time| Some(Exemplar { trace: NonZeroU128::MIN, value: 0.2, time });
        let (mut one, mut two) = (Histogram::default(), Histogram::default());
        for (value, time) in [(0.2, 1.0), (3.0, 2.0)] {
            one.observe(&[1.0], value, exemplar(time));
        }
        two.observe(&[1.0], 0.2, exemplar(9.0));
        let mut both = one.clone();
        both.merge(&two);
        assert_eq!((both.classic.as_slice(), both.count), ([2, 1].as_slice(), 3));
        assert_eq!(both.exemplars[0], exemplar(9.0));
        let difference = both.since(&one);
        assert_eq!((difference.native, difference.count), (two.native, 1));
    }
}

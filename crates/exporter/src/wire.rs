//! Protobuf as it comes, read in place: an entry has some sixty values of which a dozen are counted, and making an owned message
//! of all of them costs ten times what counting does.

/// The fields of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(&'a [u8]);

/// The value of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    /// An integer, a boolean, an enum, or the bits of a fixed number.
    Number(u64),
    /// A string, bytes, or a message.
    Bytes(&'a [u8]),
}

/// The bytes are no protobuf message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a protobuf message")]
pub(crate) struct Malformed;

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field: its number and its value.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(Malformed)?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Number(u64::from_le_bytes(*self.take(8)?.first_chunk().ok_or(Malformed)?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Number(u32::from_le_bytes(*self.take(4)?.first_chunk().ok_or(Malformed)?).into()),
            _ => return Err(Malformed),
        };
        Ok(Some((number, value)))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    #[inline]
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    /// The bytes; none when it is a number.
    #[inline]
    pub(crate) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Number(_) => &[],
        }
    }

    /// The number; 0 when it is none.
    #[inline]
    pub(crate) fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }
}

/// The first field with this number in a message; nothing when there is none, or the message is broken before it.
pub(crate) fn field(message: &[u8], wanted: u32) -> Option<Value<'_>> {
    let mut fields = Fields::new(message);
    while let Ok(Some((number, value))) = fields.next() {
        if number == wanted {
            return Some(value);
        }
    }
    None
}

/// The value of an entry of a map: `map<string, V>`, whose entries are messages.
pub(crate) fn pair(entry: &[u8]) -> (&[u8], &[u8]) {
    let of = |number| field(entry, number).map(Value::bytes).unwrap_or_default();
    (of(1), of(2))
}

#[cfg(test)]
mod tests {
    use envoy::Message as _;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written() {
        let written = envoy::Duration { seconds: 1 << 40, nanos: 7 };
        let bytes = written.encode_to_vec();
        let mut fields = Fields::new(&bytes);
        let (number, seconds) = fields.next().unwrap().unwrap();
        assert_eq!((number, seconds.number()), (1, 1 << 40));
        assert_eq!(fields.next().unwrap().unwrap().1.number(), 7);
        assert!(fields.next().unwrap().is_none());
        assert_eq!(field(&bytes, 2).map(Value::number), Some(7));
        assert!(field(&bytes, 3).is_none());
    }

    proptest! {
        /// Whatever comes: it ends, and nothing is read beyond the end.
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::new(&bytes);
            let mut steps = 0;
            while let Ok(Some((_, value))) = fields.next() {
                prop_assert!(value.bytes().len() <= bytes.len());
                steps += 1;
            }
            prop_assert!(steps <= bytes.len());
        }
    }
}

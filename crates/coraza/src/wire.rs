//! Batches: strings and numbers in one buffer, as `go/wire.go` reads and writes them. A number is four bytes, little endian;
//! a string is its length and its bytes.

/// Makes a batch.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// A string of 4 GiB or more is cut; nothing that long gets here.
    pub(crate) fn text(&mut self, text: &[u8]) {
        let size = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.number(size);
        self.0.extend_from_slice(&text[..size as usize]);
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Takes a batch apart. One that ends too early gives empty strings and zeros: both ends are of one build.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn more(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn number(&mut self) -> u32 {
        let Some((number, rest)) = self.0.split_first_chunk() else {
            self.0 = &[];
            return 0;
        };
        self.0 = rest;
        u32::from_le_bytes(*number)
    }

    /// A number that may be negative.
    pub(crate) fn signed(&mut self) -> i32 {
        self.number().cast_signed()
    }

    /// What is no UTF-8 is replaced: this is for people to read.
    pub(crate) fn text(&mut self) -> String {
        let size = self.number() as usize;
        let (text, rest) = self.0.split_at(size.min(self.0.len()));
        self.0 = rest;
        String::from_utf8_lossy(text).into_owned()
    }
}

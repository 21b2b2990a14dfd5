//! The bytes of one piece while it grows.
//!
//! The buffer is always initialised beyond its content, so that short things are copied as blocks of fixed size, which costs a
//! few instructions instead of a call. Not here: what the bytes mean.

use std::ops::Range;

/// Short things are copied as so many bytes, whatever their length.
pub(crate) const BLOCK_BYTES: usize = 32;

/// What a source of [`Text::push_padded`] has to have after its last byte that counts.
pub(crate) const PADDING: [u8; 2 * BLOCK_BYTES] = [0; 2 * BLOCK_BYTES];

/// A new buffer begins with so much, and doubles.
const BUFFER_BYTES_MIN: usize = 8 << 10;

/// Bytes that grow at their end.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// Initialised as a whole; what lies behind `length` has no meaning.
    buffer: Vec<u8>,
    length: usize,
}

impl Text {
    /// Writes into a buffer that has been used before, or an empty one.
    pub(crate) fn reusing(buffer: Vec<u8>) -> Self {
        Self { buffer, length: 0 }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The buffer, and how much of it counts.
    pub(crate) fn into_parts(self) -> (Vec<u8>, usize) {
        (self.buffer, self.length)
    }

    #[inline]
    pub(crate) fn push_byte(&mut self, byte: u8) {
        self.reserve(1);
        self.buffer[self.length] = byte;
        self.length += 1;
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let end = self.length + bytes.len();
        self.buffer[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// Lets `write` put something behind the end, and appends as much of it as it says.
    #[inline]
    pub(crate) fn push_with<const BYTES: usize>(
        &mut self,
        write: impl FnOnce(&mut [u8; BYTES]) -> usize,
    ) {
        self.reserve(BYTES);
        let behind = self.buffer[self.length..].first_chunk_mut();
        let length = write(behind.expect("so much is reserved"));
        debug_assert!(length <= BYTES, "no more than there is");
        self.length += length;
    }

    /// Appends `source[range]`; `source` goes on for at least [`PADDING`] behind it.
    #[inline]
    pub(crate) fn push_padded(&mut self, source: &[u8], range: Range<usize>) {
        let length = range.len();
        if length <= BLOCK_BYTES {
            self.push_blocks::<BLOCK_BYTES>(&source[range.start..], length);
        } else if length <= 2 * BLOCK_BYTES {
            self.push_blocks::<{ 2 * BLOCK_BYTES }>(&source[range.start..], length);
        } else {
            self.push(&source[range]);
        }
    }

    #[inline]
    fn push_blocks<const BYTES: usize>(&mut self, source: &[u8], length: usize) {
        self.reserve(BYTES);
        self.buffer[self.length..self.length + BYTES].copy_from_slice(&source[..BYTES]);
        self.length += length;
    }

    /// Appends what stands at `range` once more.
    #[inline]
    pub(crate) fn repeat(&mut self, range: Range<usize>) {
        let length = range.len();
        self.reserve(length);
        self.buffer.copy_within(range, self.length);
        self.length += length;
    }

    /// Replaces one byte that is there.
    #[inline]
    pub(crate) fn replace_byte(&mut self, at: usize, byte: u8) {
        self.buffer[at] = byte;
    }

    #[inline]
    fn reserve(&mut self, bytes: usize) {
        if self.buffer.len() - self.length < bytes {
            self.grow(bytes);
        }
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        let needed = self.length + bytes;
        let doubled = self.buffer.len() * 2;
        self.buffer
            .resize(needed.max(doubled).max(BUFFER_BYTES_MIN), 0);
    }
}

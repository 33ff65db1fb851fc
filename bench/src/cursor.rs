//! Reading little-endian values off the front of bytes that may be anything.
//!
//! The forms are bincode 2's with fixed-width integers: lengths are u64, an option is a byte 0 or
//! 1 and its value, an enum is a u32 variant and its fields, a struct is its fields in order, an
//! array its items without a length. Nothing is allocated that the bytes do not hold.

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// They end inside a value.
    #[error("ends inside {0}")]
    Short(&'static str),
    /// A value outside its range.
    #[error("{what} is {found}")]
    Value {
        /// Which.
        what: &'static str,
        /// What stands there.
        found: u64,
    },
    /// A string that is not UTF-8.
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    /// Bytes after the last value.
    #[error("{0} bytes left over")]
    Trailing(usize),
}

/// Bytes, and what has not been read of them.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// At the start of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], CursorError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CursorError::Short(what))?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], CursorError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CursorError::Short(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// There is none.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, CursorError> {
        self.array(what).map(u8::from_le_bytes)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, CursorError> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, CursorError> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// There are fewer.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, CursorError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// Eight bytes with a sign.
    ///
    /// # Errors
    /// There are fewer.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, CursorError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// A byte 0 or 1.
    ///
    /// # Errors
    /// Another byte, or none.
    pub fn flag(&mut self, what: &'static str) -> Result<bool, CursorError> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(CursorError::Value { what, found: u64::from(found) }),
        }
    }

    /// How many items of at least `item_bytes` follow.
    ///
    /// # Errors
    /// More than the bytes can hold.
    pub fn count(&mut self, item_bytes: usize, what: &'static str) -> Result<usize, CursorError> {
        let found = self.u64(what)?;
        let fits = usize::try_from(found).ok().filter(|n| *n <= self.left() / item_bytes.max(1));
        fits.ok_or(CursorError::Value { what, found })
    }

    /// A string.
    ///
    /// # Errors
    /// Its bytes are missing or no UTF-8.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, CursorError> {
        let length = self.count(1, what)?;
        std::str::from_utf8(self.take(length, what)?).map_err(|_| CursorError::Text(what))
    }

    /// An option of what `read` reads.
    ///
    /// # Errors
    /// Those of the byte before it, and of `read`.
    pub fn option<T>(
        &mut self,
        what: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, CursorError>,
    ) -> Result<Option<T>, CursorError> {
        self.flag(what)?.then(|| read(self)).transpose()
    }

    /// A sequence of what `read` reads, each of at least `item_bytes`.
    ///
    /// # Errors
    /// Those of the count, and of `read`.
    pub fn sequence<T>(
        &mut self,
        item_bytes: usize,
        what: &'static str,
        mut read: impl FnMut(&mut Self) -> Result<T, CursorError>,
    ) -> Result<Vec<T>, CursorError> {
        let count = self.count(item_bytes, what)?;
        (0..count).map(|_| read(self)).collect()
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&self) -> Result<(), CursorError> {
        match self.left() {
            0 => Ok(()),
            left => Err(CursorError::Trailing(left)),
        }
    }
}

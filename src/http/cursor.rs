//! Cursors of lists: an opaque word, checked, so that a slip is refused instead of read wrongly.

use std::fmt;

use crate::domain::Handle;

/// Where the next page of products begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) next: Handle,
}

/// The word is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CursorError;

impl Cursor {
    fn check(self) -> u16 {
        let crc = crc32c::crc32c_append(u32::from(b'c'), &self.next.get().to_le_bytes());
        (crc ^ crc >> 16) as u16
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{:08x}{:04x}", self.next.get(), self.check())
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(word: &str) -> Result<Self, CursorError> {
        let digits = word.strip_prefix('c').filter(|digits| digits.len() == 12);
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let number = number.ok_or(CursorError)?;
        let next = Handle::new(u32::try_from(number >> 16).map_err(|_| CursorError)?);
        let cursor = Self { next };
        // Only as we write it: no sign, no capitals, the right check.
        if cursor.to_string() == word { Ok(cursor) } else { Err(CursorError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_slips_are_caught() {
        for number in [0, 1, 1_000, u32::MAX] {
            let cursor = Cursor { next: Handle::new(number) };
            let word = cursor.to_string();
            assert_eq!(word.parse(), Ok(cursor));
            for place in 0..word.len() {
                let mut slip = word.clone().into_bytes();
                slip[place] = if slip[place] == b'7' { b'8' } else { b'7' };
                assert!(String::from_utf8(slip).unwrap().parse::<Cursor>().is_err(), "{word}");
            }
        }
        for wrong in ["", "c", "c00000000", "c+0000000000", "cä0000000000", "1"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}

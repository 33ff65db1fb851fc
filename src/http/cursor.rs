//! Cursors of lists: an opaque word, checked, so that a slip is refused instead of read wrongly.

use std::fmt;

/// Where the next page of a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    list: List,
    number: u64,
}

/// Which list a cursor is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    /// Products: the handle the next page begins with.
    Products,
    /// A product's history: the version the next page ends before.
    History,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::Products => 'c',
            Self::History => 'v',
        }
    }

    /// The cursor at a number of this list.
    pub(super) fn at(self, number: u64) -> Cursor {
        Cursor { list: self, number }
    }

    /// The number of a cursor of this list; `None` for a word that is none.
    pub(super) fn read(self, word: &str) -> Option<u64> {
        let digits = word.strip_prefix(self.letter()).filter(|digits| digits.len() == 20)?;
        let number = u64::from_str_radix(digits.get(..16)?, 16).ok()?;
        // Only as we write it: no sign, no capitals, the right check.
        (self.at(number).to_string() == word).then_some(number)
    }
}

impl Cursor {
    fn check(self) -> u16 {
        let seed = u32::from(self.list.letter());
        let crc = crc32c::crc32c_append(seed, &self.number.to_le_bytes());
        (crc ^ crc >> 16) as u16
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}{:04x}", self.list.letter(), self.number, self.check())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_slips_are_caught() {
        for number in [0, 1, 1_000, u64::MAX] {
            let word = List::Products.at(number).to_string();
            assert_eq!(List::Products.read(&word), Some(number));
            assert_eq!(List::History.read(&word.replacen('c', "v", 1)), None, "another list's");
            for place in 0..word.len() {
                let mut slip = word.clone().into_bytes();
                slip[place] = if slip[place] == b'7' { b'8' } else { b'7' };
                let slip = String::from_utf8(slip).unwrap();
                assert_eq!(List::Products.read(&slip), None, "{slip}");
            }
        }
        for wrong in ["", "c", "c00000000", "c+0000000000000000000", "cä000000000000000000", "1"] {
            assert_eq!(List::Products.read(wrong), None, "{wrong}");
        }
    }
}

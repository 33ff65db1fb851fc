//! Order ids and positions: words that carry the place of a record.
//!
//! A letter (`o` an order, `p` a position) and 24 digits of Crockford's base 32 in lower case: 15
//! bytes, the most significant bit first. The bytes, big-endian: partition u16, epoch u32, sequence
//! 56 bits, check u16. The check is the crc32c of letter (1 byte), partition (2), epoch (4) and
//! sequence (8), its upper half XORed onto its lower.

/// The digits; `i`, `l`, `o` and `u` are none.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const WORD_BYTES: usize = 25;

/// Which record, of which journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Part of the log.
    pub partition: u16,
    /// Owner of it.
    pub epoch: u32,
    /// Place in it.
    pub sequence: u64,
}

impl Place {
    /// The place that a word with this letter names; `None`: the word is none, or miscopied.
    #[must_use]
    pub fn parse(letter: u8, word: &str) -> Option<Self> {
        let (first, digits) = word.as_bytes().split_first()?;
        if *first != letter || word.len() != WORD_BYTES {
            return None;
        }
        let bits = digits.iter().try_fold(0u128, |bits, digit| {
            let value = DIGITS.iter().position(|known| known == digit)?;
            Some(bits * 32 + value as u128)
        })?;
        let bytes = bits.to_be_bytes();
        let [_, p0, p1, e0, e1, e2, e3, s0, s1, s2, s3, s4, s5, s6, c0, c1] = bytes;
        let place = Self {
            partition: u16::from_be_bytes([p0, p1]),
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
            sequence: u64::from_be_bytes([0, s0, s1, s2, s3, s4, s5, s6]),
        };
        let covered = [letter, p0, p1, e0, e1, e2, e3, 0, s0, s1, s2, s3, s4, s5, s6];
        let crc = crc32c::crc32c(&covered);
        let check = ((crc >> 16) ^ (crc & 0xffff)) as u16;
        (check == u16::from_be_bytes([c0, c1])).then_some(place)
    }

    /// The word of this place.
    #[must_use]
    pub fn word(&self, letter: u8) -> String {
        let mut covered = vec![letter];
        covered.extend(self.partition.to_be_bytes());
        covered.extend(self.epoch.to_be_bytes());
        covered.extend(self.sequence.to_be_bytes());
        let crc = crc32c::crc32c(&covered);
        let check = (crc >> 16) ^ (crc & 0xffff);
        let head = u128::from(self.partition) << 88 | u128::from(self.epoch) << 56;
        let bits = (head | u128::from(self.sequence)) << 16 | u128::from(check);
        let digit = |place: u32| {
            let value = (bits >> (5 * place)) as usize % DIGITS.len();
            char::from(DIGITS.get(value).copied().unwrap_or(b'0'))
        };
        std::iter::once(char::from(letter)).chain((0..24).rev().map(digit)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_slips_do_not() {
        let place = Place { partition: 3, epoch: 70_000, sequence: 123_456_789_012 };
        let word = place.word(b'o');
        assert_eq!(word.len(), WORD_BYTES);
        assert_eq!(Place::parse(b'o', &word), Some(place));
        assert_eq!(Place::parse(b'p', &word), None);
        assert_eq!(Place::parse(b'p', &word.replacen('o', "p", 1)), None, "the letter is checked");
        for place in 1..WORD_BYTES {
            let mut slip = word.clone().into_bytes();
            slip[place] = if slip[place] == b'7' { b'8' } else { b'7' };
            let slip = String::from_utf8(slip).expect("ascii");
            assert_eq!(Place::parse(b'o', &slip), None, "{slip}");
        }
        for wrong in ["", "o", "oäöüäöüäöüäöü", &word[..24], &format!("{word}0")] {
            assert_eq!(Place::parse(b'o', wrong), None, "{wrong}");
        }
    }
}

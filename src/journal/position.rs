//! A place in a journal, as the world outside sees it: an opaque word.
//!
//! Carries partition, epoch and sequence, so that an order is read from its record by its id
//! alone. Written in 24 lower-case letters and digits (Crockford's base 32) behind a letter that
//! says what it names; a check value catches most slips of a copying hand.

use std::fmt;

use crate::domain::Sequence;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 15 bytes: partition 2, epoch 4, sequence 7 (56 bits), check 2.
const BYTES: usize = 15;
const CHARS: usize = BYTES * 8 / 5;
const SEQUENCE_MAX: u64 = (1 << 56) - 1;

/// A place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Which journal.
    pub partition: u16,
    /// Who owned it.
    pub epoch: u32,
    /// Where in it.
    pub sequence: Sequence,
}

/// An order's id: the position of the record that placed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub Position);

/// A hold's id: the position of the record that placed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId(pub Position);

/// The word is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a position of this kind")]
pub struct PositionError;

impl Position {
    fn write(&self, letter: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes(letter);
        let mut text = [letter as u8; CHARS + 1];
        let bits = bytes.iter().fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
        for (place, char) in text.iter_mut().skip(1).enumerate() {
            let shift = 5 * (CHARS - 1 - place);
            let digit = (bits >> shift) as usize & 31;
            *char = ALPHABET.get(digit).copied().unwrap_or(b'0');
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }

    fn read(letter: char, text: &str) -> Result<Self, PositionError> {
        let digits = text.strip_prefix(letter).ok_or(PositionError)?;
        if digits.len() != CHARS {
            return Err(PositionError);
        }
        let mut bits = 0u128;
        for char in digits.bytes() {
            let digit = ALPHABET.iter().position(|known| *known == char).ok_or(PositionError)?;
            bits = bits << 5 | digit as u128;
        }
        let position = Self {
            partition: (bits >> 104) as u16,
            epoch: (bits >> 72) as u32,
            sequence: Sequence::new((bits >> 16) as u64 & SEQUENCE_MAX),
        };
        let check = u16::from_be_bytes(position.check(letter));
        if check == bits as u16 { Ok(position) } else { Err(PositionError) }
    }

    fn bytes(&self, letter: char) -> [u8; BYTES] {
        assert!(self.sequence.get() <= SEQUENCE_MAX, "56 bits of sequence");
        let mut bytes = [0; BYTES];
        let (number, check) = bytes.split_at_mut(BYTES - 2);
        let fields = self.partition.to_be_bytes().into_iter().chain(self.epoch.to_be_bytes());
        let fields = fields.chain(self.sequence.get().to_be_bytes().into_iter().skip(1));
        number.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        check.copy_from_slice(&self.check(letter));
        bytes
    }

    fn check(&self, letter: char) -> [u8; 2] {
        let mut bytes = [0u8; 15];
        let fields = [letter as u8].into_iter().chain(self.partition.to_be_bytes());
        let fields =
            fields.chain(self.epoch.to_be_bytes()).chain(self.sequence.get().to_be_bytes());
        bytes.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        let crc = crc32c::crc32c(&bytes);
        ((crc ^ crc >> 16) as u16).to_be_bytes()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write('p', f)
    }
}

impl std::str::FromStr for Position {
    type Err = PositionError;
    fn from_str(text: &str) -> Result<Self, PositionError> {
        Self::read('p', text)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write('o', f)
    }
}

impl std::str::FromStr for OrderId {
    type Err = PositionError;
    fn from_str(text: &str) -> Result<Self, PositionError> {
        Position::read('o', text).map(Self)
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write('h', f)
    }
}

impl std::str::FromStr for HoldId {
    type Err = PositionError;
    fn from_str(text: &str) -> Result<Self, PositionError> {
        Position::read('h', text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_reads_back_and_slips_are_caught() {
        let sequence = Sequence::new(123_456_789);
        let position = Position { partition: 3, epoch: 7, sequence };
        let word = OrderId(position).to_string();
        assert_eq!(word.len(), 25);
        assert_eq!(word.parse(), Ok(OrderId(position)));
        assert_eq!(word.parse::<Position>(), Err(PositionError), "another letter");
        for place in 1..word.len() {
            let mut slip = word.clone().into_bytes();
            slip[place] = if slip[place] == b'7' { b'8' } else { b'7' };
            let slip = String::from_utf8(slip).unwrap();
            assert!(slip.parse::<OrderId>().is_err(), "{slip}");
        }
        assert!("".parse::<OrderId>().is_err());
        assert!("oäöü".parse::<OrderId>().is_err());
    }
}

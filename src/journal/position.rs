//! A place in a journal, as the world outside sees it: an opaque word.
//!
//! Carries partition, epoch and sequence, so that an order is read from its record by its id
//! alone. Written in 24 lower-case letters and digits (Crockford's base 32) behind a letter that
//! says what it names; a check value catches most slips of a copying hand.

use std::fmt;

use doorbuster_wal::Epochs;

use super::JournalIdentity;
use crate::domain::Sequence;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// 15 bytes: partition 2, epoch 4, sequence 7 (56 bits), check 2.
const BYTES: usize = 15;
const CHARS: usize = BYTES * 8 / 5;
const PART_CHARS: usize = 8;
const PART_BITS: usize = 5 * PART_CHARS;
const _: () = assert!(3 * PART_CHARS == CHARS);
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

/// Gives places of one journal to the world outside; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    identity: JournalIdentity,
    epochs: Epochs,
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

impl Places {
    pub(super) fn new(identity: JournalIdentity, epochs: Epochs) -> Self {
        Self { identity, epochs }
    }

    /// Of a journal that has had one owner.
    #[must_use]
    pub fn of_one_owner(identity: JournalIdentity) -> Self {
        Self::new(identity, Epochs::one(identity.epoch))
    }

    /// The place of a record.
    #[must_use]
    pub fn position(&self, sequence: Sequence) -> Position {
        Position { partition: self.identity.partition, epoch: self.epoch_of(sequence), sequence }
    }

    /// The id of the order that a record placed.
    #[must_use]
    pub fn order_id(&self, sequence: Sequence) -> OrderId {
        OrderId(self.position(sequence))
    }

    /// The id of the hold that a record placed.
    #[must_use]
    pub fn hold_id(&self, sequence: Sequence) -> HoldId {
        HoldId(self.position(sequence))
    }

    /// Who owned the journal when a record was written.
    #[must_use]
    pub fn epoch_of(&self, sequence: Sequence) -> u32 {
        // One that was pruned has no owner any more; nobody can ask for it.
        self.epochs.of(sequence.get()).unwrap_or(self.identity.epoch)
    }

    /// The journal as it was when a record was written.
    #[must_use]
    pub fn identity_at(&self, sequence: Sequence) -> JournalIdentity {
        JournalIdentity { epoch: self.epoch_of(sequence), ..self.identity }
    }
}

impl Position {
    fn write(&self, letter: char, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [letter as u8; CHARS + 1];
        let bits = self.bits(letter);
        let parts = text.get_mut(1..).unwrap_or_default().chunks_exact_mut(PART_CHARS);
        for (part, shift) in parts.zip([2 * PART_BITS, PART_BITS, 0]) {
            // In words of the machine's own size: those of 128 bits are slow to shift.
            let mut bits = (bits >> shift) as u64;
            for char in part.iter_mut().rev() {
                *char = ALPHABET.get(bits as usize & 31).copied().unwrap_or(b'0');
                bits >>= 5;
            }
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
        if position.check(letter) == bits as u16 { Ok(position) } else { Err(PositionError) }
    }

    fn bits(&self, letter: char) -> u128 {
        self.number() << 16 | u128::from(self.check(letter))
    }

    /// Partition, epoch and sequence, without the check.
    fn number(&self) -> u128 {
        assert!(self.sequence.get() <= SEQUENCE_MAX, "56 bits of sequence");
        let (partition, epoch) = (u128::from(self.partition), u128::from(self.epoch));
        partition << 88 | epoch << 56 | u128::from(self.sequence.get())
    }

    /// Over the letter, partition, epoch and all 8 bytes of the sequence.
    fn check(&self, letter: char) -> u16 {
        let (partition, epoch) = (u128::from(self.partition), u128::from(self.epoch));
        let fields = partition << 96 | epoch << 64 | u128::from(self.sequence.get());
        let [_, bytes @ ..] = (u128::from(letter as u8) << 112 | fields).to_be_bytes();
        let crc = crc32c::crc32c(&bytes);
        (crc ^ crc >> 16) as u16
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

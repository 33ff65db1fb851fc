//! Bytes read by hand, as bincode writes them: little-endian, of fixed width, lengths as `u64`.

use smallvec::SmallVec;

use crate::domain::{Currency, Money};
use crate::journal::KeyStamp;

/// Bytes that are still to be read. `None`: they end too soon, or are not what they should be.
pub(in crate::journal) struct Bytes<'a>(pub(in crate::journal) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(in crate::journal) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(in crate::journal) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(in crate::journal) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(in crate::journal) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(in crate::journal) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// The outer `None`: no option, or what it has is not sound.
    #[expect(clippy::option_option, reason = "an option that was read, or was not")]
    pub(in crate::journal) fn option<T>(
        &mut self,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.array()? {
            [0] => Some(None),
            [1] => take(self).map(Some),
            _ => None,
        }
    }

    /// Item after item: a length that is claimed takes no memory.
    pub(in crate::journal) fn list<T>(
        &mut self,
        list: &mut SmallVec<[T; 1]>,
        mut take: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<()> {
        list.clear();
        for _ in 0..self.u64()? {
            list.push(take(self)?);
        }
        Some(())
    }

    pub(in crate::journal) fn money(&mut self) -> Option<Money> {
        let amount_minor = self.u64()?;
        Money::new(amount_minor, Currency::try_from(self.array::<3>()?).ok()?).ok()
    }
}

impl KeyStamp {
    pub(in crate::journal) fn take(from: &mut Bytes<'_>) -> Option<Self> {
        Some(Self { hash: from.array()?, fingerprint: from.array()? })
    }

    pub(in crate::journal) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.fingerprint);
    }
}

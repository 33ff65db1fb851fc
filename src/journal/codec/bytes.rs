//! Bytes read by hand, as bincode writes them: little-endian, of fixed width, lengths as `u64`.

use smallvec::SmallVec;

use crate::domain::{Currency, Money};
use crate::journal::KeyStamp;

/// Bytes that are still to be read. `None`: they end too soon, or are not what they should be.
pub(in crate::journal) struct Bytes<'a>(pub(in crate::journal) &'a [u8]);

impl<'a> Bytes<'a> {
    #[inline]
    pub(in crate::journal) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(array)
    }

    #[inline]
    pub(in crate::journal) fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    #[inline]
    pub(in crate::journal) fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(in crate::journal) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u64()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    pub(in crate::journal) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Makes `place` the option that is next. In its place, since what is made elsewhere costs more to
    /// move than to make.
    #[inline]
    pub(in crate::journal) fn option<T>(
        &mut self,
        place: &mut Option<T>,
        take: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<()> {
        match self.array()? {
            [0] if place.is_none() => {}
            [0] => *place = None,
            [1] => *place = Some(take(self)?),
            _ => return None,
        }
        Some(())
    }

    /// Item after item: a length that is claimed takes no memory.
    #[inline]
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
        Money::new(amount_minor, Currency::try_from(*self.array::<3>()?).ok()?).ok()
    }
}

impl KeyStamp {
    #[inline]
    pub(in crate::journal) fn take(from: &mut Bytes<'_>) -> Option<Self> {
        Some(Self { hash: *from.array()?, fingerprint: *from.array()? })
    }

    pub(in crate::journal) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.fingerprint);
    }
}

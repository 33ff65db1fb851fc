//! Epochs of restored journals: a count of restores, and chance.
//!
//! A journal begins with epoch 1. Each restore counts one more, in the upper bits; the lower ones are
//! drawn. Two restores of one backup would otherwise have the same epoch and give the same ids to
//! different orders; as it is, one in a million pairs does.

/// Bits that are drawn.
const DRAWN_BITS: u32 = 20;

/// The epoch of a journal that is restored from one of epoch `before`; `random` is drawn for it.
///
/// `None`: 4,095 restores are counted, there is no later epoch.
#[must_use]
pub fn restored_epoch(before: u32, random: u32) -> Option<u32> {
    let restores = (before >> DRAWN_BITS) + 1;
    let drawn = random & ((1 << DRAWN_BITS) - 1);
    (restores < 1 << (u32::BITS - DRAWN_BITS)).then_some(restores << DRAWN_BITS | drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restored_epoch_is_later_and_its_own() {
        assert_eq!(restored_epoch(1, 7), Some(1 << 20 | 7));
        assert_eq!(restored_epoch(1, u32::MAX), Some((2 << 20) - 1));
        let (one, other) = (restored_epoch(1, 1).unwrap(), restored_epoch(1, 2).unwrap());
        assert!(one > 1 && other > 1 && one != other);
        assert_eq!(restored_epoch(one, 0), Some(2 << 20));
        assert!(restored_epoch(other, 0) > Some(other));
        assert_eq!(restored_epoch(u32::MAX, 0), None);
        assert_eq!(restored_epoch(u32::MAX - (1 << 20), 3), Some(0xfff0_0003));
    }
}

//! What a shop asks next.

use super::{Mix, Shop};
use crate::notes::{Asked, Fate, Ware};
use crate::seeded::Seeded;

/// Buyers there are: few enough that limits are reached.
const BUYERS: u64 = 300;
/// The newest wares get most of the traffic.
const FRESH: usize = 5;
/// Longest life of a hold: some end by themselves between two kills.
const HOLD_MS_MAX: u64 = 3_000;

impl Shop {
    pub(super) fn any_ware(&mut self) -> Ware {
        let draws = &mut self.draws;
        let some = |draws: &mut Seeded, max| {
            if draws.once_in(2) { 0 } else { u32::try_from(draws.between(1, max)).unwrap_or(0) }
        };
        Ware {
            stock: draws.spread(1, 4_000),
            oversell_limit: some(draws, 40),
            safety_stock: some(draws, 20),
            per_buyer_limit: some(draws, 8),
            price: (!draws.once_in(3)).then(|| draws.between(0, 20_000)),
        }
    }

    /// The next request to send, or `None`: nothing is for sale.
    pub fn next_request(&mut self) -> Option<u64> {
        if let Some(number) = self.next_unknown() {
            return Some(number);
        }
        let Mix::Everything { wares_max } = self.mix else {
            return self.purchase();
        };
        if self.notes.wares.len() < usize::from(wares_max) && self.draws.once_in(600) {
            return Some(self.new_ware());
        }
        if self.draws.once_in(12)
            && let Some(number) = self.acknowledged()
        {
            return Some(number);
        }
        let asked = match self.draws.below(24) {
            0..2 => return self.adjustment(),
            2..5 => self.cart(),
            5..10 => self.hold(),
            10..15 => self.after_a_hold(),
            15..17 => self.cancellation(),
            _ => None,
        };
        match asked {
            Some(asked) => Some(self.begin(asked)),
            None => self.purchase(),
        }
    }

    /// A request whose outcome is unknown and nobody is asking for.
    pub fn next_unknown(&mut self) -> Option<u64> {
        self.unknown.pop_front()
    }

    /// Some request that was acknowledged, if a few looks find one.
    fn acknowledged(&mut self) -> Option<u64> {
        let sent = self.notes.len() as u64;
        let look = |_| {
            let number = self.draws.below(sent.max(1));
            let request = self.notes.get(number)?;
            // What has no key is not repeated: a second release is another one.
            let repeats = !matches!(request.asked, Asked::Release { .. });
            (repeats && matches!(request.fate, Fate::Done(_))).then_some(number)
        };
        (0..4).find_map(look)
    }

    fn ware(&mut self) -> Option<u16> {
        if self.mix == Mix::Purchases {
            return self.open.last().copied();
        }
        let fresh = self.open.len().saturating_sub(FRESH);
        let from = if self.draws.once_in(8) { 0 } else { fresh };
        let wares = self.open.get(from..).filter(|wares| !wares.is_empty())?;
        let place = usize::try_from(self.draws.below(wares.len() as u64)).ok()?;
        wares.get(place).copied()
    }

    fn adjustment(&mut self) -> Option<u64> {
        let ware = self.ware()?;
        let units = i32::try_from(self.draws.spread(1, 800)).unwrap_or(1);
        let delta = if self.draws.once_in(3) { -units } else { units };
        Some(self.begin(Asked::Adjust { ware, delta }))
    }

    pub(super) fn purchase(&mut self) -> Option<u64> {
        let ware = self.ware()?;
        let quantity = u16::try_from(self.draws.spread(1, 6)).unwrap_or(1);
        let buyer = u32::try_from(self.draws.below(BUYERS)).unwrap_or(0);
        Some(self.begin(Asked::Buy { ware, quantity, buyer }))
    }

    fn buyer(&mut self) -> u32 {
        u32::try_from(self.draws.below(BUYERS)).unwrap_or(0)
    }

    fn cart(&mut self) -> Option<Asked> {
        let (ware, other) = (self.ware()?, self.ware()?);
        let quantity = u16::try_from(self.draws.spread(1, 3)).unwrap_or(1);
        (ware != other).then(|| Asked::Cart { ware, other, quantity, buyer: self.buyer() })
    }

    fn hold(&mut self) -> Option<Asked> {
        let ware = self.ware()?;
        let quantity = u16::try_from(self.draws.spread(1, 6)).unwrap_or(1);
        let ttl_ms = self.ttl_ms();
        Some(Asked::Hold { ware, quantity, ttl_ms, buyer: self.buyer() })
    }

    fn ttl_ms(&mut self) -> u16 {
        u16::try_from(self.draws.spread(1, HOLD_MS_MAX)).unwrap_or(1)
    }

    /// Something for a hold that was acknowledged; now and then two things that cannot both be.
    fn after_a_hold(&mut self) -> Option<Asked> {
        // Rather one of the last: older ones are over.
        let back = usize::try_from(self.draws.spread(1, 60)).ok()?;
        let place = self.held.len().checked_sub(back)?;
        let hold = *self.held.get(place)?;
        let ware = self.notes.get(hold.into())?.asked.ware();
        let what = self.draws.below(10);
        if what >= 2 && !self.draws.once_in(4) {
            self.held.swap_remove(place);
        }
        match what {
            0..2 if self.notes.extension_of(hold).is_none() => {
                let ttl_ms = self.ttl_ms();
                Some(Asked::Extend { ware, ttl_ms, hold })
            }
            2..7 => Some(Asked::Confirm { ware, hold }),
            7..9 if self.notes.release_of(hold).is_none() => Some(Asked::Release { ware, hold }),
            // It is left to expire.
            _ => None,
        }
    }

    fn cancellation(&mut self) -> Option<Asked> {
        let place = usize::try_from(self.draws.below(self.orders.len().max(1) as u64)).ok()?;
        let order = *self.orders.get(place)?;
        if !self.draws.once_in(4) {
            self.orders.swap_remove(place);
        }
        let ware = self.notes.get(order.into())?.asked.ware();
        Some(Asked::Cancel { ware, restock: !self.draws.once_in(3), order })
    }
}

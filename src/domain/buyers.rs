//! Buyers of products with a limit: each id kept once, exactly, for as long as a count needs it.
//!
//! Memory: an id's bytes and about 40 more per buyer, 10 to 21 per buyer and limited product.

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

use super::ids::BuyerId;
use super::place::Version;

/// A buyer's number while some count names it.
pub(super) type BuyerNumber = u32;

/// Units per buyer of one product, in orders and live holds.
#[derive(Debug, Clone)]
pub struct BuyerCounts {
    /// The product's version that set its limit: later orders and holds are counted.
    since: Version,
    /// A limit is a `u32`, and nobody gets more than one allowed.
    units: HashMap<BuyerNumber, u32, RandomState>,
}

/// The interned buyers of a partition.
#[derive(Debug, Default)]
pub struct Buyers {
    slots: Vec<Slot>,
    free: Vec<BuyerNumber>,
    numbers: HashTable<BuyerNumber>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Slot {
    id: Option<BuyerId>,
    /// How many products count this buyer.
    uses: u32,
}

impl BuyerCounts {
    /// Nobody has any; what changes the product after `version` is counted.
    pub(super) fn since(version: Version) -> Self {
        Self { since: version, units: HashMap::default() }
    }

    /// The product's version that set its limit.
    pub(super) fn since_version(&self) -> Version {
        self.since
    }

    /// Whether an order or hold that made this version of the product is counted.
    #[must_use]
    pub fn count_from(&self, version: Version) -> bool {
        version > self.since
    }

    /// Buyers with at least one unit.
    #[must_use]
    pub fn len(&self) -> usize {
        self.units.len()
    }

    /// Whether nobody has any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

impl Buyers {
    /// Units that `buyer` has by `counts`.
    #[must_use]
    pub fn units(&self, counts: &BuyerCounts, buyer: &BuyerId) -> u64 {
        self.find(buyer).and_then(|number| counts.units.get(&number)).map_or(0, |n| u64::from(*n))
    }

    /// Every buyer of `counts` with its units, in no order.
    pub fn list<'a>(
        &'a self,
        counts: &'a BuyerCounts,
    ) -> impl Iterator<Item = (&'a BuyerId, u64)> + 'a {
        counts
            .units
            .iter()
            .filter_map(|(number, units)| Some((self.id(*number)?, u64::from(*units))))
    }

    pub(super) fn add(&mut self, counts: &mut BuyerCounts, buyer: &BuyerId, units: u64) {
        if units == 0 {
            return;
        }
        let units = u32::try_from(units).expect("units within a limit");
        let number = self.intern(buyer);
        match counts.units.entry(number) {
            hashbrown::hash_map::Entry::Occupied(mut entry) => {
                let sum = entry.get().checked_add(units).expect("units within a limit");
                *entry.get_mut() = sum;
            }
            hashbrown::hash_map::Entry::Vacant(entry) => {
                entry.insert(units);
                if let Some(slot) = self.slots.get_mut(number as usize) {
                    slot.uses += 1;
                }
            }
        }
    }

    pub(super) fn subtract(&mut self, counts: &mut BuyerCounts, buyer: &BuyerId, units: u64) {
        if units == 0 {
            return;
        }
        let number = self.find(buyer).expect("a buyer with units is counted");
        let hashbrown::hash_map::Entry::Occupied(mut entry) = counts.units.entry(number) else {
            panic!("a buyer with units is counted");
        };
        let left = u64::from(*entry.get()).checked_sub(units);
        let left = left.expect("no more comes back than was counted");
        match u32::try_from(left).expect("less than it was") {
            0 => {
                entry.remove();
                self.release(number);
            }
            left => *entry.get_mut() = left,
        }
    }

    /// Forgets all of `counts`: the limit is gone.
    pub(super) fn drop_counts(&mut self, counts: BuyerCounts) {
        for number in counts.units.into_keys() {
            self.release(number);
        }
    }

    /// How many ids are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn id(&self, number: BuyerNumber) -> Option<&BuyerId> {
        self.slots.get(number as usize)?.id.as_ref()
    }

    fn find(&self, buyer: &BuyerId) -> Option<BuyerNumber> {
        let hash = self.hasher.hash_one(Some(buyer));
        self.numbers.find(hash, |number| self.id(*number) == Some(buyer)).copied()
    }

    fn intern(&mut self, buyer: &BuyerId) -> BuyerNumber {
        if let Some(number) = self.find(buyer) {
            return number;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            BuyerNumber::try_from(self.slots.len() - 1).expect("fewer than 2^32 buyers in memory")
        });
        if let Some(slot) = self.slots.get_mut(number as usize) {
            *slot = Slot { id: Some(buyer.clone()), uses: 0 };
        }
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |number: &BuyerNumber| {
            hasher.hash_one(slots.get(*number as usize).and_then(|slot| slot.id.as_ref()))
        };
        self.numbers.insert_unique(hasher.hash_one(Some(buyer)), number, rehash);
        number
    }

    fn release(&mut self, number: BuyerNumber) {
        let Some(slot) = self.slots.get_mut(number as usize) else {
            return;
        };
        slot.uses -= 1;
        if slot.uses > 0 {
            return;
        }
        let id = slot.id.take();
        let hash = self.hasher.hash_one(id.as_ref());
        if let Ok(entry) = self.numbers.find_entry(hash, |kept| *kept == number) {
            entry.remove();
        }
        self.free.push(number);
    }
}

//! A list that only grows: any thread finds items by number, without a lock and without counting.
//!
//! Items never move and are never dropped before the list, so readers borrow them. They lie in
//! blocks of one size, so that growing a million neither copies nor doubles them; only the list of
//! blocks grows by doubling, in parts that stay where they are.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

const BLOCK_ITEMS: usize = 1024;
/// Parts of 1, 2, 4 ... blocks: room for 2^32 items.
const PARTS: usize = 23;

type Block<T> = Box<[OnceLock<T>]>;
type Part<T> = Box<[OnceLock<Block<T>>]>;

/// Items in order of arrival. One thread at a time appends.
pub(super) struct AppendOnly<T> {
    parts: [OnceLock<Part<T>>; PARTS],
    len: AtomicUsize,
}

/// Where an item lies.
struct Place {
    part: usize,
    block: usize,
    item: usize,
}

impl Place {
    fn of(number: usize) -> Self {
        // Counted from 1, the blocks of part k are those of k binary digits behind the first.
        let block = number / BLOCK_ITEMS + 1;
        let part = block.ilog2() as usize;
        Self { part, block: block - (1 << part), item: number % BLOCK_ITEMS }
    }
}

impl<T> Default for AppendOnly<T> {
    fn default() -> Self {
        Self { parts: [const { OnceLock::new() }; PARTS], len: AtomicUsize::new(0) }
    }
}

impl<T> AppendOnly<T> {
    /// The item of a number.
    pub(super) fn get(&self, number: usize) -> Option<&T> {
        let Place { part, block, item } = Place::of(number);
        self.parts.get(part)?.get()?.get(block)?.get()?.get(item)?.get()
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Appends an item; its number is the length before.
    pub(super) fn push(&self, item: T) -> &T {
        let number = self.len();
        let place = Place::of(number);
        let part = self.parts.get(place.part).expect("fewer than 2^32 items");
        let blocks = part.get_or_init(|| empty(1 << place.part));
        let block = blocks.get(place.block).expect("a part has its blocks");
        let items = block.get_or_init(|| empty(BLOCK_ITEMS));
        let slot = items.get(place.item).expect("a block has its items");
        assert!(slot.set(item).is_ok(), "one thread at a time appends");
        self.len.store(number + 1, Ordering::Release);
        slot.get().expect("it was just set")
    }
}

fn empty<T>(len: usize) -> Box<[OnceLock<T>]> {
    std::iter::repeat_with(OnceLock::new).take(len).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_where_they_are_while_the_list_grows() {
        let list = AppendOnly::default();
        assert!(list.get(0).is_none());
        let first: &usize = list.push(0);
        for number in 1..10 * BLOCK_ITEMS {
            assert_eq!((list.len(), *list.push(number)), (number, number));
        }
        assert!((0..list.len()).all(|number| list.get(number) == Some(&number)));
        assert!(std::ptr::eq(first, list.get(0).unwrap()));
        assert!(list.get(list.len()).is_none() && list.get(u32::MAX as usize).is_none());
    }
}

//! A queue whose items are found by number: in blocks, so that growing copies nothing.
//!
//! Numbers wrap at 2^32; fewer items than that are kept at once.

use std::collections::VecDeque;

const BLOCK_ITEMS: usize = 256;

/// Items in order of arrival, each with a number.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    blocks: VecDeque<Vec<T>>,
    /// Number of the first item of the front block.
    base: u32,
    /// Items of the front block that are gone.
    gone: usize,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self { blocks: VecDeque::new(), base: 0, gone: 0 }
    }
}

impl<T: Copy> Fifo<T> {
    /// Takes an item and gives its number.
    pub(super) fn push(&mut self, item: T) -> u32 {
        if self.blocks.back().is_none_or(|block| block.len() == BLOCK_ITEMS) {
            // The first block grows by itself: most queues of a small shop have no other.
            let items = if self.blocks.is_empty() { 0 } else { BLOCK_ITEMS };
            self.blocks.push_back(Vec::with_capacity(items));
        }
        let full = (self.blocks.len() - 1) * BLOCK_ITEMS;
        let block = self.blocks.back_mut().expect("one was just made sure of");
        let place = u32::try_from(full + block.len()).expect("fewer than 2^32 items");
        block.push(item);
        self.base.wrapping_add(place)
    }

    /// The item of a number.
    pub(super) fn get(&self, number: u32) -> Option<&T> {
        let place = number.wrapping_sub(self.base) as usize;
        self.blocks.get(place / BLOCK_ITEMS)?.get(place % BLOCK_ITEMS)
    }

    /// How many items there are.
    pub(super) fn len(&self) -> usize {
        let items = self.blocks.len().saturating_sub(1) * BLOCK_ITEMS;
        items + self.blocks.back().map_or(0, Vec::len) - self.gone
    }

    /// Numbers of the newest `count` items, in order of arrival.
    pub(super) fn newest(&self, count: usize) -> impl Iterator<Item = u32> + use<T> {
        let len = self.len();
        assert!(count <= len, "{count} of {len}");
        let first = self.base.wrapping_add((self.gone + len - count) as u32);
        (0..count as u32).map(move |place| first.wrapping_add(place))
    }

    /// The items, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten().skip(self.gone)
    }

    /// The oldest item.
    pub(super) fn front(&self) -> Option<&T> {
        self.blocks.front()?.get(self.gone)
    }

    /// Takes the oldest item out, with its number.
    pub(super) fn pop(&mut self) -> Option<(u32, T)> {
        let item = *self.front()?;
        let number = self.base.wrapping_add(self.gone as u32);
        self.gone += 1;
        if self.gone == BLOCK_ITEMS {
            self.blocks.pop_front();
            self.base = self.base.wrapping_add(BLOCK_ITEMS as u32);
            self.gone = 0;
        }
        Some((number, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_found_by_number_across_blocks_and_wrapping() {
        let mut fifo = Fifo { base: u32::MAX - 300, ..Fifo::default() };
        let numbers: Vec<u32> = (0..1_000).map(|item| fifo.push(item)).collect();
        for (item, number) in numbers.iter().enumerate() {
            assert_eq!(fifo.get(*number), Some(&item));
        }
        assert!(fifo.newest(700).eq(numbers[300..].iter().copied()));
        for (item, number) in numbers.iter().enumerate() {
            assert_eq!((fifo.front(), fifo.len()), (Some(&item), 1_000 - item));
            assert_eq!(fifo.pop(), Some((*number, item)));
        }
        assert_eq!(fifo.pop(), None);
        let next = fifo.push(7);
        assert_eq!((fifo.get(next), fifo.front()), (Some(&7), Some(&7)));
    }
}

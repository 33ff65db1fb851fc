//! Idempotency keys: which key made which record, for 24 hours by record time.
//!
//! A key is first *reserved* by the command that brings it, then, once the record is durable, an
//! *entry* until it has aged out. Both live under the lock of the key's shard, so a key moves from
//! one to the other in one step and is never free in between. A full table refuses new keys before
//! deciding; it never forgets early.
//!
//! Memory of an entry: 40 bytes, and 5 in the index at its fill of 7/16 to 7/8: under 64.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use parking_lot::Mutex;

use super::fifo::Fifo;
use crate::domain::Sequence;
use crate::journal::{KeyStamp, Planted, planted};

/// How long a key is kept, by record time.
pub const KEY_AGE_MS: u64 = 24 * 3_600_000;

/// So many that the index of one stays in a core's cache while it is made of millions of keys.
const SHARDS: usize = 128;

/// The keys of a partition.
pub struct Idempotency {
    shards: [Mutex<Shard>; SHARDS],
    /// Entries and reservations.
    len: AtomicUsize,
    len_max: usize,
    /// The latest time anybody brought: what ages, ages by it. Never behind the newest entry.
    newest_ms: AtomicU64,
}

#[derive(Default)]
struct Shard {
    /// In the order of their records, so the oldest is in front.
    entries: Fifo<Entry>,
    /// When the oldest was decided, known here because it lies far from the newest: `None` without
    /// entries.
    oldest_ms: Option<u64>,
    /// Of all entries but the newest ones that are `behind`.
    index: HashTable<u32>,
    /// Entries that replay has left to [`Shard::catch_up`].
    behind: usize,
    reserved: HashMap<[u8; 16], [u8; 8], RandomState>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    stamp: KeyStamp,
    sequence: u64,
    decided_at_ms: u64,
}

const _: () = assert!(size_of::<Entry>() == 40);

/// What a key turned out to be.
#[derive(Debug)]
pub enum Lookup {
    /// It made this record.
    Found(Sequence),
    /// It came before with another method, path or body.
    Reused,
    /// Its first command is not answered yet.
    InFlight,
    /// New, and not asked to be reserved.
    Free,
    /// New, and now reserved, until it is completed or freed.
    Reserved,
    /// New, but the table is full.
    Full,
}

impl Idempotency {
    /// A table for at most `len_max` keys.
    #[must_use]
    pub fn new(len_max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            len: AtomicUsize::new(0),
            len_max,
            newest_ms: AtomicU64::new(0),
        }
    }

    /// Entries and reservations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Looks a key up without taking it.
    #[must_use]
    pub fn look_up(&self, stamp: &KeyStamp, now_ms: u64) -> Lookup {
        self.shard(stamp).lock().known(stamp, now_ms).unwrap_or(Lookup::Free)
    }

    /// Looks a key up and takes it if it is new, in one step.
    #[must_use]
    pub fn reserve(&self, stamp: &KeyStamp, now_ms: u64) -> Lookup {
        let first = self.try_reserve(stamp, now_ms);
        if !matches!(first, Lookup::Full) {
            return first;
        }
        // A full table decides nothing under a key, so no record would ever age what it holds: time
        // itself does.
        self.forget_aged(now_ms);
        self.try_reserve(stamp, now_ms)
    }

    fn try_reserve(&self, stamp: &KeyStamp, now_ms: u64) -> Lookup {
        let mut shard = self.shard(stamp).lock();
        if let Some(known) = shard.known(stamp, now_ms) {
            return known;
        }
        if self.len.fetch_add(1, Ordering::Relaxed) >= self.len_max {
            self.len.fetch_sub(1, Ordering::Relaxed);
            return Lookup::Full;
        }
        shard.reserved.insert(stamp.hash, stamp.fingerprint);
        Lookup::Reserved
    }

    /// A reserved key made this record, which is durable now: from here on it is found.
    pub fn complete(&self, stamp: &KeyStamp, sequence: Sequence, decided_at_ms: u64) {
        let mut shard = self.shard(stamp).lock();
        shard.reserved.remove(&stamp.hash);
        self.enter(stamp, sequence, decided_at_ms, &mut shard);
    }

    /// What [`Planted::FreeSlotOnTimeout`] does, whatever becomes of the command.
    #[cfg(feature = "planted")]
    pub fn abandon(&self, stamp: &KeyStamp) {
        self.shard(stamp).lock().reserved.remove(&stamp.hash);
    }

    /// Nothing was decided under a reserved key.
    pub fn free(&self, stamp: &KeyStamp) {
        self.shard(stamp).lock().reserved.remove(&stamp.hash);
        self.len.fetch_sub(1, Ordering::Relaxed);
    }

    /// Takes the key of a replayed record. Its shard's index follows with the first look at it, or
    /// with [`Self::catch_up`]: made at once, of a size that is known, it costs a tenth. Nobody else
    /// has the table yet, so nothing is locked or counted atomically: that would wait for the memory
    /// of every entry before.
    pub fn replay(&mut self, stamp: &KeyStamp, sequence: Sequence, decided_at_ms: u64) {
        let newest_ms = self.newest_ms.get_mut();
        *newest_ms = decided_at_ms.max(*newest_ms);
        let shard = self.shards.get_mut(shard_of(stamp)).expect("a remainder is in range");
        let shard = shard.get_mut();
        let len = self.len.get_mut();
        *len += 1;
        *len -= shard.forget(*newest_ms);
        shard.push(Entry { stamp: *stamp, sequence: sequence.get(), decided_at_ms });
        shard.behind += 1;
    }

    /// Calls `visit` with every entry that has not aged out by `now_ms`, in the order of their
    /// records. Nobody else may be using the table.
    ///
    /// # Errors
    /// What `visit` says; it ends there.
    pub(super) fn each_in_order<E>(
        &self,
        now_ms: u64,
        visit: &mut dyn FnMut(KeyStamp, Sequence, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let shards: Vec<_> = self.shards.iter().map(Mutex::lock).collect();
        let mut entries: Vec<_> = shards.iter().map(|shard| shard.entries.iter()).collect();
        // The next entry of each shard, the earliest record first.
        let mut next = BinaryHeap::with_capacity(entries.len());
        let mut pull = |place: usize, next: &mut BinaryHeap<_>| {
            let entry = entries.get_mut(place).and_then(Iterator::next);
            next.extend(entry.map(|entry| Reverse((entry.sequence, place, *entry))));
        };
        (0..shards.len()).for_each(|place| pull(place, &mut next));
        while let Some(Reverse((_, place, entry))) = next.pop() {
            pull(place, &mut next);
            if !aged(entry.decided_at_ms, now_ms) {
                visit(entry.stamp, Sequence::new(entry.sequence), entry.decided_at_ms)?;
            }
        }
        Ok(())
    }

    /// Forgets what of the replayed has aged out, and makes the indexes of the rest, on all cores:
    /// nobody who asks waits for them then.
    pub fn catch_up(&self) {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(shard) = self.shards.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut shard = shard.lock();
                self.forget(&mut shard);
                shard.catch_up();
            }
        };
        // A table that is small is not worth a thread.
        let threads = match self.len() {
            0..100_000 => 0,
            _ => std::thread::available_parallelism().map_or(1, usize::from) - 1,
        };
        std::thread::scope(|scope| {
            // One that the system refuses is one helper less.
            (0..threads).for_each(|_| drop(std::thread::Builder::new().spawn_scoped(scope, work)));
            work();
        });
    }

    /// Forgets what has aged out by `now_ms`, the partition's clock, wherever it lies: entries go
    /// by themselves only with new ones.
    fn forget_aged(&self, now_ms: u64) {
        self.is_newest(now_ms);
        for shard in &self.shards {
            self.forget(&mut shard.lock());
        }
    }

    fn enter(&self, stamp: &KeyStamp, sequence: Sequence, decided_at_ms: u64, shard: &mut Shard) {
        self.is_newest(decided_at_ms);
        let entry = Entry { stamp: *stamp, sequence: sequence.get(), decided_at_ms };
        self.forget(shard);
        shard.enter(entry);
    }

    fn is_newest(&self, at_ms: u64) {
        // Written once a millisecond, not once a record: all threads read this line.
        if self.newest_ms.load(Ordering::Relaxed) < at_ms {
            self.newest_ms.fetch_max(at_ms, Ordering::Relaxed);
        }
    }

    fn forget(&self, shard: &mut Shard) {
        let forgotten = shard.forget(self.newest_ms.load(Ordering::Relaxed));
        if forgotten > 0 {
            self.len.fetch_sub(forgotten, Ordering::Relaxed);
        }
    }

    fn shard(&self, stamp: &KeyStamp) -> &Mutex<Shard> {
        self.shards.get(shard_of(stamp)).expect("a remainder is in range")
    }
}

fn shard_of(stamp: &KeyStamp) -> usize {
    // The hash is a cryptographic one: any byte spreads evenly.
    let [.., last] = stamp.hash;
    usize::from(last) % SHARDS
}

fn aged(decided_at_ms: u64, now_ms: u64) -> bool {
    decided_at_ms.saturating_add(KEY_AGE_MS) <= now_ms
}

fn index_hash(hash: &[u8; 16]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

impl Shard {
    fn known(&mut self, stamp: &KeyStamp, now_ms: u64) -> Option<Lookup> {
        if let Some(fingerprint) = self.reserved.get(&stamp.hash) {
            let same = *fingerprint == stamp.fingerprint;
            return Some(if same { Lookup::InFlight } else { Lookup::Reused });
        }
        let entry = self.find(stamp)?;
        // Aged out, though nothing has swept it yet: the next record with this key replaces it.
        if aged(entry.decided_at_ms, now_ms) {
            return None;
        }
        let same =
            entry.stamp.fingerprint == stamp.fingerprint || planted(Planted::AnswerAnotherBody);
        Some(if same { Lookup::Found(Sequence::new(entry.sequence)) } else { Lookup::Reused })
    }

    fn find(&mut self, stamp: &KeyStamp) -> Option<&Entry> {
        self.catch_up();
        let of = |number: &u32| self.entries.get(*number);
        let same = |number: &u32| of(number).is_some_and(|entry| entry.stamp.hash == stamp.hash);
        self.index.find(index_hash(&stamp.hash), same).and_then(of)
    }

    fn enter(&mut self, entry: Entry) {
        self.catch_up();
        let number = self.push(entry);
        self.index(number, &entry.stamp);
    }

    /// Puts it into the queue, not yet into the index; gives its number.
    fn push(&mut self, entry: Entry) -> u32 {
        self.oldest_ms.get_or_insert(entry.decided_at_ms);
        self.entries.push(entry)
    }

    /// Puts into the index what replay left out of it.
    fn catch_up(&mut self) {
        if self.behind == 0 {
            return;
        }
        let behind = std::mem::take(&mut self.behind);
        let Self { entries, index, .. } = self;
        index.reserve(behind, |number| hash_of(entries, *number));
        for number in self.entries.newest(behind) {
            let stamp = self.entries.get(number).map(|entry| entry.stamp);
            self.index(number, &stamp.expect("a number of the queue's"));
        }
    }

    fn index(&mut self, number: u32, stamp: &KeyStamp) {
        let (hash, entries) = (index_hash(&stamp.hash), &self.entries);
        let of = |number: &u32| entries.get(*number);
        let same = |number: &u32| of(number).is_some_and(|kept| kept.stamp.hash == stamp.hash);
        // An older entry of the key, aged out and not swept, must not be found in its place.
        self.index.entry(hash, same, |number| hash_of(entries, *number)).insert(number);
    }

    /// Forgets what has aged out by `now_ms`; how many that was.
    fn forget(&mut self, now_ms: u64) -> usize {
        let mut forgotten = 0;
        while self.oldest_ms.is_some_and(|oldest_ms| aged(oldest_ms, now_ms)) {
            self.forget_front();
            forgotten += 1;
        }
        forgotten
    }

    fn forget_front(&mut self) {
        let Some((number, entry)) = self.entries.pop() else { return };
        self.oldest_ms = self.entries.front().map(|oldest| oldest.decided_at_ms);
        // What is behind are the newest: the oldest is among them only when all are.
        self.behind = self.behind.min(self.entries.len());
        if let Ok(found) =
            self.index.find_entry(index_hash(&entry.stamp.hash), |kept| *kept == number)
        {
            found.remove();
        }
    }
}

fn hash_of(entries: &Fifo<Entry>, number: u32) -> u64 {
    entries.get(number).map_or(0, |entry| index_hash(&entry.stamp.hash))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The key of this number, brought with this body.
    pub(in crate::engine) fn stamp(key: u32, body: u8) -> KeyStamp {
        let mut hash = [0; 16];
        hash[..4].copy_from_slice(&key.to_le_bytes());
        hash[15] = key as u8;
        KeyStamp { hash, fingerprint: [body; 8] }
    }

    /// A key that is reserved, to be completed or freed.
    fn reserved(table: &Idempotency, key: u32, now_ms: u64) -> KeyStamp {
        match table.reserve(&stamp(key, 1), now_ms) {
            Lookup::Reserved => stamp(key, 1),
            other => panic!("{other:?}"),
        }
    }

    fn completed(table: &Idempotency, key: u32, now_ms: u64, sequence: u64, decided_at_ms: u64) {
        let stamp = reserved(table, key, now_ms);
        table.complete(&stamp, Sequence::new(sequence), decided_at_ms);
    }

    #[test]
    fn key_is_in_flight_then_found() {
        let table = Idempotency::new(10);
        let slot = reserved(&table, 1, 0);
        assert!(matches!(table.reserve(&stamp(1, 1), 0), Lookup::InFlight));
        assert!(matches!(table.reserve(&stamp(1, 2), 0), Lookup::Reused));
        table.complete(&slot, Sequence::new(7), 0);
        assert!(matches!(table.reserve(&stamp(1, 1), 0), Lookup::Found(s) if s.get() == 7));
        assert!(matches!(table.look_up(&stamp(1, 2), 0), Lookup::Reused));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn freed_key_can_be_reserved_again() {
        let table = Idempotency::new(1);
        table.free(&reserved(&table, 1, 0));
        assert_eq!(table.len(), 0);
        assert!(matches!(table.look_up(&stamp(1, 1), 0), Lookup::Free));
        table.free(&reserved(&table, 2, 0));
    }

    #[test]
    fn full_table_refuses_and_forgets_nothing_early() {
        let table = Idempotency::new(2);
        completed(&table, 1, 0, 1, 0);
        completed(&table, 2, 0, 2, 1_000);
        assert!(matches!(table.reserve(&stamp(3, 1), 2_000), Lookup::Full));
        assert!(matches!(table.look_up(&stamp(1, 1), 2_000), Lookup::Found(_)));
    }

    #[test]
    fn full_table_heals_as_its_keys_age_out_without_any_record() {
        let table = Idempotency::new(2);
        completed(&table, 1, 0, 1, 0);
        completed(&table, 2, 0, 2, 1_000);
        assert!(matches!(table.reserve(&stamp(3, 1), KEY_AGE_MS - 1), Lookup::Full));
        let third = reserved(&table, 3, KEY_AGE_MS);
        assert!(matches!(table.reserve(&stamp(4, 1), KEY_AGE_MS), Lookup::Full));
        assert!(matches!(table.look_up(&stamp(2, 1), KEY_AGE_MS), Lookup::Found(_)));
        table.free(&third);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn newer_record_of_a_key_wins_over_one_that_is_not_swept() {
        let table = Idempotency::new(10);
        completed(&table, 1, 0, 1, 1_000);
        // Found aged by a clock that was a little ahead of the record it led to.
        completed(&table, 1, KEY_AGE_MS + 1_000, 2, KEY_AGE_MS + 999);
        let found = |now_ms| match table.look_up(&stamp(1, 1), now_ms) {
            Lookup::Found(sequence) => sequence.get(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(KEY_AGE_MS + 999), 2);
        assert_eq!(found(KEY_AGE_MS + 1_000), 2);
        table.forget_aged(KEY_AGE_MS + 2_000);
        assert_eq!((found(KEY_AGE_MS + 2_000), table.len()), (2, 1));
    }

    #[test]
    fn replay_may_pass_the_maximum() {
        let mut table = Idempotency::new(1);
        for key in 0..3 {
            table.replay(&stamp(key, 1), Sequence::new(u64::from(key) + 1), 5);
        }
        assert!(matches!(table.reserve(&stamp(9, 1), 5), Lookup::Full));
        for key in 0..3 {
            assert!(matches!(table.look_up(&stamp(key, 1), 5), Lookup::Found(_)));
        }
    }

    #[test]
    fn replayed_keys_age_out_and_are_found_before_and_after_the_index_catches_up() {
        for looks in [false, true] {
            let mut table = Idempotency::new(10_000);
            for key in 0..2_000u32 {
                let at_ms = u64::from(key) * 100_000;
                table.replay(&stamp(key, 1), Sequence::new(u64::from(key) + 1), at_ms);
                if looks && key % 97 == 0 {
                    assert!(matches!(table.look_up(&stamp(key, 1), at_ms), Lookup::Found(_)));
                }
            }
            // A key that comes again after it has aged out.
            table.replay(&stamp(0, 2), Sequence::new(5_000), 200_000_000);
            table.catch_up();
            let now_ms = 200_000_000;
            let kept = (1..2_000).filter(|key| u64::from(*key) * 100_000 + KEY_AGE_MS > now_ms);
            for key in kept.clone() {
                let found = table.look_up(&stamp(key, 1), now_ms);
                assert!(matches!(found, Lookup::Found(s) if s.get() == u64::from(key) + 1));
            }
            let again = table.look_up(&stamp(0, 2), now_ms);
            assert!(matches!(again, Lookup::Found(s) if s.get() == 5_000));
            table.forget_aged(now_ms);
            assert_eq!(table.len(), kept.count() + 1);
        }
    }

    #[test]
    fn key_ages_out_by_record_time() {
        let table = Idempotency::new(10);
        completed(&table, 1, 0, 1, 0);
        assert!(matches!(table.look_up(&stamp(1, 1), KEY_AGE_MS - 1), Lookup::Found(_)));
        assert!(matches!(table.look_up(&stamp(1, 1), KEY_AGE_MS), Lookup::Free));
        // Used again before it was swept: the newer record is found from then on.
        completed(&table, 1, KEY_AGE_MS, 9, KEY_AGE_MS);
        assert!(
            matches!(table.look_up(&stamp(1, 1), KEY_AGE_MS), Lookup::Found(s) if s.get() == 9)
        );
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn many_keys_are_each_found_and_each_forgotten() {
        let table = Idempotency::new(100_000);
        for key in 0..20_000 {
            let at_ms = u64::from(key);
            completed(&table, key, at_ms, at_ms + 1, at_ms);
        }
        for key in 0..20_000 {
            let found = table.look_up(&stamp(key, 1), 20_000);
            assert!(matches!(found, Lookup::Found(s) if s.get() == u64::from(key) + 1));
        }
        completed(&table, 20_000, KEY_AGE_MS * 2, 20_001, KEY_AGE_MS * 2);
        table.forget_aged(0);
        assert_eq!(table.len(), 1);
    }
}

//! The local journal: a queue between the partition and the writer, over `doorbuster_wal`.
//!
//! The partition appends and goes on; the writer takes all that has queued up, writes once, syncs
//! once, and completes the effects in order. No timers, no tuning: what comes during a sync makes the
//! next batch. [`Writer::step`] is the whole of it, so that a simulator can run it; whoever serves
//! calls it after turns.
//!
//! Invariants: sequences are given under the queue's lock, so the log has them without gaps; an
//! effect is completed after everything queued before it is on stable storage; after a failed
//! write or sync nothing is completed any more.

use std::sync::Arc;

use doorbuster_wal::{Batch, Log, Shared};
use parking_lot::Mutex;

use super::opening::OpenLog;
use super::reader::JournalReader;
use super::{Journal, JournalError, Payload, Planted, encode, planted};
use crate::domain::Sequence;

/// An effect in its place in the queue.
#[derive(Debug)]
pub enum Queued<E> {
    /// Of a record.
    Record(Sequence, E),
    /// Of something that only rests on the records before it.
    Barrier(E),
}

/// What happens with effects once their records are durable, or never will be.
pub trait Completion<E>: Send + 'static {
    /// Everything up to `durable` is on stable storage; `items` are in order. Leaves them empty.
    fn complete(&mut self, durable: Sequence, items: &mut Vec<Queued<E>>);

    /// The log failed: whether `items` became durable is unknown until the next start.
    fn fail(&mut self, error: &JournalError, items: Vec<Queued<E>>);
}

/// What one step of the writer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// Nothing was queued.
    Idle,
    /// Effects were completed; so many records were written for them.
    Completed {
        /// Records written and synced.
        records: usize,
        /// Bytes written.
        bytes: u64,
        /// Time in fdatasync.
        sync_ns: u64,
    },
}

/// The appending side, owned by the partition.
#[derive(Debug)]
pub struct LocalJournal<E>(Arc<Mutex<Queue<E>>>);

/// The writing side.
pub struct Writer<E, C> {
    log: Log,
    shared: Arc<Shared>,
    queue: Arc<Mutex<Queue<E>>>,
    batch: Batch,
    items: Vec<Queued<E>>,
    completion: C,
    /// Last record that says itself how far the log is durable.
    watermark: u64,
    watermark_payload: Vec<u8>,
}

#[derive(Debug)]
struct Queue<E> {
    batch: Batch,
    items: Vec<Queued<E>>,
    next_sequence: u64,
    /// The next sequence is promised to a record that is being decided.
    promised: bool,
    /// The writer holds items that are not completed yet.
    writing: bool,
    /// A write or sync failed: nothing is queued any more.
    failed: bool,
}

/// Joins a started log with a queue and a completion.
pub fn local_journal<E: Send, C: Completion<E>>(
    log: OpenLog,
    completion: C,
) -> (LocalJournal<E>, Writer<E, C>) {
    let OpenLog { log } = log;
    let queue = Arc::new(Mutex::new(Queue {
        batch: Batch::new(),
        items: Vec::new(),
        next_sequence: log.next_sequence(),
        promised: false,
        writing: false,
        failed: false,
    }));
    let mut watermark_payload = Vec::new();
    encode(&Payload::Watermark, &mut watermark_payload);
    let writer = Writer {
        // The start record, the last one now, is its own watermark.
        watermark: log.next_sequence() - 1,
        shared: log.shared(),
        log,
        queue: Arc::clone(&queue),
        batch: Batch::new(),
        items: Vec::new(),
        completion,
        watermark_payload,
    };
    (LocalJournal(queue), writer)
}

impl<E> Journal<E> for LocalJournal<E> {
    fn next_sequence(&mut self) -> Sequence {
        let mut pending = self.0.lock();
        pending.promised = true;
        Sequence::new(pending.next_sequence)
    }

    fn append(&mut self, payload: &[u8], effect: E) -> Sequence {
        let mut pending = self.0.lock();
        let sequence = pending.next_sequence;
        pending.next_sequence += 1;
        pending.promised = false;
        if pending.failed {
            return Sequence::new(sequence);
        }
        pending.batch.push(sequence, payload);
        pending.items.push(Queued::Record(Sequence::new(sequence), effect));
        Sequence::new(sequence)
    }

    fn barrier(&mut self, effect: E) -> Option<E> {
        let mut pending = self.0.lock();
        if pending.failed {
            return None;
        }
        let nothing_pending = pending.items.is_empty() && !pending.writing;
        if nothing_pending || planted(Planted::RefuseBeforeBarrier) {
            return Some(effect);
        }
        pending.items.push(Queued::Barrier(effect));
        None
    }
}

impl<E, C: Completion<E>> Writer<E, C> {
    /// What other threads read of the log.
    #[must_use]
    pub fn reader(&self) -> JournalReader {
        JournalReader::new(Arc::clone(&self.shared))
    }

    /// Writes, syncs and completes all that is queued.
    ///
    /// # Errors
    /// The write or sync failed: final. What was queued has been failed.
    pub fn step(&mut self) -> Result<Stepped, JournalError> {
        if self.shared.failed() {
            return Err(JournalError::Poisoned);
        }
        {
            let mut pending = self.queue.lock();
            std::mem::swap(&mut pending.batch, &mut self.batch);
            std::mem::swap(&mut pending.items, &mut self.items);
            pending.writing = !self.items.is_empty() || !self.batch.is_empty();
            if !pending.writing {
                return Ok(Stepped::Idle);
            }
        }
        let records = self.items.iter().filter(|item| matches!(item, Queued::Record(..))).count();
        let (mut bytes, mut sync_ns) = (0, 0);
        if planted(Planted::AcknowledgeBeforeSync) {
            let last = self.batch.last_sequence().unwrap_or(self.shared.durable_sequence());
            self.completion.complete(Sequence::new(last), &mut self.items);
        }
        if !self.batch.is_empty() {
            match self.log.commit(&mut self.batch) {
                Ok(committed) => (bytes, sync_ns) = (committed.bytes, committed.sync_ns),
                Err(error) => return Err(self.fail(error)),
            }
        }
        self.batch.clear();
        let durable = Sequence::new(self.shared.durable_sequence());
        self.completion.complete(durable, &mut self.items);
        assert!(self.items.is_empty(), "completion takes every effect");
        Ok(Stepped::Completed { records, bytes, sync_ns })
    }

    fn fail(&mut self, error: JournalError) -> JournalError {
        let mut items = std::mem::take(&mut self.items);
        self.batch.clear();
        {
            let mut pending = self.queue.lock();
            pending.failed = true;
            pending.batch.clear();
            items.append(&mut pending.items);
        }
        self.completion.fail(&error, items);
        error
    }

    /// Writes what is left and the watermark. Call it when nothing is appended any more.
    pub fn close(mut self) {
        // Whether the journal failed, its completion has told.
        let _ = self.step();
        self.queue_watermark();
        let _ = self.step();
    }

    /// Queues the durable watermark as a record of its own, if the log does not hold it yet.
    /// Nobody waits for it; without room it stays out.
    pub fn queue_watermark(&mut self) {
        let mut pending = self.queue.lock();
        let shared = &self.shared;
        let durable = shared.durable_sequence();
        let bytes = Shared::frame_bytes(self.watermark_payload.len());
        let written = durable <= self.watermark;
        let busy = pending.promised || !pending.items.is_empty();
        if written || busy || !shared.try_reserve(bytes) {
            return;
        }
        let sequence = pending.next_sequence;
        pending.next_sequence += 1;
        pending.batch.push(sequence, &self.watermark_payload);
        self.watermark = sequence;
    }
}

/// For whoever steps a journal by hand.
#[cfg(test)]
impl<E> LocalJournal<E> {
    /// The place of the next record, promised to nobody.
    pub(crate) fn upcoming(&self) -> Sequence {
        Sequence::new(self.0.lock().next_sequence)
    }
}

impl<E, C: Completion<E>> Writer<E, C> {
    /// Zeroes one segment ahead, as [`OpenLog::preallocate`]'s thread does; `false`: enough are
    /// ready. For whoever steps a journal by hand.
    ///
    /// # Errors
    /// The storage's.
    pub fn prepare_spare(&self) -> std::io::Result<bool> {
        self.shared.prepare_spare()
    }
}

#[cfg(test)]
mod tests {
    use doorbuster_wal::{Crash, MemStorage, Options};

    use super::*;
    use crate::journal::{JournalIdentity, Opening, Started};

    /// Effects in the order in which they were completed, or failed.
    #[derive(Debug, Default)]
    struct Told {
        completed: Vec<&'static str>,
        failed: Vec<&'static str>,
    }

    #[derive(Clone, Default)]
    struct Telling(Arc<Mutex<Told>>);

    impl Telling {
        fn take(&self) -> (Vec<&'static str>, Vec<&'static str>) {
            let told = std::mem::take(&mut *self.0.lock());
            (told.completed, told.failed)
        }
    }

    fn effect(item: Queued<&'static str>) -> &'static str {
        match item {
            Queued::Record(_, effect) | Queued::Barrier(effect) => effect,
        }
    }

    impl Completion<&'static str> for Telling {
        fn complete(&mut self, durable: Sequence, items: &mut Vec<Queued<&'static str>>) {
            for item in items.drain(..) {
                if let Queued::Record(sequence, _) = item {
                    assert!(sequence <= durable, "nothing is completed before it is durable");
                }
                self.0.lock().completed.push(effect(item));
            }
        }

        fn fail(&mut self, _: &JournalError, items: Vec<Queued<&'static str>>) {
            self.0.lock().failed.extend(items.into_iter().map(effect));
        }
    }

    type Both = (LocalJournal<&'static str>, Writer<&'static str, Telling>);

    fn open(storage: &MemStorage) -> (Both, Telling, u64) {
        let options =
            Options { segment_bytes: 64 << 10, payload_bytes_max: 4096, spare_segments: 1 };
        let mut opening = Opening::new(Arc::new(storage.clone()), options).unwrap();
        let replayed = opening.replay(&mut |_| Ok(()), &mut |_| {}).unwrap();
        let identity = JournalIdentity { journal_id: [1; 16], partition: 1, epoch: 1 };
        let started = Payload::Started(Started { started_at_ms: 1, binary: "test".into() });
        let telling = Telling::default();
        let log = opening.start(identity, &started).unwrap();
        (local_journal(log, telling.clone()), telling, replayed.proven_sequence)
    }

    fn append(
        journal: &mut LocalJournal<&'static str>,
        room: &crate::journal::Room,
        what: &'static str,
    ) {
        assert!(room.try_reserve(3).is_some());
        journal.append(b"any", what);
    }

    #[test]
    fn effects_are_completed_in_order_once_durable() {
        let ((mut journal, mut writer), telling, _) = open(&MemStorage::new());
        let room = writer.reader().room();
        assert_eq!(journal.barrier("at once"), Some("at once"), "nothing is pending");
        append(&mut journal, &room, "one");
        assert_eq!(journal.barrier("rests on one"), None);
        append(&mut journal, &room, "two");
        assert_eq!(telling.take().0, Vec::<&str>::new());
        let stepped = writer.step().unwrap();
        assert!(matches!(stepped, Stepped::Completed { records: 2, bytes: 64, .. }), "{stepped:?}");
        assert_eq!(telling.take(), (vec!["one", "rests on one", "two"], vec![]));
        assert_eq!(journal.barrier("may still wait"), None, "the writer has not looked yet");
        writer.step().unwrap();
        assert_eq!(telling.take().0, ["may still wait"]);
        assert_eq!(writer.step().unwrap(), Stepped::Idle);
        assert_eq!(journal.barrier("at once"), Some("at once"));
    }

    #[test]
    fn watermark_proves_what_is_durable_and_is_not_written_twice() {
        let storage = MemStorage::new();
        let ((mut journal, mut writer), telling, _) = open(&storage);
        let room = writer.reader().room();
        writer.queue_watermark();
        assert_eq!(writer.step().unwrap(), Stepped::Idle, "the start record is one");
        append(&mut journal, &room, "one");
        writer.queue_watermark();
        writer.step().unwrap();
        let left = room.bytes_left();
        writer.queue_watermark();
        writer.queue_watermark();
        let stepped = writer.step().unwrap();
        assert!(matches!(stepped, Stepped::Completed { records: 0, bytes: 32, .. }), "{stepped:?}");
        assert_eq!(left - room.bytes_left(), 32, "it takes room as any record");
        writer.queue_watermark();
        assert_eq!(writer.step().unwrap(), Stepped::Idle);
        assert_eq!(telling.take().0, ["one"]);
        // Start 1, "one" 2, watermark 3: it proves what is before it.
        assert_eq!(open(&storage.crash(Crash::LoseAll)).2, 2);
    }

    #[test]
    fn watermark_stays_out_without_room() {
        let ((mut journal, mut writer), _, _) = open(&MemStorage::new());
        let room = writer.reader().room();
        append(&mut journal, &room, "one");
        writer.step().unwrap();
        let left = usize::try_from(room.bytes_left()).unwrap() - 24;
        let all = room.try_reserve(left).unwrap();
        writer.queue_watermark();
        assert_eq!(writer.step().unwrap(), Stepped::Idle);
        room.release(all);
        writer.queue_watermark();
        assert!(matches!(writer.step().unwrap(), Stepped::Completed { .. }));
    }

    #[test]
    fn after_a_failed_sync_nothing_is_completed_and_nothing_later_is_taken() {
        let storage = MemStorage::new();
        let ((mut journal, mut writer), telling, _) = open(&storage);
        let room = writer.reader().room();
        storage.fail_sync_after(0);
        append(&mut journal, &room, "in flight");
        assert_eq!(journal.barrier("rests on it"), None);
        assert!(writer.step().is_err());
        assert_eq!(telling.take(), (vec![], vec!["in flight", "rests on it"]));
        // What comes later is dropped: it does not happen, and its reply says so.
        for _ in 0..2 {
            assert_eq!(journal.barrier("rests on it too"), None);
            append(&mut journal, &room, "later");
            assert!(writer.step().is_err());
        }
        writer.queue_watermark();
        assert!(writer.step().is_err());
        assert_eq!(telling.take(), (vec![], vec![]));
        // Start 1 and what the failed sync left in the cache.
        assert_eq!(open(&storage.kill()).0.1.reader().durable().get(), 3);
    }

    #[test]
    fn closing_writes_what_is_queued_and_the_watermark() {
        let storage = MemStorage::new();
        let ((mut journal, writer), telling, _) = open(&storage);
        let room = writer.reader().room();
        append(&mut journal, &room, "one");
        append(&mut journal, &room, "two");
        writer.close();
        assert_eq!(telling.take().0, ["one", "two"]);
        assert!(open(&storage.crash(Crash::LoseAll)).2 >= 3, "both are proven");
    }
}

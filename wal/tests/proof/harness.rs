//! A log in memory, what was submitted to it, and what was acknowledged.

use std::sync::Arc;

use doorbuster_wal::{
    Batch, Identity, Log, MemStorage, Options, Recovery, Replayed, Scan, Shared, WalError,
};

/// Small segments, so that a test changes them often.
pub(crate) const OPTIONS: Options =
    Options { segment_bytes: 64 << 10, payload_bytes_max: 4096, spare_segments: 2 };

pub(crate) const IDENTITY: Identity = Identity { journal_id: [7; 16], partition: 1, epoch: 1 };

/// The payload of every start record here.
pub(crate) const START: &[u8] = b"started";

/// Payloads by sequence, from 1.
pub(crate) type Records = Vec<Vec<u8>>;

/// Reads a log without changing it.
pub(crate) fn read(storage: &MemStorage) -> Result<(Records, Replayed), WalError> {
    let scan = Scan::open(Arc::new(storage.clone()))?;
    let mut records = Records::new();
    let replayed = scan.replay(
        &mut |entry| {
            records.push(entry.payload.to_vec());
            assert_eq!(entry.sequence, records.len() as u64, "no gap, from 1");
            Ok(())
        },
        &mut |_| {},
    )?;
    assert_eq!(replayed.last_sequence, records.len() as u64);
    Ok((records, replayed))
}

/// Recovers a log and begins to write it.
pub(crate) fn start(storage: &MemStorage) -> Result<(Log, Records, Replayed), WalError> {
    let mut recovery = Recovery::open(Arc::new(storage.clone()), OPTIONS)?;
    let mut records = Records::new();
    let replayed = recovery.replay(
        &mut |entry| {
            records.push(entry.payload.to_vec());
            Ok(())
        },
        &mut |_| {},
    )?;
    let log = recovery.start(IDENTITY, START)?;
    records.push(START.to_vec());
    Ok((log, records, replayed))
}

/// A writer with everything it was given and told.
pub(crate) struct Writing {
    pub(crate) log: Log,
    pub(crate) shared: Arc<Shared>,
    /// What lies in the log or may: acknowledged records, then those of a failed commit.
    pub(crate) submitted: Records,
    /// How many of them were acknowledged.
    pub(crate) acknowledged: usize,
}

impl Writing {
    pub(crate) fn start(storage: &MemStorage) -> Result<Self, WalError> {
        let (log, submitted, _) = start(storage)?;
        let (shared, acknowledged) = (log.shared(), submitted.len());
        Ok(Self { log, shared, submitted, acknowledged })
    }

    /// Reserves room for a batch and commits it. `Ok(false)`: no room, nothing was written.
    pub(crate) fn commit(&mut self, payloads: &[Vec<u8>]) -> Result<bool, WalError> {
        let bytes = payloads.iter().map(|payload| Shared::frame_bytes(payload.len())).sum();
        if !self.shared.try_reserve(bytes) {
            return Ok(false);
        }
        let mut batch = Batch::new();
        for (place, payload) in payloads.iter().enumerate() {
            batch.push(self.log.next_sequence() + place as u64, payload);
        }
        // A failed log takes nothing any more, not even in part.
        if !self.shared.failed() {
            self.submitted.extend_from_slice(payloads);
        }
        let result = self.log.commit(&mut batch);
        self.acknowledged = usize::try_from(self.shared.durable_sequence()).unwrap();
        result.map(|_| true)
    }

    /// What a log may hold after this writer: at least what it acknowledged, at most what it was
    /// given, in that order.
    pub(crate) fn check(&self, found: &[Vec<u8>], what: &str) {
        assert!(found.len() >= self.acknowledged, "{what}: acknowledged records are gone");
        assert!(found.len() <= self.submitted.len(), "{what}: records nobody submitted");
        assert_same(found, &self.submitted[..found.len()], what);
    }
}

/// As `assert_eq`, without printing a log.
#[track_caller]
pub(crate) fn assert_same(found: &[Vec<u8>], expected: &[Vec<u8>], what: &str) {
    let differs = found.iter().zip(expected).position(|(one, other)| one != other);
    let (found, expected) = (found.len(), expected.len());
    assert_eq!(differs.map(|place| place + 1), None, "{what}: first sequence that differs");
    assert_eq!(found, expected, "{what}: records");
}

/// A payload that tells where it belongs.
pub(crate) fn payload(number: usize, bytes: usize) -> Vec<u8> {
    let mut payload = format!("record {number} ").into_bytes();
    let filler = (number % 251 + 1) as u8;
    payload.resize(payload.len().max(bytes), filler);
    payload
}

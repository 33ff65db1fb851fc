//! A database in memory: transactions, faults before, during and after their commit, and a loss of
//! power that takes the last commits back.

use std::sync::Arc;

use doorbuster::journal::{JournalIdentity, Payload};
use doorbuster::projection::{Applied, Batch, ContentError, Opened, Progress, Store, StoreError};
use parking_lot::Mutex;

/// Commits that a loss of power may take back, as SQLite's with `synchronous=NORMAL`.
const COMMITS_AT_RISK: usize = 3;

/// What goes wrong with the next transaction, or the next opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreFault {
    /// It is away before the transaction begins.
    Before,
    /// It goes away while rows are written.
    During,
    /// The transaction takes too long.
    Slow,
    /// It goes away after the commit: the answer is lost.
    After,
}

/// A row of a record, in a table or in quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) sequence: u64,
    pub(super) checksum: u32,
}

/// What the tables hold.
#[derive(Debug, Default)]
pub(super) struct Tables {
    pub(super) progress: Option<Progress>,
    pub(super) rows: Vec<Row>,
    pub(super) quarantine: Vec<Row>,
    pub(super) fault: Option<StoreFault>,
    /// Records whose content is refused: one in so many.
    rotten_every: u64,
    pub(super) commits: u64,
    pub(super) faults: u64,
    /// Before each of the last commits.
    before: Vec<(Option<Progress>, usize, usize)>,
}

/// A projector's connection to them.
pub(super) struct SimStore(pub(super) Arc<Mutex<Tables>>);

impl Tables {
    /// Empty, with one record in so many that they refuse.
    pub(super) fn new(rotten_every: u64) -> Self {
        Self { rotten_every, ..Self::default() }
    }

    /// The machine loses power: some of the last commits are gone, whole.
    pub(super) fn lose_power(&mut self, commits: usize) {
        let keep = self.before.len() - commits.min(self.before.len());
        if let Some((progress, rows, quarantine)) = self.before.get(keep).copied() {
            self.progress = progress;
            self.rows.truncate(rows);
            self.quarantine.truncate(quarantine);
        }
        self.before.clear();
    }

    fn fails(&mut self, fault: StoreFault) -> Result<(), StoreError> {
        if self.fault != Some(fault) {
            return Ok(());
        }
        self.fault = None;
        self.faults += 1;
        Err(match fault {
            StoreFault::Slow => StoreError::TooSlow("it takes too long".to_owned()),
            _ => StoreError::Unavailable("it went away".to_owned()),
        })
    }

    fn write(&mut self, batch: &Batch<'_>) -> Result<u64, StoreError> {
        let mut quarantined = 0;
        for (number, tailed) in batch.records.iter().enumerate() {
            if number * 2 >= batch.records.len() {
                self.fails(StoreFault::During)?;
                self.fails(StoreFault::Slow)?;
            }
            let (sequence, checksum) = (tailed.sequence.get(), tailed.checksum);
            if !matches!(tailed.payload, Payload::Record(_)) {
                continue;
            }
            let row = Row { sequence, checksum };
            let is_there = |rows: &[Row]| rows.iter().any(|other| other.sequence == sequence);
            if is_there(&self.rows) || is_there(&self.quarantine) {
                return Err(StoreError::Collision(format!("a row of record {sequence} is there")));
            }
            if batch.verdict.is_some() {
                self.quarantine.push(row);
                quarantined += 1;
            } else if sequence.is_multiple_of(self.rotten_every) {
                let (code, message) = ("22003".to_owned(), "out of range".to_owned());
                return Err(StoreError::Content(ContentError { code, message }));
            } else {
                self.rows.push(row);
            }
        }
        Ok(quarantined)
    }
}

impl Store for SimStore {
    fn place(&self) -> String {
        "tables in memory".to_owned()
    }

    fn kind(&self) -> &'static str {
        "file"
    }

    fn is_on_data_disk(&self) -> bool {
        false
    }

    fn open(&mut self, identity: &JournalIdentity) -> Result<Opened, StoreError> {
        let mut tables = self.0.lock();
        tables.fails(StoreFault::Before)?;
        let progress = *tables.progress.get_or_insert_with(|| Progress::none(*identity));
        Ok(Opened { progress, quarantined: tables.quarantine.len() as u64 })
    }

    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError> {
        let mut tables = self.0.lock();
        tables.fails(StoreFault::Before)?;
        if tables.progress != Some(*batch.from) {
            return Err(StoreError::Raced);
        }
        let before = (tables.progress, tables.rows.len(), tables.quarantine.len());
        let written = tables.write(batch);
        let quarantined = match written {
            Ok(quarantined) => quarantined,
            Err(error) => {
                let (_, rows, quarantine) = before;
                tables.rows.truncate(rows);
                tables.quarantine.truncate(quarantine);
                return Err(error);
            }
        };
        let progress = batch.upto();
        tables.progress = Some(progress);
        tables.commits += 1;
        tables.before.push(before);
        if tables.before.len() > COMMITS_AT_RISK {
            tables.before.remove(0);
        }
        tables.fails(StoreFault::After)?;
        Ok(Applied { progress, quarantined })
    }
}

//! The snapshots of a log: found, opened, written, and the older ones removed.

use std::io;
use std::sync::Arc;

use doorbuster_wal::{Storage, StorageFile};

use super::{
    SNAPSHOTS_DIR, SnapshotError, SnapshotHead, SnapshotReader, SnapshotWriter, StateHash,
    file_name, sequence_of,
};
use crate::domain::Sequence;

/// The file in which a snapshot is written.
const WRITING: &str = "snapshot.tmp";
/// Kept: were the newest damaged, the other shortens the way back.
const KEPT: usize = 2;
/// Copied at once.
const COPY_BYTES: usize = 1 << 20;

/// The snapshots of one log.
#[derive(Clone)]
pub struct Snapshots {
    log: Arc<dyn Storage>,
}

impl Snapshots {
    /// Of the log in a storage.
    #[must_use]
    pub fn of_log(log: Arc<dyn Storage>) -> Self {
        Self { log }
    }

    fn dir(&self) -> Result<Option<Arc<dyn Storage>>, SnapshotError> {
        self.log.dir(SNAPSHOTS_DIR).map_err(SnapshotError::io("open", SNAPSHOTS_DIR))
    }

    /// The places they lie at, the newest first. What they hold is not looked at.
    ///
    /// # Errors
    /// The storage's.
    pub fn list(&self) -> Result<Vec<Sequence>, SnapshotError> {
        let Some(dir) = self.dir()? else { return Ok(Vec::new()) };
        let names = dir.list().map_err(SnapshotError::io("list", SNAPSHOTS_DIR))?;
        let mut sequences: Vec<_> = names.iter().filter_map(|name| sequence_of(name)).collect();
        sequences.sort_unstable_by(|one, other| other.cmp(one));
        Ok(sequences)
    }

    /// The file of the one at a place, from the log's directory on.
    #[must_use]
    pub fn path_of(&self, sequence: Sequence) -> String {
        path(&file_name(sequence))
    }

    /// Opens one and reads its head.
    ///
    /// # Errors
    /// It is damaged, or of a newer binary; the storage's.
    pub fn open(&self, sequence: Sequence) -> Result<SnapshotReader, SnapshotError> {
        let path = path(&file_name(sequence));
        let io = SnapshotError::io("open", &path);
        let file = match self.dir()? {
            Some(dir) => dir.open_read(&file_name(sequence)),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        let reader = SnapshotReader::open(file.map_err(io)?, &path)?;
        if reader.head().checkpoint.sequence == sequence.get() {
            return Ok(reader);
        }
        let reason = format!("it says that it is of record {}", reader.head().checkpoint.sequence);
        Err(SnapshotError::Damaged { file: path, offset: 0, reason })
    }

    /// Writes one and removes all but the newest two.
    ///
    /// It has its name only once it is durable and was read back; a crash leaves it whole or not at
    /// all.
    ///
    /// # Errors
    /// The storage's; the snapshots that were there are still there.
    pub fn write(
        &self,
        head: &SnapshotHead,
        rows: impl FnOnce(&mut SnapshotWriter) -> Result<(), SnapshotError>,
    ) -> Result<StateHash, SnapshotError> {
        let dir = self.log.make_dir(SNAPSHOTS_DIR);
        let dir = dir.map_err(SnapshotError::io("make", SNAPSHOTS_DIR))?;
        let writing = path(WRITING);
        let written = self.write_to(&*dir, &writing, head, rows);
        if written.is_err() {
            // Half a snapshot would only take the room that others need.
            let _ = dir.remove(WRITING);
        }
        let state_hash = written?;
        let name = file_name(Sequence::new(head.checkpoint.sequence));
        if let Err(error) = dir.rename(WRITING, &name) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(SnapshotError::io("rename", &writing)(error));
            }
            // One of this place was there and was not used: it is damaged.
            dir.remove(&name).map_err(SnapshotError::io("remove", &path(&name)))?;
            dir.rename(WRITING, &name).map_err(SnapshotError::io("rename", &writing))?;
        }
        dir.sync_dir().map_err(SnapshotError::io("sync", SNAPSHOTS_DIR))?;
        self.remove_old()?;
        Ok(state_hash)
    }

    /// Copies the newest two before a record into another log, those that are not there yet; older ones
    /// there are removed. Gives how many are new. One at that record itself lies behind a segment whose
    /// successor a log that ends there does not have: it could not be told from one of a longer log.
    ///
    /// # Errors
    /// The storages'. What is damaged is told and not copied.
    pub fn copy_to(&self, copy: &Self, end: Sequence) -> Result<usize, SnapshotError> {
        let wanted = self.list()?.into_iter().filter(|sequence| *sequence < end).take(KEPT);
        let there = copy.list()?;
        let mut copied = 0;
        for sequence in wanted.filter(|sequence| !there.contains(sequence)) {
            match self.copy_one(copy, sequence) {
                Ok(()) => copied += 1,
                // The log writes them anew and removes them while this looks.
                Err(SnapshotError::Io { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                Err(error @ SnapshotError::Io { .. }) => return Err(error),
                Err(error) => tracing::warn!(%error, "a snapshot is not copied"),
            }
        }
        copy.remove_old()?;
        Ok(copied)
    }

    fn copy_one(&self, copy: &Self, sequence: Sequence) -> Result<(), SnapshotError> {
        let name = file_name(sequence);
        let (from, writing) = (path(&name), path(WRITING));
        let dir = self.dir()?.ok_or(io::ErrorKind::NotFound);
        let file = dir.and_then(|dir| dir.open_read(&name).map_err(|error| error.kind()));
        let file = file.map_err(|kind| SnapshotError::io("open", &from)(kind.into()))?;
        let dir = copy.log.make_dir(SNAPSHOTS_DIR);
        let dir = dir.map_err(SnapshotError::io("make", SNAPSHOTS_DIR))?;
        let written = copy_bytes(&*file, &from, &*dir, &writing).and_then(|()| {
            let file = dir.open_read(WRITING).map_err(SnapshotError::io("open", &writing))?;
            let mut reader = SnapshotReader::open(file, &from)?;
            while reader.next()?.is_some() {}
            dir.rename(WRITING, &name).map_err(SnapshotError::io("rename", &writing))?;
            dir.sync_dir().map_err(SnapshotError::io("sync", SNAPSHOTS_DIR))
        });
        if written.is_err() {
            let _ = dir.remove(WRITING);
        }
        written
    }

    fn remove_old(&self) -> Result<(), SnapshotError> {
        let old: Vec<Sequence> = self.list()?.into_iter().skip(KEPT).collect();
        let (Some(dir), false) = (self.dir()?, old.is_empty()) else { return Ok(()) };
        for old in old {
            let name = file_name(old);
            dir.remove(&name).map_err(SnapshotError::io("remove", &path(&name)))?;
        }
        dir.sync_dir().map_err(SnapshotError::io("sync", SNAPSHOTS_DIR))
    }

    fn write_to(
        &self,
        dir: &dyn Storage,
        path: &str,
        head: &SnapshotHead,
        rows: impl FnOnce(&mut SnapshotWriter) -> Result<(), SnapshotError>,
    ) -> Result<StateHash, SnapshotError> {
        let file = dir.create(WRITING).map_err(SnapshotError::io("create", path))?;
        let mut writer = SnapshotWriter::begin(Arc::clone(&file), path, head)?;
        rows(&mut writer)?;
        let state_hash = writer.finish()?;
        file.sync_data().map_err(SnapshotError::io("sync", path))?;
        let file = dir.open_read(WRITING).map_err(SnapshotError::io("open", path))?;
        let mut reader = SnapshotReader::open(file, path)?;
        while reader.next()?.is_some() {}
        if reader.head() == head && reader.state_hash() == Some(state_hash) {
            return Ok(state_hash);
        }
        let reason = "it does not give back what was written".to_owned();
        Err(SnapshotError::Damaged { file: path.to_owned(), offset: 0, reason })
    }

    /// Removes what a crash left half written. Called by the log's owner.
    ///
    /// # Errors
    /// The storage's.
    pub(in crate::journal) fn clean(&self) -> Result<(), SnapshotError> {
        let Some(dir) = self.dir()? else { return Ok(()) };
        match dir.remove(WRITING) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(SnapshotError::io("remove", &path(WRITING))(error))
            }
            _ => Ok(()),
        }
    }
}

fn copy_bytes(
    from: &dyn StorageFile,
    from_name: &str,
    dir: &dyn Storage,
    to_name: &str,
) -> Result<(), SnapshotError> {
    let to = dir.create(WRITING).map_err(SnapshotError::io("create", to_name))?;
    let (mut buffer, mut at) = (vec![0; COPY_BYTES], 0);
    loop {
        let read = from.read_at(&mut buffer, at).map_err(SnapshotError::io("read", from_name))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        to.write_all_at(bytes, at).map_err(SnapshotError::io("write", to_name))?;
        at += read as u64;
    }
    to.sync_data().map_err(SnapshotError::io("sync", to_name))
}

/// From the log's directory on, for people.
fn path(name: &str) -> String {
    format!("{SNAPSHOTS_DIR}/{name}")
}

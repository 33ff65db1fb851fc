//! Start-up: read the log, cut what is torn, and begin a fresh segment.
//!
//! Before anything is served, the records above the proven watermark (a failed sync may have left
//! them only in the page cache) and a start record are written into a fresh segment still under
//! its temporary name, synced, renamed, the directory synced. Before the rename the old segment
//! is the truth, after it the new one.

use std::sync::Arc;

use sha2::Digest;

use crate::archive;
use crate::files;
use crate::frame;
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::log::Log;
use crate::planted::{Planted, planted};
use crate::scan::{Checkpoint, Replayed, Scan, TornTail, Unproven};
use crate::segment::Segment;
use crate::shared::{IndexEntry, Shared, SharedParts};
use crate::spare::{self, FRESH};
use crate::storage::{Storage, StorageFile, read_full};
use crate::{Entry, Identity, Options, WalError};

/// A log being opened by its owner.
pub struct Recovery {
    scan: Scan,
    options: Options,
    replayed: Option<Replayed>,
    /// Of the segment that a start begins, where it is not the log's.
    epoch: Option<u32>,
}

impl Recovery {
    /// Reads and checks all headers, then deletes temporary files.
    ///
    /// # Errors
    /// `Corrupt`, `FormatFromFuture`, `Options`, `Io`.
    pub fn open(storage: Arc<dyn Storage>, options: Options) -> Result<Self, WalError> {
        options.check()?;
        let scan = Scan::open(Arc::clone(&storage))?;
        let names = storage.list().map_err(WalError::io("list", "the directory"))?;
        for name in names.iter().filter(|name| spare::is_temporary(name)) {
            storage.remove(name).map_err(WalError::io("remove", name))?;
        }
        archive::clean(&*storage)?;
        Ok(Self { scan, options, replayed: None, epoch: None })
    }

    /// Whose log it is; `None`: an empty directory.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.scan.identity()
    }

    /// Bytes to read, for progress.
    #[must_use]
    pub fn bytes_total(&self) -> u64 {
        self.scan.bytes_total()
    }

    /// Visits every record in order; see [`Scan::replay`].
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn replay(
        &mut self,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        let replayed = self.scan.replay(visit, progress)?;
        self.replayed = Some(replayed.clone());
        Ok(replayed)
    }

    /// Visits only what comes after a checkpoint; see [`Scan::replay_after`].
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn replay_after(
        &mut self,
        from: &Checkpoint,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        let replayed = self.scan.replay_after(from, visit, progress)?;
        self.replayed = Some(replayed.clone());
        Ok(replayed)
    }

    /// As [`Self::replay`], read ahead; see [`Scan::replay_ahead`].
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn replay_ahead(
        &mut self,
        from: Option<&Checkpoint>,
        visit: &mut dyn FnMut(&Entry<'_>) -> Result<(), String>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Replayed, WalError> {
        let replayed = self.scan.replay_ahead(from, None, visit, progress)?;
        self.replayed = Some(replayed.clone());
        Ok(replayed)
    }

    /// The log as it is read: its headers, and single records of it.
    #[must_use]
    pub fn scan(&self) -> &Scan {
        &self.scan
    }

    /// The log gets another owner, who copied it: what [`Self::start`] begins has this epoch, and
    /// every record that was read stays in the epoch it was written in. The copies must be synced.
    ///
    /// # Panics
    /// When the epoch is not above the log's.
    pub fn take_over(&mut self, epoch: u32) {
        let ours = self.scan.identity().map_or(0, |identity| identity.epoch);
        assert!(epoch > ours, "an owner's epoch is above the last: {ours}, then {epoch}");
        self.epoch = Some(epoch);
    }

    /// Begins a fresh segment and with it a log that takes records.
    ///
    /// `new_identity` is used when the directory is empty. `start_payload` is the record that
    /// says so; everything before it is proven by it.
    ///
    /// # Errors
    /// `NoRoom`, `Io`: the log is as it was.
    ///
    /// # Panics
    /// When the log was not replayed: a log nobody has read must not be written.
    pub fn start(self, new_identity: Identity, start_payload: &[u8]) -> Result<Log, WalError> {
        let (storage, segment_bytes) = (Arc::clone(&self.scan.storage), self.options.segment_bytes);
        let torn_bytes = self.torn().map_or(0, |torn| torn.bytes);
        self.begin(new_identity, start_payload).map_err(|error| {
            let _ = storage.remove(FRESH);
            match error.is_full() {
                true => no_room(&*storage, segment_bytes + torn_bytes),
                false => error,
            }
        })
    }

    fn torn(&self) -> Option<&TornTail> {
        self.replayed.as_ref().and_then(|replayed| replayed.torn.as_ref())
    }

    fn begin(self, new_identity: Identity, start_payload: &[u8]) -> Result<Log, WalError> {
        let Self { scan, options, replayed, epoch } = self;
        let mut replayed = replayed.expect("a log is replayed before it is started");
        if epoch.is_some() || planted(Planted::TrustPageCache) {
            // Written again in the new epoch they would be other orders than those given out.
            replayed.unproven.clear();
            replayed.proven_sequence = replayed.last_sequence;
        }
        let storage = scan.storage;
        let cut = cut_point(&replayed);
        if planted(Planted::ReuseSequence) && replayed.unproven.pop().is_some() {
            replayed.last_sequence -= 1;
        }
        if planted(Planted::ApplyTwice)
            && let Some(last) = replayed.unproven.last().cloned()
        {
            replayed.last_sequence += 1;
            replayed.unproven.push(Unproven { sequence: replayed.last_sequence, ..last });
        }
        let mut header = fresh_header(&*storage, &replayed, cut.as_ref(), new_identity, &options)?;
        header.identity.epoch = epoch.unwrap_or(header.identity.epoch);
        if planted(Planted::ResurrectStaleFrames) && replayed.torn.is_some() {
            header.salt = cut.as_ref().map_or(header.salt, |cut| cut.header.salt);
        }
        let start_sequence = replayed.last_sequence + 1;
        let frames = rewritten(&replayed, start_sequence, start_payload, header.seed());
        header.segment_bytes = header.segment_bytes.max(bytes_for(&frames)?);
        let file = spare::zeroed(&*storage, FRESH, header.segment_bytes, &mut || {})?;
        if let Some(torn) = &replayed.torn {
            keep_copy(&*storage, &replayed, torn)?;
            if planted(Planted::ResurrectStaleFrames) {
                leave_stale(&*storage, &*file, torn, start_sequence, frames.len() as u64)?;
            }
        }
        write_fresh(&*storage, &*file, &header, &frames)?;
        cut_ends(&*storage, &replayed, cut.as_ref())?;
        let mut digest = header.digest();
        digest.update(&frames);
        let mut index = replayed.index;
        index.retain(|entry| entry.sequence < header.first_sequence);
        index.push(IndexEntry::start_of(&header));
        let mut headers = scan.headers;
        headers.push(header);
        let used_bytes = frames.len() as u64;
        let parts =
            SharedParts { storage, options, headers, index, used_bytes, durable: start_sequence };
        Ok(Log::new(Arc::new(Shared::new(parts)), header, file, digest, HEADER_BYTES + used_bytes))
    }
}

/// Size of a segment that takes `frames`: a batch of a whole segment moves on with a start record,
/// and the options may have been changed since it was written.
fn bytes_for(frames: &[u8]) -> Result<u64, WalError> {
    let bytes = (HEADER_BYTES + frames.len() as u64).next_multiple_of(4096);
    if bytes > Options::SEGMENT_BYTES_MAX {
        let reason = format!("{} unproven bytes do not fit one segment", frames.len());
        return Err(WalError::Options(reason));
    }
    Ok(bytes)
}

/// Where the last segment ends once its successor is in use.
struct Cut {
    segment: u64,
    end: u64,
    header: Header,
}

fn cut_point(replayed: &Replayed) -> Option<Cut> {
    let last = replayed.segments.last()?;
    let end = replayed.unproven.first().map_or(last.used_bytes, |unproven| unproven.offset);
    Some(Cut { segment: last.header.segment, end, header: last.header })
}

fn fresh_header(
    storage: &dyn Storage,
    replayed: &Replayed,
    cut: Option<&Cut>,
    new_identity: Identity,
    options: &Options,
) -> Result<Header, WalError> {
    let salt = spare::salt()?;
    let segment_bytes = options.segment_bytes;
    let Some(cut) = cut else {
        let (segment, first_sequence, chain) = (1, 1, [0; 32]);
        let (identity, durable_upto) = (new_identity, 1);
        return Ok(Header {
            identity,
            segment,
            first_sequence,
            segment_bytes,
            salt,
            durable_upto,
            chain,
        });
    };
    // The digest of the old segment up to the cut, from its bytes: the frames that move on into
    // the fresh segment are not part of it any more.
    let open = files::open(storage, cut.segment)?;
    let mut bytes = vec![0; usize::try_from(cut.end).unwrap_or(usize::MAX)];
    let read = read_full(&*open.file, &mut bytes, 0);
    bytes.truncate(read.map_err(|error| files::unreadable(cut.segment, &open.name, error))?);
    let mut digest = cut.header.digest();
    digest.update(bytes.get(HEADER_BYTES as usize..).unwrap_or_default());
    Ok(Header {
        identity: cut.header.identity,
        segment: cut.segment + 1,
        first_sequence: replayed.proven_sequence + 1,
        segment_bytes,
        salt,
        // The start record and all before it are synced before the segment gets its name.
        durable_upto: replayed.last_sequence + 1,
        chain: digest.finalize().into(),
    })
}

/// The frames of the fresh segment: what was not proven, then the start record, which proves it.
fn rewritten(replayed: &Replayed, start_sequence: u64, start_payload: &[u8], seed: u32) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut append = |sequence, payload: &[u8], durable_upto| {
        let at = frames.len();
        frame::put(&mut frames, sequence, payload);
        frame::seal(frames.get_mut(at..).unwrap_or_default(), durable_upto, seed);
    };
    for unproven in &replayed.unproven {
        append(unproven.sequence, &unproven.payload, replayed.proven_sequence);
    }
    append(start_sequence, start_payload, start_sequence);
    frames
}

fn write_fresh(
    storage: &dyn Storage,
    file: &dyn StorageFile,
    header: &Header,
    frames: &[u8],
) -> Result<(), WalError> {
    file.write_all_at(&header.encode(), 0).map_err(WalError::io("write", FRESH))?;
    file.write_all_at(frames, HEADER_BYTES).map_err(WalError::io("write", FRESH))?;
    if !planted(Planted::RenameBeforeSync) {
        file.sync_data().map_err(WalError::io("sync", FRESH))?;
    }
    storage.rename(FRESH, &file_name(header.segment)).map_err(WalError::io("rename", FRESH))?;
    if planted(Planted::RenameBeforeSync) {
        file.sync_data().map_err(WalError::io("sync", FRESH))?;
    }
    storage.sync_dir().map_err(WalError::io("sync", "the directory"))
}

/// Cuts every segment to its end: the one before the fresh one, and any that a crash left longer.
fn cut_ends(storage: &dyn Storage, replayed: &Replayed, cut: Option<&Cut>) -> Result<(), WalError> {
    for segment in replayed.segments.iter().filter(|segment| !segment.is_archived) {
        let last = cut.filter(|cut| cut.segment == segment.header.segment);
        let end = last.map_or(segment.used_bytes, |cut| cut.end);
        if segment.file_bytes > end {
            let file = storage.open(&segment.file).map_err(WalError::io("open", &segment.file))?;
            file.set_len(end).map_err(WalError::io("cut", &segment.file))?;
        }
    }
    Ok(())
}

/// A copy of what is cut: the operator may want to look at it.
fn keep_copy(storage: &dyn Storage, replayed: &Replayed, torn: &TornTail) -> Result<(), WalError> {
    let Some(last) = replayed.segments.last() else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    let number = last.header.segment;
    files::open(storage, number)?.read(&last.header, &mut bytes)?;
    let segment = Segment { header: &last.header, file: &last.file, bytes: &bytes };
    let name = torn.copy_name();
    let file = storage.create(&name).map_err(WalError::io("create", &name))?;
    file.write_all_at(segment.tail(torn.offset), 0).map_err(WalError::io("write", &name))?;
    file.sync_data().map_err(WalError::io("sync", &name))
}

/// What [`Planted::ResurrectStaleFrames`] does: the frames behind the tear stay behind the start
/// record, as where a log goes on in its old segment.
fn leave_stale(
    storage: &dyn Storage,
    fresh: &dyn StorageFile,
    torn: &TornTail,
    start_sequence: u64,
    frames_bytes: u64,
) -> Result<(), WalError> {
    let io = |operation| WalError::io(operation, FRESH);
    let open = files::open(storage, torn.segment)?;
    let mut bytes = vec![0; torn.bytes as usize];
    let read = read_full(&*open.file, &mut bytes, torn.offset).map_err(io("read"))?;
    bytes.truncate(read);
    let stale = (0..bytes.len()).step_by(8).find_map(|at| {
        let rest = bytes.get(at..)?;
        (frame::claimed_sequence(rest) == Some(start_sequence + 1)).then_some(rest)
    });
    let (at, room) = (HEADER_BYTES + frames_bytes, fresh.len().map_err(io("measure"))?);
    match stale.filter(|stale| at + stale.len() as u64 <= room) {
        Some(stale) => fresh.write_all_at(stale, at).map_err(io("write")),
        None => Ok(()),
    }
}

impl TornTail {
    /// File that keeps what was cut.
    #[must_use]
    pub fn copy_name(&self) -> String {
        format!("torn-{:010}-{}.bin", self.segment, self.offset)
    }
}

fn no_room(storage: &dyn Storage, needed_bytes: u64) -> WalError {
    WalError::NoRoom { needed_bytes, free_bytes: storage.free_bytes().unwrap_or(0) }
}

//! All that is wrong with the files of a log: each segment looked at by itself, damaged or not.
//!
//! `Scan` ends at the first damage, because nothing after it can be believed to follow. Whoever has
//! to mend a log wants to know how much of it is sound; that is told here, on all cores. A record's
//! meaning is not looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::WalError;
use crate::archive::archived_path;
use crate::files;
use crate::header::{HEADER_BYTES, Header, file_name};
use crate::pruned::Pruned;
use crate::scan;
use crate::segment::Segment;
use crate::storage::{Storage, read_full};

/// What a look at every file of a log found.
#[derive(Debug)]
pub struct Survey {
    /// Segments there are.
    pub segments: usize,
    /// What is wrong, by segment; of each one the first.
    pub damage: Vec<WalError>,
}

/// A segment's file, with its header if that is sound.
struct Found {
    number: u64,
    /// From the log's directory on.
    file: String,
    bytes: u64,
    header: Option<Header>,
}

/// Looks at every file of the log in `storage`. `progress` hears of bytes as they are read.
///
/// # Errors
/// `Io`: the directory cannot be listed.
pub fn survey(
    storage: &Arc<dyn Storage>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Survey, WalError> {
    let mut damage = Vec::new();
    let pruned = Pruned::read(&**storage).unwrap_or_else(|error| {
        damage.push(error);
        None
    });
    let from = pruned.map_or(0, |pruned| pruned.segment);
    let numbers = files::list(&**storage)?.into_iter().filter(|number| *number >= from);
    let found: Vec<Found> =
        numbers.map(|number| look_at(&**storage, number, &mut damage)).collect();
    check_order(&found, pruned.as_ref(), &mut damage);
    let (next, shared) = (AtomicUsize::new(0), Mutex::new(damage));
    let work = || {
        let mut buffer = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(segment) = found.get(place) else { return };
            let after = found.get(place + 1);
            if let Err(error) = check_frames(&**storage, segment, after, &mut buffer) {
                shared.lock().push(error);
            }
            progress(segment.bytes);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        // One that the system refuses is one helper less.
        (1..cores).for_each(|_| drop(std::thread::Builder::new().spawn_scoped(scope, work)));
        work();
    });
    let mut damage = shared.into_inner();
    damage.sort_by_key(place_of);
    Ok(Survey { segments: found.len(), damage })
}

/// Reads a segment's header; what is wrong with it goes to `damage`.
fn look_at(storage: &dyn Storage, number: u64, damage: &mut Vec<WalError>) -> Found {
    let look = || {
        let open = files::open(storage, number)?;
        let unreadable = |error| files::unreadable(number, &open.name, error);
        let mut bytes = vec![0; HEADER_BYTES as usize];
        let read = read_full(&*open.file, &mut bytes, 0).map_err(unreadable)?;
        bytes.truncate(read);
        let len = open.file.len().map_err(unreadable)?;
        let header = Header::decode(&bytes, number, &open.name)?;
        Ok((len, header, open.name))
    };
    match look() {
        Ok((bytes, header, file)) => Found { number, file, bytes, header: Some(header) },
        Err(error) => {
            damage.push(error);
            Found { number, file: file_name(number), bytes: 0, header: None }
        }
    }
}

/// Whether the headers that are sound can follow each other.
fn check_order(found: &[Found], pruned: Option<&Pruned>, damage: &mut Vec<WalError>) {
    let mut before: Option<&Found> = None;
    for segment in found {
        let number = segment.number;
        match before.map_or(segment.number, |before| before.number + 1) {
            missing if missing != number => {
                let reason = format!("it is missing, the next one is {}", segment.file);
                // Segments are archived in order.
                let is_archived = segment.file == archived_path(number);
                let file = if is_archived { archived_path(missing) } else { file_name(missing) };
                let (segment, sequence) = (missing, None);
                damage.push(WalError::Corrupt { segment, file, offset: 0, sequence, reason });
            }
            _ => {
                // One that stands in another's place is blamed itself, and not what follows it.
                let in_place = |found: &&Header, number| found.segment == number;
                let earlier = before.map(|before| {
                    before.header.as_ref().filter(|header| in_place(header, before.number))
                });
                if let Some(header) = &segment.header
                    && (!matches!(earlier, Some(None)) || !in_place(&header, number))
                    && let Err(error) = scan::check_follows(
                        earlier.flatten(),
                        pruned,
                        header,
                        number,
                        &segment.file,
                    )
                {
                    damage.push(error);
                }
            }
        }
        before = Some(segment);
    }
}

/// Reads a segment whole: its frames, and its digest where the next header tells it.
fn check_frames(
    storage: &dyn Storage,
    segment: &Found,
    after: Option<&Found>,
    buffer: &mut Vec<u8>,
) -> Result<(), WalError> {
    // What stands in another's place was told by its header.
    let in_place = |header: &&Header| header.segment == segment.number;
    let Some(header) = segment.header.as_ref().filter(in_place) else { return Ok(()) };
    let open = files::open(storage, segment.number)?;
    open.read(header, buffer)?;
    let read = Segment { header, file: &open.name, bytes: buffer };
    let next = after.filter(|after| after.number == segment.number + 1);
    // A header that belongs elsewhere says nothing of this one.
    if let Some(next) = next.and_then(|next| next.header.as_ref())
        && next.segment == segment.number + 1
        && next.first_sequence >= header.first_sequence
    {
        return read.checked_end(next).map(drop);
    }
    let walked = read.walk(None, &mut |_| Ok(()))?;
    match after {
        None => scan::judge(&read, None, &walked).map(drop),
        // Its successor cannot say where it ends: its frames must go on to the end of what is there.
        Some(_) => match walked.stopped.filter(|_| !read.tail(walked.end).is_empty()) {
            None => Ok(()),
            Some(stopped) => {
                let sequence = Some(walked.last_sequence + 1);
                Err(read.corrupt(walked.end, sequence, stopped.to_string()))
            }
        },
    }
}

fn place_of(error: &WalError) -> (u64, u64) {
    match error {
        WalError::Corrupt { segment, offset, .. } => (*segment, *offset),
        _ => (u64::MAX, 0),
    }
}

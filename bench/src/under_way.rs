//! What was under way in a data directory whose process has been killed or stopped, by its files.
//!
//! | seen | so there was under way |
//! |---|---|
//! | no segment since the start, which begins one as its last act | recovery |
//! | a new segment without a frame, or the one before not yet cut to its end | a segment change |
//! | frames behind the last commit of SQLite's log | a transaction of the projection |
//! | a temporary file in `snapshots/` | a snapshot |
//! | a temporary file in `archive/`, or a segment in both places | archiving |
//!
//! What lay there before the life began is told apart. Changes nothing.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::archive::{self, ARCHIVE_DIR};
use crate::segment::HEADER_BYTES;
use crate::sqlite_log;

/// The journal's directory, in the data directory.
pub const JOURNAL_DIR: &str = "journal";
/// The directory of snapshots, in the journal's.
pub const SNAPSHOTS_DIR: &str = "snapshots";
/// The embedded database's log, in the data directory.
pub const SQLITE_LOG: &str = "doorbuster.sqlite-wal";
/// Where the header says how large the segment's file is while it is written.
const SEGMENT_BYTES: std::ops::Range<usize> = 56..64;

/// Something that may be under way at a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A start that is not ready.
    Recovery,
    /// From one segment to the next.
    SegmentChange,
    /// A transaction of the projection.
    Projection,
    /// A snapshot being written.
    Snapshot,
    /// A segment being moved into the archive.
    Archiving,
}

/// A data directory before a life.
#[derive(Debug, Clone, Default)]
pub struct Before {
    newest: u64,
    left: BTreeSet<Left>,
}

/// A file that only an act under way leaves, by all that tells it from a later one.
type Left = (PathBuf, u64, i64);

impl Act {
    /// All, in the order of their names in a report.
    pub const ALL: [Self; 5] =
        [Self::Recovery, Self::SegmentChange, Self::Projection, Self::Snapshot, Self::Archiving];

    /// Its name in a report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Recovery => "recovery",
            Self::SegmentChange => "segment_change",
            Self::Projection => "projection",
            Self::Snapshot => "snapshot",
            Self::Archiving => "archiving",
        }
    }

    /// Whether an engine that has used `data_dir` does it at all: some make no snapshots.
    #[must_use]
    pub fn is_done_in(self, data_dir: &Path) -> bool {
        let journal = data_dir.join(JOURNAL_DIR);
        match self {
            Self::Recovery | Self::SegmentChange => journal.is_dir(),
            Self::Projection => true,
            Self::Snapshot => journal.join(SNAPSHOTS_DIR).is_dir(),
            Self::Archiving => journal.join(ARCHIVE_DIR).is_dir(),
        }
    }
}

impl Before {
    /// Looks at a directory in which nobody works.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn look(data_dir: &Path) -> io::Result<Self> {
        let journal = data_dir.join(JOURNAL_DIR);
        let mut left = left_in(&journal, Act::Snapshot)?;
        left.extend(left_in(&journal, Act::Archiving)?);
        Ok(Self { newest: newest(&journal)?, left })
    }

    /// Whether `act` shows to be under way. The transactions of a PostgreSQL do not show here.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn shows(&self, act: Act, data_dir: &Path) -> io::Result<bool> {
        let journal = data_dir.join(JOURNAL_DIR);
        match act {
            Act::Recovery => Ok(newest(&journal)? == self.newest),
            // The start's own segment is the first.
            Act::SegmentChange => changes(&journal, self.newest + 2),
            Act::Projection => sqlite_log::is_open(&data_dir.join(SQLITE_LOG)),
            Act::Snapshot | Act::Archiving => {
                Ok(left_in(&journal, act)?.iter().any(|left| !self.left.contains(left)))
            }
        }
    }
}

/// The number of the newest live segment; 0: there is none.
fn newest(journal: &Path) -> io::Result<u64> {
    Ok(files(journal)?.iter().filter_map(|path| number(path)).max().unwrap_or(0))
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix("segment-")?.strip_suffix(".wal")?.parse().ok()
}

/// The files of a directory; none, where it is not there.
fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether the newest segment, if it is `from` or later, is not yet wholly in its place.
fn changes(journal: &Path, from: u64) -> io::Result<bool> {
    let newest = newest(journal)?;
    if newest < from {
        return Ok(false);
    }
    let segment = |number: u64| journal.join(format!("segment-{number:010}.wal"));
    let head = read_start(&segment(newest), HEADER_BYTES + 4)?;
    let begun = head.get(HEADER_BYTES..).is_some_and(|length| length.iter().any(|b| *b != 0));
    let before = segment(newest - 1);
    let Ok(whole) = before.metadata() else {
        // Archived: then it was cut before.
        return Ok(!begun);
    };
    let head = read_start(&before, HEADER_BYTES)?;
    let said = head.get(SEGMENT_BYTES).and_then(|bytes| bytes.try_into().ok());
    Ok(!begun || said.map(u64::from_le_bytes) == Some(whole.len()))
}

fn read_start(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(bytes as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// The files that only an act under way leaves behind.
fn left_in(journal: &Path, act: Act) -> io::Result<BTreeSet<Left>> {
    let inner = if act == Act::Snapshot { SNAPSHOTS_DIR } else { ARCHIVE_DIR };
    let mut left = BTreeSet::new();
    for path in files(&journal.join(inner))? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let live = archive::unarchived(name).map(|name| journal.join(name));
        if name.ends_with(".tmp") || live.is_some_and(|live| live.exists()) {
            match path.metadata() {
                Ok(meta) => left.insert((path, meta.ino(), meta.mtime_nsec())),
                // A process that is not stopped may have finished with it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
        }
    }
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::made;

    fn write(directory: &Path, number: u64, bytes: &[u8]) {
        std::fs::write(directory.join(format!("segment-{number:010}.wal")), bytes).expect("room");
    }

    #[test]
    fn recovery_and_a_segment_change_show_in_the_segments() {
        let directory = tempfile::tempdir().expect("a directory");
        let (data, journal) = (directory.path(), directory.path().join(JOURNAL_DIR));
        std::fs::create_dir(&journal).expect("room");
        let full = |number| [made::header(number, 1, [0; 32]), vec![0; (1 << 20) - 4096]].concat();
        write(&journal, 1, &full(1));
        let before = Before::look(data).expect("a directory");
        let shows = |act| before.shows(act, data).expect("a directory");
        assert!(shows(Act::Recovery) && !shows(Act::SegmentChange));
        // The start's own segment: recovery is over, and this is no change under load.
        write(&journal, 2, &full(2));
        assert!(!shows(Act::Recovery) && !shows(Act::SegmentChange));
        write(&journal, 3, &full(3));
        assert!(shows(Act::SegmentChange), "no frame in it");
        let mut begun = full(3);
        begun[HEADER_BYTES] = 9;
        write(&journal, 3, &begun);
        assert!(shows(Act::SegmentChange), "the one before is not cut");
        write(&journal, 2, &full(2)[..9_000]);
        assert!(!shows(Act::SegmentChange));
    }

    #[test]
    fn temporary_files_and_segments_in_both_places_show_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let (data, journal) = (directory.path(), directory.path().join(JOURNAL_DIR));
        for inner in [SNAPSHOTS_DIR, ARCHIVE_DIR] {
            std::fs::create_dir_all(journal.join(inner)).expect("room");
        }
        let empty = Before::look(data).expect("a directory");
        let shows = |before: &Before, act| before.shows(act, data).expect("a directory");
        for act in [Act::Snapshot, Act::Archiving] {
            assert!(act.is_done_in(data) && !shows(&empty, act));
        }
        std::fs::write(journal.join("snapshots/snapshot-7.tmp"), "half").expect("room");
        assert!(shows(&empty, Act::Snapshot) && !shows(&empty, Act::Archiving));
        std::fs::write(journal.join("archive/segment-0000000001.wal.zst"), "").expect("room");
        assert!(!shows(&empty, Act::Archiving), "moved");
        write(&journal, 1, &[]);
        assert!(shows(&empty, Act::Archiving), "in both places");
        let later = Before::look(data).expect("a directory");
        assert!(
            !shows(&later, Act::Snapshot) && !shows(&later, Act::Archiving),
            "of a life before"
        );
    }
}

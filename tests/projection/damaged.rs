//! What becomes of the SQLite file under a running projection: overwritten, removed, replaced.

use std::path::Path;

use doorbuster::journal::{JournalIdentity, Places};
use doorbuster::projection::{Applied, Batch, Opened, SqliteStore, Store, StoreConfig, StoreError};
use rusqlite::Connection;

use crate::databases::Database;
use crate::log::identity;
use crate::projecting::{
    begin, begin_with, finish, project, until, until_report, until_retrying, until_stopped,
};
use crate::tables::{assert_equal, more_orders, small_log};

fn file_of(database: &Database) -> std::path::PathBuf {
    match database.config() {
        StoreConfig::Sqlite { path } => path,
        StoreConfig::Postgres { .. } => unreachable!("these are cases of a file"),
    }
}

/// Writes garbage over the whole of a file, or only over its first bytes, as it stands.
#[expect(clippy::disallowed_methods, reason = "damages a database on purpose")]
fn overwrite(path: &Path, bytes: usize) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xa5; bytes], 0).unwrap();
}

/// The file of a database and its companions, moved away.
#[expect(clippy::disallowed_methods, reason = "does what the message says")]
fn move_away(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("{}{suffix}", path.display());
        if Path::new(&name).exists() {
            std::fs::rename(&name, format!("{name}.old")).unwrap();
        }
    }
}

#[test]
fn overwritten_file_is_noticed_and_made_again_once_it_is_moved() {
    let database = &Database::sqlite();
    let path = file_of(database);
    let mut log = small_log(200);
    project(&database.config(), &log.reader());
    let all = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
    for bytes in [all, 16] {
        let projection = begin(&database.config(), log.reader());
        until_report(&projection, "the end of the log", |report| report.lag_records == 0);
        overwrite(&path, bytes);
        more_orders(&mut log, 3);
        let reason = until_retrying(&projection);
        assert!(reason.contains("the file is damaged"), "{reason}");
        assert!(reason.contains("move it away, with its -wal and -shm"), "{reason}");
        move_away(&path);
        finish(projection, log.reader().durable());
        assert_equal(database, &log);
    }
}

#[expect(clippy::disallowed_methods, reason = "damages a database on purpose")]
#[test]
fn removed_or_replaced_file_is_made_again() {
    let database = &Database::sqlite();
    let path = file_of(database);
    let mut log = small_log(20);
    let projection = begin(&database.config(), log.reader());
    until_report(&projection, "the end of the log", |report| report.lag_records == 0);
    move_away(&path);
    more_orders(&mut log, 3);
    let durable = log.reader().durable();
    until("a new file", || projection.status().report().lag_records == 0 && path.exists());
    // An empty file takes its place.
    move_away(&path);
    std::fs::write(&path, b"").unwrap();
    more_orders(&mut log, 3);
    assert!(log.reader().durable() > durable);
    finish(projection, log.reader().durable());
    assert_equal(database, &log);
}

/// Whether a process holds a lock on a file.
#[expect(clippy::disallowed_methods, reason = "asks the system")]
fn is_locked(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", std::fs::metadata(path).unwrap().ino());
    std::fs::read_to_string("/proc/locks").unwrap().contains(&inode)
}

#[expect(clippy::disallowed_methods, reason = "moves a database on purpose")]
#[test]
fn who_reads_the_file_keeps_its_locks_while_it_is_opened_anew() {
    let database = &Database::sqlite();
    let path = file_of(database);
    project(&database.config(), &small_log(20).reader());
    let mut store = SqliteStore::new(&path);
    let from = store.open(&identity(1)).unwrap().progress;
    let reader = Connection::open(&path).unwrap();
    reader.query_row("SELECT count(*) FROM orders", [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(is_locked(&path));

    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    let places = Places::of_one_owner(identity(1));
    let batch = Batch { from: &from, records: &[], places: &places, verdict: None };
    assert!(matches!(store.apply(&batch), Err(StoreError::Unavailable(_))));
    std::fs::rename(&away, &path).unwrap();
    assert!(is_locked(&path), "its connection is closed");
    assert_eq!(store.open(&identity(1)).unwrap().progress, from);
    drop(reader);
    drop(store);
    assert!(!is_locked(&path));
}

/// A store whose disk does not sync what was moved.
struct Unsynced(SqliteStore);

impl Store for Unsynced {
    fn place(&self) -> String {
        self.0.place()
    }
    fn kind(&self) -> &'static str {
        self.0.kind()
    }
    fn is_on_data_disk(&self) -> bool {
        true
    }
    fn open(&mut self, identity: &JournalIdentity) -> Result<Opened, StoreError> {
        self.0.open(identity)
    }
    fn apply(&mut self, batch: &Batch<'_>) -> Result<Applied, StoreError> {
        self.0.apply(batch)
    }
    fn unsettled_bytes(&self) -> u64 {
        1 << 40
    }
    fn settle(&mut self, _: &mut dyn FnMut(std::time::Duration)) -> Result<(), StoreError> {
        Err(StoreError::Unsynced("Input/output error".to_owned()))
    }
}

#[test]
fn disk_that_does_not_sync_the_file_stops_it_until_a_person_has_looked() {
    let database = &Database::sqlite();
    let log = small_log(20);
    let projection = begin_with(Unsynced(SqliteStore::new(file_of(database))), log.reader());
    let reason = until_stopped(&projection);
    assert!(
        reason.contains("may have lost what was moved into it (Input/output error)"),
        "{reason}"
    );
    assert!(reason.contains("close whatever else has it open and start again"), "{reason}");
    drop(projection);
    project(&database.config(), &log.reader());
    assert_equal(database, &log);
}

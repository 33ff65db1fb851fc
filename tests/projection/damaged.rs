//! What becomes of the SQLite file under a running projection: overwritten, removed, replaced.

use std::path::Path;

use doorbuster::projection::StoreConfig;

use crate::databases::Database;
use crate::projecting::{begin, finish, project, until, until_report, until_retrying};
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

//! A log in a directory, its copy, and the commands that are run on them.

use std::path::PathBuf;
use std::sync::Arc;

use doorbuster::projection::StoreConfig;
use doorbuster_wal::DirStorage;
use serde_json::Value;
use tempfile::TempDir;

use crate::databases::Database;
use crate::log::TestLog;
use crate::server::doorbuster;
use crate::{log, projecting};

/// A log in its files and a database.
pub(crate) struct House {
    pub(crate) log: TestLog,
    pub(crate) database: Database,
    place: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl House {
    /// An empty log of this number, beside a database.
    pub(crate) fn new(number: u8, database: Database) -> Self {
        let place = TempDir::new().unwrap();
        let storage = DirStorage::open(place.path().join("data/journal")).unwrap();
        let log = TestLog::of(log::identity(number), Arc::new(storage));
        Self { log, database, place }
    }

    /// Where the log is.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.place.path().join("data")
    }

    /// Makes everything durable, and proves it.
    pub(crate) fn prove(&mut self) {
        self.log.sync();
        self.log.watermark();
        self.log.sync();
    }

    /// Copies what is durable, then proves it.
    pub(crate) fn project(&mut self) {
        self.log.sync();
        projecting::project(&self.database.config(), &self.log.reader());
        self.prove();
    }

    /// Runs a command on the log and the database.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = doorbuster(arguments);
        command.arg("--data-dir").arg(self.data_dir());
        match &self.database.config() {
            StoreConfig::Sqlite { path } => {
                let usual = self.data_dir().join("doorbuster.sqlite");
                if path.exists() && !usual.exists() {
                    std::os::unix::fs::symlink(path, &usual).unwrap();
                }
            }
            StoreConfig::Postgres { schema, .. } => {
                let Database::Postgres(server, _) = &self.database else { unreachable!() };
                command.args(["--database-url", &server.url("reconcile")]);
                command.args(["--database-schema", schema.as_str()]);
            }
        }
        ended(command)
    }

    /// `reconcile --json`: its exit code and document.
    pub(crate) fn reconcile(&self) -> (i32, Value) {
        let ended = self.run(&["reconcile", "--json"]);
        let document = serde_json::from_str(&ended.out);
        (ended.code, document.unwrap_or_else(|error| panic!("{error}: {ended:?}")))
    }
}

/// Runs a command to its end.
pub(crate) fn ended(mut command: std::process::Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

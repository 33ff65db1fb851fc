//! The projection: durable records, in order, exactly once, into SQL.
//!
//! ```text
//! JournalTail ──► Projector ── batch ──► Store::apply: one transaction ──► PostgreSQL / SQLite
//!   durable         (thread)               guard progress, read the products it touches,
//!   records                                plan rows, write them, commit
//! ```
//!
//! `projector` decides when and what happens on failure, `plan` which rows a record leaves (pure),
//! `sqlite` and `postgres` how they are written; `source` is the log it reads. `ledger` reads totals
//! back, `moment` all rows of one moment, `reader` pages for others. The tables are in `schema/`, their meaning in docs/analysts.md.
//!
//! Called by: `cli`. Reads `journal`; implements `engine::ports`.
//! Invariants: each record is once in its tables or once in quarantine, whatever crashes; the
//! database being away, slow or wrong delays reporting, never a sale.
//! Never here: deciding anything about a sale; waiting on the engine; passwords in messages.

mod backoff;
mod columns;
mod control;
mod courtesy;
mod fields;
mod handle;
mod ledger;
mod migrations;
mod moment;
mod options;
mod plan;
mod postgres;
mod projector;
mod reader;
mod record_text;
mod rows;
mod source;
mod sqlite;
mod sqlite_file;
mod sqlite_room;
mod status;
pub mod stepped;
mod store;
mod time;

pub use handle::{Drained, Projection, StartError, start, start_copy, start_with};
pub use ledger::{Ledger, LedgerError, ProductTotals, sqlite_progress};
pub use moment::{Moment, Sorted, SortedBy, Standing, TextRow, quoted};
pub use options::{
    AskRoom, DiskRoom, NowMs, ProjectorOptions, SchemaName, SecretUrl, StoreConfig, TargetError,
};
pub use postgres::PostgresStore;
pub use source::{CopyError, LogSource, LogTail, check_copy};
pub use sqlite::SqliteStore;
pub use store::{Applied, Batch, ContentError, Opened, Progress, Store, StoreError};

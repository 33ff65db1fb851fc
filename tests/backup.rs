//! Backups of a live log, and what is made of them: the real binary, a real server, lost directories.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]
#![expect(
    clippy::disallowed_methods,
    reason = "loses real directories and waits for real processes"
)]

#[path = "backup/drill.rs"]
mod drill;
#[path = "backup/house.rs"]
mod house;
#[path = "backup/once.rs"]
mod once;
#[path = "support/postgres.rs"]
mod postgres_server;
#[path = "support/server.rs"]
mod server;

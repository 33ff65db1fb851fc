//! The operator's tools by the real binary: on a log with an archive, snapshots and more than a day
//! in it, beside a running server, on damaged logs, and on one that was pruned.
#![expect(clippy::disallowed_methods, reason = "damages real files and waits for real processes")]
#![expect(clippy::indexing_slicing, reason = "a test that cannot go on fails")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/server.rs"]
mod server;

#[path = "tools/damage.rs"]
mod damage;
#[path = "tools/dump.rs"]
mod dump;
#[path = "tools/follow.rs"]
mod follow;
#[path = "tools/house.rs"]
mod house;
#[path = "tools/looks.rs"]
mod looks;
#[path = "tools/prune.rs"]
mod prune;
#[path = "tools/refusals.rs"]
mod refusals;
#[path = "tools/stdout.rs"]
mod stdout;

//! Load, peers, crash campaigns and the independent checker of doorbuster.
//!
//! ```text
//! compare ──► process (doorbuster serve | bare) ◄── load ── connection
//! crash   ──► process (doorbuster serve) ◄── buyers, retries ── connection
//!                 │ killed                        │ every request and answer
//!                 ▼                               ▼
//!            log ──► payload ──► model ──► checker ◄── notes
//! ```
//!
//! Drives the released binary from outside and reads its log by `schema/journal-format.md`.
//! Never here: the packages `doorbuster` and `doorbuster-wal`; the checker of the engine shares
//! no code with it.

pub mod bare;
pub mod client;
pub mod connection;
pub mod cost;
pub mod load;
pub mod machine;
pub mod process;
pub mod request;
pub mod seeded;

//! Load, peers, crash campaigns and the independent checker of doorbuster.
//!
//! ```text
//! compare ──► process (doorbuster serve | peers ─► stores) ◄── load ── connection
//! crash   ──► process (doorbuster serve) ◄── buyers, retries ── connection
//!                 │ killed                        │ every request and answer
//!                 ▼                               ▼
//!            log ──► payload ──► model ──► checker ◄── notes
//! simulate ──► the engine, stepped by hand: every ask, answer, read and durable byte ──► witness
//! ```
//!
//! Drives the released binary from outside and reads its log by `schema/journal-format.md`.
//! Never here: the packages `doorbuster` and `doorbuster-wal`, but in `damage`, `micro`, `recover` and
//! `simulate`, which run the engine from inside; the checker of the engine shares no code with it (tests/tidy.rs).

pub mod answer;
mod archive;
mod asked;
pub mod by_products;
pub mod carts;
pub mod checker;
pub mod cli;
pub mod client;
pub mod compare;
pub mod connection;
pub mod cost;
pub mod crash;
pub mod crowd;
pub mod cursor;
pub mod damage;
pub mod database;
pub mod expiry;
pub mod faults;
pub mod figures;
pub mod flame;
pub mod full_disk;
pub mod idle;
pub mod load;
pub mod log;
pub mod machine;
#[cfg(test)]
mod made;
pub mod memory;
pub mod micro;
pub mod model;
pub mod moment;
pub mod mount;
pub mod nginx;
pub mod notes;
pub mod outage;
pub mod paper;
pub mod parts;
pub mod payload;
pub mod peers;
pub mod place;
pub mod postgres;
pub mod process;
pub mod projecting;
pub mod proof;
pub mod recover;
pub mod report;
pub mod request;
pub mod resident;
pub mod rows;
pub mod scenario;
pub mod seeded;
pub mod segment;
mod sessions;
pub mod shop;
pub mod simulate;
pub mod soak;
mod sqlite_log;
pub mod strace;
pub mod syncs;
pub mod traced;
pub mod trigger;
pub mod turn;
pub mod under_way;
pub mod witness;

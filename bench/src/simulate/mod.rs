//! The simulator: the engine, its journal and its projection stepped by hand on a disk, a clock and
//! a database that fail, each step thrown by a seeded dice.
//!
//! ```text
//! campaign ──► one seed: Stage ── steps ──► clients, partition, writer, timer, projector
//!                            └─ crashes ──► disk (what was not synced is lost), database, clock
//!                     every answer, read and durable byte ──► witness ──► P1 to P5
//! ```
//!
//! One thread a seed and nothing runs by itself, so a seed decides everything. While the writer
//! waits for the disk, and at the very moment a worker is woken, other steps come between.
//! The one part of this package that links `doorbuster` and `doorbuster-wal`: what judges
//! ([`crate::witness`]) does not.

mod campaign;
mod clock;
mod counts;
mod disk;
mod life;
#[cfg(feature = "planted")]
mod planted;
mod rest;
mod stage;
mod tables;
mod wishes;
mod words;
mod world;

pub use self::campaign::{Campaign, End, Failure, Report, run, run_seed, run_traced};
pub use self::counts::Counts;
#[cfg(feature = "planted")]
pub use self::planted::{Hunt, bugs, hunt};

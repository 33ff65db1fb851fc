//! What one decision costs, part by part: the engine's own code in this process, with no thread, no
//! socket and no disk.
//!
//! ```text
//! wish ──► decide ──► apply ──► encode          till: on an inventory of its own
//! ask ──► turn ──► write ──► hear                stage: a whole engine on storage in memory
//! ```
//!
//! Called by: `doorbuster-bench decide`, and by criterion's benches (bench/benches).
//! Links the engine, as only measuring it from inside can; never the checker's.

pub mod decide;
pub mod logs;
pub mod stage;
pub mod till;

//! What a log promises, as facts: whatever happens to the machine or to its bytes, what was
//! acknowledged is read again, or damage is named. Storage in memory, and real directories.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

mod archive;
mod copies;
mod crashes;
mod damage;
mod followers;
mod full_disk;
mod harness;
mod looks;
mod model;
mod places;
#[cfg(feature = "planted")]
mod planted;
mod read_ahead;
mod real;
mod segments;
mod syncs;

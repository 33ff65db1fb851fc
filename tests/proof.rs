//! Proofs: what they hold, what they keep to themselves, and that whatever is changed in one is
//! found, alone or by the log.
#![expect(clippy::disallowed_methods, reason = "reads and writes the files that are checked")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

#[path = "proof/command.rs"]
mod command;
#[path = "proof/house.rs"]
mod house;
#[path = "support/log.rs"]
mod log;
#[path = "proof/privacy.rs"]
mod privacy;
#[path = "proof/real.rs"]
mod real;
#[path = "support/server.rs"]
mod server;
#[path = "proof/tampered.rs"]
mod tampered;
#[path = "proof/written.rs"]
mod written;

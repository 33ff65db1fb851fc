//! The command line: one file per command, and the wiring of the parts.

pub mod demo;
pub mod exit;
mod log;
mod play;
pub mod rehearse;

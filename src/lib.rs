//! doorbuster: an actor-based inventory engine for flash sales.
//!
//! ARCHITECTURE.md draws the house; each module opens with its contract. Arrows point one way:
//! `domain <- journal <- engine <- http, cli`; `projection` reads `journal`.

pub mod domain;
pub mod engine;
pub mod journal;
pub mod telemetry;

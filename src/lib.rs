//! doorbuster: an actor-based inventory engine for flash sales.
//!
//! ARCHITECTURE.md draws the house; each module opens with its contract. Arrows point one way:
//! `domain <- journal <- engine <- http, cli`; `projection` reads `journal`.

pub mod background;
pub mod cli;
pub mod config;
pub mod domain;
pub mod engine;
pub mod http;
pub mod journal;
pub mod projection;
pub mod proof;
pub mod telemetry;

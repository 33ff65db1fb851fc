//! `rehearse FILE`: plays real order lines against chosen stock, and proves what came of them.
//!
//! ```text
//! file ─► sheet (lines, skipped) ─► plan (stock, steps) ─► player ─► outcomes ─► tally, lists
//!                                     └► reckoning ─────────────────┘ compared      └► report, chart
//!                                                 answers, log, database compared ─┘
//! ```
//!
//! A step is an order, a cancellation or a write-off. With one connection they come in the file's
//! order, so the outcomes are those of a plain count, and that is checked step by step.
//! docs/rehearse.md says the rest.

mod adjust;
mod amount;
mod answer;
mod args;
mod axis;
mod cancel;
mod chart;
mod columns;
mod count;
mod curve;
mod earlier;
mod known;
mod line;
mod listing;
mod lists;
mod outcome;
mod pace;
mod plan;
mod play;
mod player;
mod products;
mod queue;
mod reckon;
pub(super) mod record;
mod report;
mod run;
mod sheet;
mod stock;
mod tally;
mod words;

pub(super) use args::RehearseArgs;

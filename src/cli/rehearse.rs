//! `rehearse FILE`: plays real order lines against chosen stock, and proves what came of them.
//!
//! ```text
//! file ─► sheet (purchases, skipped) ─► plan (stock, wishes) ─► server ─► tally
//!                                          answers, log, database compared ─► report
//! ```
//!
//! With one connection the lines come in the file's order, so the totals are those of a plain
//! count, and that is checked line by line. docs/rehearse.md says the rest.

mod amount;
mod args;
mod plan;
mod products;
mod record;
mod report;
mod run;
mod sheet;
mod stock;
mod tally;

pub(super) use args::RehearseArgs;

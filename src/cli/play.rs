//! What `demo` and `rehearse` share: a server of their own, buyers that never give up too early,
//! and witnesses that are compared.
//!
//! ```text
//! wishes ──► pool of connections ──► server ──► answers ─┐
//!                                      ├──► log ─────────┼──► compared order by order ──► checks
//!                                      └──► database ────┘
//! ```
//!
//! A buyer that did not hear an answer asks again with the same idempotency key, until it hears
//! one: so an outcome nobody heard of is resolved, never guessed.

pub(super) mod ask;
pub(super) mod book;
pub(super) mod caller;
pub(super) mod check;
pub(super) mod database;
pub(super) mod database_book;
pub(super) mod interrupt;
pub(super) mod log_book;
pub(super) mod number;
pub(super) mod order;
pub(super) mod pool;
pub(super) mod purchase;
pub(super) mod server;
pub(super) mod stage;
pub(super) mod stopwatch;
pub(super) mod table;
pub(super) mod witness;
pub(super) mod workplace;

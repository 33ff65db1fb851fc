//! The HTTP layer: stateless; parses, authenticates, asks the engine, renders.
//!
//! ```text
//! Stream ──────► Worker::answer ──► Route ──► resource ──► decide ──► engine::Client
//!                     │               │          └── auth, idempotency, body, fields
//!                     ◄── Reply or Problem ──────┘
//! ```
//!
//! One file per resource; no App and no middleware around them, since [`Server`] has one service that
//! finds the route itself (docs/adr/0004). Status codes live here alone, those of problems in `problem`.
//! Never here: business rules, files, SQL; state beside caches that a restart may lose.

mod adjustments;
pub mod auth;
mod body;
mod cancellations;
mod carts;
mod conditional;
mod cursor;
mod decide;
mod fields;
mod history;
mod holds;
mod idempotency;
mod json;
mod lines;
mod metrics;
mod metrics_alone;
mod orders;
mod patience;
mod probes;
mod problem;
mod product_list;
mod products;
mod purchases;
mod query;
mod refused;
mod render;
mod reply;
mod request_id;
mod route;
mod sales;
mod server;
mod stock;
mod stream;
mod terms;
mod time;
mod worker;

pub use actix_web::dev::ServerHandle;
pub use auth::Keys;
pub use metrics_alone::serve_metrics;
pub use problem::{PROBLEM_PREFIX, ProblemType, Retry};
pub use server::{FreeBytes, HttpOptions, Server};

//! The engine through its public surface: what clients hear, when, and what is left after a
//! restart. Real threads, real actors; files in memory.

#[path = "engine/actors.rs"]
mod actors;
#[path = "engine/durability.rs"]
mod durability;
#[path = "support/gated.rs"]
mod gated;
#[path = "engine/holds.rs"]
mod holds;
#[path = "engine/house.rs"]
mod house;
#[path = "engine/keys.rs"]
mod keys;
#[path = "engine/limits.rs"]
mod limits;
#[path = "engine/refusals.rs"]
mod refusals;
#[path = "engine/times.rs"]
mod times;

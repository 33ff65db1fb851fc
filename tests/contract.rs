//! The HTTP contract, over real sockets: what may be asked, what is answered, what never changes.
//!
//! Clients know these answers by heart, so a change here is a change of the API.
#![expect(clippy::indexing_slicing, reason = "a missing field of an answer is a failed test")]

#[path = "contract/bad_carts.rs"]
mod bad_carts;
#[path = "contract/bad_parts.rs"]
mod bad_parts;
#[path = "contract/bad_requests.rs"]
mod bad_requests;
#[path = "support/gated.rs"]
mod gated;
#[path = "contract/holds.rs"]
mod holds;
#[path = "contract/house.rs"]
mod house;
#[path = "contract/keys.rs"]
mod keys;
#[path = "contract/ledger.rs"]
mod ledger;
#[path = "contract/orders.rs"]
mod orders;
#[path = "contract/patience.rs"]
mod patience;
#[path = "contract/pauses.rs"]
mod pauses;
#[path = "contract/probes.rs"]
mod probes;
#[path = "contract/products.rs"]
mod products;
#[path = "contract/purchases.rs"]
mod purchases;
#[path = "contract/race.rs"]
mod race;
#[path = "contract/races.rs"]
mod races;
#[path = "contract/same_key.rs"]
mod same_key;
#[expect(clippy::disallowed_methods, reason = "real processes")]
#[path = "support/server.rs"]
mod server;
#[path = "contract/stallers.rs"]
mod stallers;
#[path = "contract/wire.rs"]
mod wire;

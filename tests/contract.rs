//! The HTTP contract, over real sockets: what may be asked, what is answered, what never changes.
//!
//! Clients know these answers by heart, so a change here is a change of the API.
#![expect(clippy::indexing_slicing, reason = "a missing field of an answer is a failed test")]

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
#[path = "contract/orders.rs"]
mod orders;
#[path = "contract/patience.rs"]
mod patience;
#[path = "contract/probes.rs"]
mod probes;
#[path = "contract/products.rs"]
mod products;
#[path = "contract/purchases.rs"]
mod purchases;
#[path = "contract/stallers.rs"]
mod stallers;
#[path = "contract/wire.rs"]
mod wire;

//! `rehearse FILE`: plays real order lines against chosen stock.

mod amount;
mod record;
mod sheet;

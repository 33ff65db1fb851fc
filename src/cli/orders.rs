//! `orders`: what to do about orders that should not have been sold.

mod allot;
mod beyond;
mod cancel;
mod list;
mod undo;

use clap::Subcommand;

use super::exit::Exit;

/// `orders …`
#[derive(Debug, Subcommand)]
pub(super) enum OrdersCommand {
    /// List the orders and live holds of a product beyond the stock there really is
    Beyond(beyond::BeyondArgs),
    /// Cancel the orders of such a list through a running server
    Cancel(cancel::CancelArgs),
}

impl OrdersCommand {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        match self {
            Self::Beyond(args) => args.run(),
            Self::Cancel(args) => args.run(),
        }
    }
}

//! The rules of selling: what may happen to stock, and what follows when it does.
//!
//! `decide` looks and answers with a [`Decision`] or a [`Refusal`]; `apply` changes the
//! [`Inventory`] by a decision that stands in the journal. Live and in replay the same two run.
//!
//! ```text
//! Command ──► decide(&Inventory, now) ──► Decision ──► apply(&mut Inventory) ──► Figures
//!                     └──► Refusal (changes nothing)          ▲
//!                                          journal, replay ───┘
//! ```
//!
//! Called by: `engine` (live and recovery), `projection` (rows from decisions).
//! Invariant: `held + sold <= stock + oversell_limit` for each product after each decision.
//! Never here: clock, randomness, files, sockets, locks, async, SQL, JSON. Time is an argument.

mod applicable;
mod apply;
mod buyers;
#[cfg(test)]
mod cases;
mod command;
mod decide;
mod decision;
mod holds;
mod ids;
mod inventory;
mod lists;
mod moment;
mod money;
mod place;
mod product;
mod quantity;
mod refusal;
mod returns;
mod state;
mod sums;
mod terms;

pub use applicable::{NotApplicable, check_applicable};
pub use apply::apply;
pub use buyers::Buyers;
pub use command::{
    AdjustStock, CancelOrder, ChangeTerms, ConfirmHold, CreateProduct, ExtendHold, HoldRules,
    LineWish, LineWishes, Part, PartOf, PlaceHold, PlaceOrder, PlacedOrder, ReleaseHold,
    StockChange, Targets,
};
pub use decide::{
    Decided, decide_adjustment, decide_cancel, decide_confirm, decide_create, decide_expiry,
    decide_extend, decide_hold, decide_order, decide_release, decide_selling, decide_terms,
    refusal_in_view,
};
pub use decision::{
    AdjustReason, CancelledLine, Decision, HoldConfirmed, HoldEnded, HoldExtended, HoldPlaced,
    OrderCancelled, OrderLine, OrderLines, OrderPlaced, OrderStatus, ProductCreated, RefusalRow,
    RefusalsCounted, SellingPaused, StockAdjusted, TermsChanged,
};
pub use holds::{Ended, HOLD_KNOWN_MS, Hold, HoldEnd, Holds};
pub use ids::{BuyerId, IdError, Name, Principal, ProductId, Reference, SaleId, Text, TextError};
pub use inventory::Inventory;
pub(crate) use lists::one_by_one;
pub use moment::{EPOCH, ms_of_rfc3339, rfc3339};
pub use money::{Currency, Money, MoneyError};
pub use place::{Change, Changes, Handle, RecordAt, Sequence, Version};
pub use product::{Figures, Product};
pub use quantity::{FIGURE_MAX, Quantity, QuantityError};
pub use refusal::{Refusal, RefusalReason, RefusedLine};
pub use returns::{Returned, Returns};
pub use state::{
    CountState, EndState, LiveHoldState, ProductState, Restoring, ReturnState, StateError,
};
pub use terms::{Patch, StandingTerms, Terms, TermsError, TermsPatch};

/// Most products that may share a `sale_id`: one decision changes them all, in one record.
pub const SALE_PRODUCTS_MAX: usize = 10_000;

/// Most lines of one order.
pub const ORDER_LINES_MAX: usize = 1_000;

/// Latest moment that can be written in RFC 3339: the end of the year 9999.
pub const TIME_MS_MAX: u64 = 253_402_300_799_999;

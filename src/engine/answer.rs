//! What a worker asks of the engine, and what it hears.

use std::time::Duration;

use crate::domain::{
    AdjustStock, CancelOrder, ChangeTerms, ConfirmHold, CreateProduct, ExtendHold, ORDER_LINES_MAX,
    PlaceHold, PlaceOrder, Principal, Reference, Refusal, ReleaseHold, Sequence,
};
use crate::journal::{KeyStamp, ReadError, Record};

/// A command with who sends it.
#[derive(Debug)]
pub struct Request {
    /// Name of the API key.
    pub principal: Principal,
    /// The shop's own number for it.
    pub reference: Option<Reference>,
    /// Its idempotency key; changes of terms have none.
    pub key: Option<KeyStamp>,
    /// How long the engine may take before it says "not decided".
    pub deadline: Duration,
    /// What is wanted.
    pub action: Action,
}

/// What is wanted. What is large and rare is boxed: every command is moved around with its room.
#[derive(Debug)]
pub enum Action {
    /// Put a product in for sale.
    Create(Box<CreateProduct>),
    /// Change terms.
    ChangeTerms(Box<ChangeTerms>),
    /// Put stock in or write it off.
    Adjust(AdjustStock),
    /// Buy.
    Order(PlaceOrder),
    /// Set aside.
    PlaceHold(Box<PlaceHold>),
    /// Keep a hold longer.
    ExtendHold(ExtendHold),
    /// Make an order of a hold.
    ConfirmHold {
        /// Of which, and of what in it.
        confirm: ConfirmHold,
        /// Lines the board says it has: room for its record.
        lines: u16,
    },
    /// Give a hold back.
    ReleaseHold {
        /// Which.
        release: ReleaseHold,
        /// As above.
        lines: u16,
    },
    /// Take units of an order back.
    Cancel(Box<CancelOrder>),
    /// Pause or resume selling for every product.
    PauseSelling(bool),
}

/// What became of a command.
#[derive(Debug)]
pub enum Answer {
    /// It happened, durably.
    Decided {
        /// Place of its record.
        sequence: Sequence,
        /// What happened; an answer shows nothing else.
        record: Box<Record>,
        /// It happened before, under the same key.
        replayed: bool,
    },
    /// Decided: nothing changes. Counted, not logged.
    Refused(Refusal),
    /// The key came before with another method, path or body.
    KeyReused,
    /// The key's first command is not answered yet.
    KeyInFlight,
    /// A limit is reached; nothing was decided.
    Overloaded {
        /// Which limit.
        detail: String,
    },
    /// No room for another record; nothing was decided, and it heals by itself.
    DiskLow {
        /// How much is left.
        detail: String,
    },
    /// The log is still being read; nothing was decided.
    Starting,
    /// Nothing happened.
    NotDecided,
    /// It happened once or not at all; the same key tells which.
    OutcomeUnknown,
    /// It happened before under the same key, but its record cannot be read now.
    Unreadable(ReadError),
}

impl Action {
    /// Upper bound of the bytes its record's payload takes.
    #[must_use]
    pub(super) fn payload_bytes_bound(&self) -> usize {
        use crate::journal::payload_bytes_bound as bound;
        let of_lines = |lines: usize| {
            // Here a caller's mistake costs one request; in a turn it would end the process.
            assert!((1..=ORDER_LINES_MAX).contains(&lines), "an order of {lines} lines");
            bound(lines, lines, 64)
        };
        match self {
            Self::Create(create) => {
                let sale = create.terms.sale_id.as_ref().map_or(0, |id| id.as_str().len());
                let texts = create.product_id.as_str().len() + create.terms.name.as_str().len();
                bound(0, 1, texts + sale)
            }
            Self::ChangeTerms(change) => bound(0, change.changes_max(), 1_024),
            // A text of 200 characters takes up to 800 bytes.
            Self::Adjust(_) => bound(0, 1, 800),
            Self::Order(order) => of_lines(order.lines.len()),
            Self::PlaceHold(hold) => of_lines(hold.lines.len()),
            Self::ExtendHold(_) | Self::PauseSelling(_) => bound(0, 0, 0),
            // A part of a line may be confirmed, the rest of it released.
            Self::ConfirmHold { lines, .. } => bound(2 * usize::from(*lines), (*lines).into(), 64),
            Self::ReleaseHold { lines, .. } => bound((*lines).into(), (*lines).into(), 64),
            Self::Cancel(cancel) => {
                let lines = cancel.order.lines.len();
                bound(lines, lines, 64 + 800)
            }
        }
    }
}

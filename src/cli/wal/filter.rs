//! Which records of a log are wanted.
//!
//! A pass over millions of records decodes few: most are told apart by their kind, their time, or
//! because the bytes of what is looked for are nowhere in them. What is left is decoded and asked
//! exactly.

use std::collections::HashSet;
use std::str::FromStr;

use clap::Args;
use memchr::memmem;

use crate::cli::names::Names;
use crate::cli::place;
use crate::domain::{BuyerId, Decision, Handle, Sequence};
use crate::journal::{HoldId, Kind, OrderId, Payload, Peek, Record};

/// Flags that choose records. Several of one flag: any of them; of different ones: all of them.
#[derive(Debug, Clone, Args)]
pub(super) struct FilterArgs {
    /// Records that change or name this product; may be given again
    #[arg(long, value_name = "ID")]
    pub(super) product: Vec<String>,
    /// Orders, holds and cancellations of this buyer; may be given again
    #[arg(long, value_name = "ID")]
    buyer: Vec<String>,
    /// Records with this reference, the shop's own number; may be given again
    #[arg(long, value_name = "TEXT")]
    reference: Vec<String>,
    /// Records of this kind, such as order_placed; may be given again
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
    /// What placed this order, and its cancellations
    #[arg(long, value_name = "ID", conflicts_with = "hold", value_parser = id::<OrderId>)]
    pub(super) order: Option<OrderId>,
    /// What placed this hold, extended it and ended it
    #[arg(long, value_name = "ID", value_parser = id::<HoldId>)]
    pub(super) hold: Option<HoldId>,
    /// Records decided at this time or later, such as 2026-11-27T09:00:00Z
    #[arg(long, value_name = "TIME", value_parser = place::time)]
    pub(super) since: Option<u64>,
    /// Records decided at this time or earlier
    #[arg(long, value_name = "TIME", value_parser = place::time)]
    pub(super) until: Option<u64>,
}

fn id<T: FromStr>(text: &str) -> Result<T, String> {
    let wrong = "it is no such id, or one that was mistyped: an answer, a dump or the tables have it, as in \
                 o000g0000040000000019wk61 for an order and h… for a hold";
    text.parse().map_err(|_| wrong.to_owned())
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| {
        let words: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

/// The wanted records, ready to be asked for.
pub(super) struct Filter {
    products: Vec<(String, Option<Handle>)>,
    buyers: Words,
    references: Words,
    kinds: Vec<Kind>,
    subject: Option<Subject>,
    /// Live holds of the wanted products and buyers: what extends one names neither.
    holds: HashSet<Sequence>,
}

/// One order or hold.
#[derive(Debug, Clone, Copy)]
enum Subject {
    Order(Sequence),
    Hold(Sequence),
}

/// What the exact look at a record came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Wanted,
    Unwanted,
    /// It extends a hold that was placed before the pass began: what placed it tells.
    AskHold(Sequence),
}

impl FilterArgs {
    /// Whether every record is wanted.
    pub(super) fn is_empty(&self) -> bool {
        let Self { product, buyer, reference, kind, order, hold, since, until } = self;
        product.is_empty()
            && buyer.is_empty()
            && reference.is_empty()
            && kind.is_empty()
            && order.is_none()
            && hold.is_none()
            && since.is_none()
            && until.is_none()
    }

    /// The first record that can be wanted, but for its time.
    ///
    /// # Errors
    /// The order or hold is not of this log.
    pub(super) fn first(&self, names: &Names) -> anyhow::Result<Option<Sequence>> {
        let order =
            self.order.map(|order| place::here(order.0, names.places(), &order.to_string()));
        let hold = self.hold.map(|hold| place::here(hold.0, names.places(), &hold.to_string()));
        order.or(hold).transpose()
    }

    /// The filter; products that are not known yet may be created later.
    pub(super) fn compiled(&self, names: &Names) -> Filter {
        let order = self.order.map(|order| Subject::Order(order.0.sequence));
        let hold = self.hold.map(|hold| Subject::Hold(hold.0.sequence));
        Filter {
            products: self.product.iter().map(|id| (id.clone(), names.handle(id))).collect(),
            buyers: Words::new(&self.buyer),
            references: Words::new(&self.reference),
            kinds: self.kind.clone(),
            subject: order.or(hold),
            holds: HashSet::new(),
        }
    }
}

impl Filter {
    /// A product was created: it may be one that is wanted.
    pub(super) fn learn(&mut self, names: &Names) {
        for (id, handle) in self.products.iter_mut().filter(|(_, handle)| handle.is_none()) {
            *handle = names.handle(id);
        }
    }

    /// The wanted products that nobody has created.
    pub(super) fn unknown_products(&self) -> impl Iterator<Item = &str> {
        self.products.iter().filter(|(_, handle)| handle.is_none()).map(|(id, _)| id.as_str())
    }

    /// Whether a record has to be decoded to know. Never false for one that is wanted.
    pub(super) fn may_want(&self, sequence: u64, peek: Peek, payload: &[u8]) -> bool {
        let Peek { kind, .. } = peek;
        let named = || self.buyers.may_be_in(payload) && self.product_may_be_in(payload);
        if self.follows_hold(kind) {
            return named();
        }
        let subject = match self.subject {
            None => true,
            Some(Subject::Order(order)) => {
                sequence == order.get()
                    || kind == Kind::OrderCancelled && contains(payload, &order.get().to_le_bytes())
            }
            Some(Subject::Hold(hold)) => {
                sequence == hold.get() || contains(payload, &hold.get().to_le_bytes())
            }
        };
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && subject
            && self.references.may_be_in(payload)
            // An extension names neither a product nor a buyer.
            && (kind == Kind::HoldExtended || named())
    }

    fn product_may_be_in(&self, payload: &[u8]) -> bool {
        let mut handles = self.products.iter().filter_map(|(_, handle)| *handle);
        self.products.is_empty() || handles.any(|it| contains(payload, &it.get().to_le_bytes()))
    }

    /// Whether extensions of holds are wanted that only their holds can tell apart.
    fn asks_holds(&self) -> bool {
        let extensions = self.kinds.is_empty() || self.kinds.contains(&Kind::HoldExtended);
        extensions && !(self.products.is_empty() && self.buyers.is_empty())
    }

    /// Whether a record of this kind is looked at for the sake of extensions.
    fn follows_hold(&self, kind: Kind) -> bool {
        let concerns = matches!(
            kind,
            Kind::HoldPlaced | Kind::HoldConfirmed | Kind::HoldReleased | Kind::HoldExpired
        );
        concerns && self.asks_holds()
    }

    /// Whether a record is wanted. `begun` is where the pass began.
    pub(super) fn wants(&mut self, sequence: u64, payload: &Payload, begun: u64) -> Verdict {
        let Payload::Record(record) = payload else {
            let plain = self.products.is_empty()
                && self.buyers.is_empty()
                && self.references.is_empty()
                && self.subject.is_none()
                && (self.kinds.is_empty() || self.kinds.contains(&payload.kind()));
            return if plain { Verdict::Wanted } else { Verdict::Unwanted };
        };
        let reference = record.envelope.reference.as_ref().map(|reference| reference.as_str());
        let rest = self.is_of_subject(sequence, &record.decision)
            && (self.kinds.is_empty() || self.kinds.contains(&record.kind()))
            && self.references.has(reference);
        if let Decision::HoldExtended(extended) = &record.decision
            && self.asks_holds()
        {
            return match rest {
                false => Verdict::Unwanted,
                true if self.holds.contains(&extended.hold) => Verdict::Wanted,
                true if extended.hold.get() < begun => Verdict::AskHold(extended.hold),
                true => Verdict::Unwanted,
            };
        }
        let named = self.names(record);
        if self.asks_holds() {
            self.follow(sequence, &record.decision, named);
        }
        if rest && named { Verdict::Wanted } else { Verdict::Unwanted }
    }

    /// Whether a record names a wanted product and a wanted buyer.
    pub(super) fn names(&self, record: &Record) -> bool {
        let buyer = record.decision.buyer_id().map(BuyerId::as_str);
        self.buyers.has(buyer) && self.has_product(record)
    }

    fn has_product(&self, record: &Record) -> bool {
        let mut handles = self.products.iter().filter_map(|(_, handle)| *handle);
        self.products.is_empty() || handles.any(|handle| names_product(record, handle))
    }

    /// Keeps which live holds are of what is wanted.
    fn follow(&mut self, sequence: u64, decision: &Decision, named: bool) {
        match decision {
            Decision::HoldPlaced(_) if named => drop(self.holds.insert(Sequence::new(sequence))),
            Decision::HoldConfirmed(confirmed) => drop(self.holds.remove(&confirmed.hold)),
            Decision::HoldReleased(ended) | Decision::HoldExpired(ended) => {
                self.holds.remove(&ended.hold);
            }
            _ => {}
        }
    }

    fn is_of_subject(&self, sequence: u64, decision: &Decision) -> bool {
        match self.subject {
            None => true,
            Some(Subject::Order(order)) => match decision {
                Decision::OrderCancelled(cancelled) => cancelled.order == order,
                _ => sequence == order.get(),
            },
            Some(Subject::Hold(hold)) => match decision {
                Decision::HoldExtended(extended) => extended.hold == hold,
                Decision::HoldConfirmed(confirmed) => confirmed.hold == hold,
                Decision::HoldReleased(ended) | Decision::HoldExpired(ended) => ended.hold == hold,
                _ => sequence == hold.get(),
            },
        }
    }
}

/// Whether a record changes a product, or names it without changing it.
fn names_product(record: &Record, handle: Handle) -> bool {
    record.envelope.changes.iter().any(|change| change.handle == handle)
        || match &record.decision {
            Decision::RefusalsCounted(counted) => {
                counted.rows.iter().any(|row| row.product == handle)
            }
            Decision::OrderCancelled(cancelled) => {
                cancelled.lines.iter().any(|line| line.product == handle)
            }
            _ => false,
        }
}

fn contains(payload: &[u8], bytes: &[u8]) -> bool {
    memmem::find(payload, bytes).is_some()
}

/// Texts of which any will do; none of them: anything will.
struct Words {
    words: Vec<(String, memmem::Finder<'static>)>,
}

impl Words {
    fn new(words: &[String]) -> Self {
        let finder = |word: &String| memmem::Finder::new(word.as_bytes()).into_owned();
        Self { words: words.iter().map(|word| (word.clone(), finder(word))).collect() }
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn may_be_in(&self, payload: &[u8]) -> bool {
        self.words.is_empty() || self.words.iter().any(|(_, word)| word.find(payload).is_some())
    }

    fn has(&self, text: Option<&str>) -> bool {
        self.words.is_empty() || self.words.iter().any(|(word, _)| Some(word.as_str()) == text)
    }
}

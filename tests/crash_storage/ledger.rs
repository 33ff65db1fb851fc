//! What clients were told in all lives of a round, and whether a log agrees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use doorbuster::domain::{Decision, HoldEnd, Refusal, Sequence};
use doorbuster::engine::{Engine, HoldState};
use doorbuster::journal::{Payload, Record};

use crate::tale::Tale;

pub(crate) const PRODUCTS: u32 = 3;
pub(crate) const STOCK: u64 = 120;
/// What is durable and nobody was told of is shown by then.
const SHOWN_WITHIN: Duration = Duration::from_secs(30);

/// Units of products.
pub(crate) type Units = Vec<(u32, u64)>;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wish {
    Buy(Units),
    Hold(Units),
    Extend(u64),
    Confirm(u64),
    Release(u64),
    Cancel(u64),
}

/// What one key asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) key: u64,
    pub(crate) wish: Wish,
    /// For how long a hold is to be.
    pub(crate) ttl_ms: u64,
}

/// What became of it, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It happened, at this sequence.
    Done(u64),
    /// It happened once or not at all.
    Unknown,
    /// It did not happen.
    Nothing,
}

#[derive(Debug, Default, Clone)]
pub(crate) struct Counts {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) nothing: u64,
    pub(crate) sold_out: u64,
    pub(crate) too_late: u64,
    pub(crate) replayed: u64,
    pub(crate) held: u64,
    pub(crate) expired: u64,
    pub(crate) lives: u64,
    pub(crate) torn: u64,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) told: BTreeMap<u64, (Ask, Told)>,
    /// Figures that refusals gave: product and units available.
    too_few: BTreeSet<(u32, u64)>,
    /// Ends of holds, and cancelled orders, that refusals spoke of.
    ended: BTreeMap<u64, HoldEnd>,
    cancelled: BTreeSet<u64>,
    pub(crate) next_key: u64,
    pub(crate) counts: Counts,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.nothing += other.nothing;
        self.sold_out += other.sold_out;
        self.too_late += other.too_late;
        self.replayed += other.replayed;
        self.held += other.held;
        self.expired += other.expired;
        self.lives += other.lives;
        self.torn += other.torn;
    }
}

impl Ask {
    fn units(&self) -> &[(u32, u64)] {
        match &self.wish {
            Wish::Buy(units) | Wish::Hold(units) => units,
            _ => &[],
        }
    }
}

impl Ledger {
    pub(crate) fn done(&mut self, ask: &Ask, sequence: u64, replayed: bool) -> Result<(), String> {
        let before = self.told.insert(ask.key, (ask.clone(), Told::Done(sequence)));
        match before {
            Some((_, Told::Done(first))) if first != sequence || !replayed => {
                Err(format!("key {} was at {first} and is now at {sequence}", ask.key))
            }
            Some((_, Told::Done(_))) => {
                self.counts.replayed += 1;
                Ok(())
            }
            _ => {
                self.counts.acknowledged += 1;
                Ok(())
            }
        }
    }

    pub(crate) fn refused(&mut self, ask: &Ask, refusal: &Refusal) -> Result<(), String> {
        if let Some((_, Told::Done(first))) =
            self.told.insert(ask.key, (ask.clone(), Told::Nothing))
        {
            return Err(format!("key {} was at {first} and is now {refusal}", ask.key));
        }
        match (refusal, &ask.wish) {
            (
                Refusal::HoldEnded { end },
                Wish::Extend(hold) | Wish::Confirm(hold) | Wish::Release(hold),
            ) => {
                self.counts.too_late += 1;
                let before = self.ended.insert(*hold, *end);
                match before.is_none_or(|before| before == *end) {
                    true => Ok(()),
                    false => Err(format!("hold {hold} was {before:?} and is now {end:?}")),
                }
            }
            (Refusal::AlreadyCancelled { .. }, Wish::Cancel(order)) => {
                self.counts.too_late += 1;
                self.cancelled.insert(*order);
                Ok(())
            }
            (Refusal::SoldOut { available, .. }, _) => self.sold_out(ask, 0, *available),
            (Refusal::Lines(lines), _) => lines.iter().try_for_each(|line| match &line.refusal {
                Refusal::SoldOut { available, .. } => {
                    let place = line.lines.first().copied().unwrap_or(usize::MAX);
                    self.sold_out(ask, place, *available)
                }
                other => Err(format!("{ask:?} was refused: {other}")),
            }),
            _ => Err(format!("{ask:?} was refused: {refusal}")),
        }
    }

    fn sold_out(&mut self, ask: &Ask, line: usize, available: u64) -> Result<(), String> {
        let line = ask.units().get(line).copied();
        let (product, units) = line.ok_or_else(|| format!("{ask:?} has no such line"))?;
        self.counts.sold_out += 1;
        self.too_few.insert((product, available));
        match units > available {
            true => Ok(()),
            false => Err(format!("{ask:?} was refused with {available} available")),
        }
    }

    pub(crate) fn unknown(&mut self, ask: &Ask) {
        self.counts.unknown += 1;
        // A retry that does not come through says nothing new about what has happened.
        self.told.entry(ask.key).or_insert((ask.clone(), Told::Unknown));
    }

    pub(crate) fn nothing(&mut self, ask: &Ask) {
        self.counts.nothing += 1;
        self.told.entry(ask.key).or_insert((ask.clone(), Told::Nothing));
    }

    /// Sequences of acknowledged wishes of a kind.
    pub(crate) fn acknowledged(&self, of: impl Fn(&Wish) -> bool) -> Vec<u64> {
        let done = self.told.values().filter(|(ask, _)| of(&ask.wish));
        done.filter_map(|(_, told)| if let Told::Done(at) = told { Some(*at) } else { None })
            .collect()
    }

    /// Compares with what a started engine's log holds and shows.
    pub(crate) async fn check(&mut self, engine: &Engine) -> Result<(), String> {
        let mut tale = Tale::default();
        let durable = engine.journal().ok_or("the engine has not started")?.durable();
        for (sequence, record) in records(engine)? {
            tale.follow(sequence, &record)?;
        }
        for (key, (ask, told)) in &self.told {
            match (told, tale.by_key.get(key)) {
                (Told::Done(sequence), Some((at, wish))) if sequence == at && *wish == ask.wish => {
                }
                (Told::Unknown, Some((_, wish))) if *wish == ask.wish => {}
                (Told::Unknown | Told::Nothing, None) => {}
                (_, found) => {
                    return Err(format!("{ask:?} was told {told:?}, the log has {found:?}"));
                }
            }
        }
        if let Some(key) = tale.by_key.keys().find(|key| !self.told.contains_key(key)) {
            return Err(format!("nobody asked for {key}"));
        }
        if let Some((product, units)) = self.too_few.difference(&tale.available_once).next() {
            return Err(format!("product {product} never had {units} available, as was told"));
        }
        for (hold, end) in &self.ended {
            if tale.holds.get(hold).is_none_or(|hold| hold.end != Some(*end)) {
                return Err(format!("hold {hold} was told as {end:?}, and is not"));
            }
        }
        if let Some(order) = self.cancelled.difference(&tale.cancelled).next() {
            return Err(format!("order {order} was told as cancelled, and is not"));
        }
        self.counts.held = tale.holds.len() as u64;
        self.counts.expired =
            tale.holds.values().filter(|hold| hold.end == Some(HoldEnd::Expired)).count() as u64;
        // A hold may end while this looks.
        match engine.journal().is_some_and(|journal| journal.durable() == durable) {
            true => {
                // What somebody was told of is shown already.
                shown(engine, &tale, |hold| self.ended.contains_key(&hold))?;
                shown_soon(engine, &tale).await
            }
            false => Ok(()),
        }
    }
}

/// As [`shown`], in a moment: a record is durable before it is shown, and nobody has heard of a hold
/// that ended by itself.
async fn shown_soon(engine: &Engine, tale: &Tale) -> Result<(), String> {
    let mut seen = shown(engine, tale, |_| true);
    for _ in 0..SHOWN_WITHIN.as_millis() {
        if seen.is_ok() {
            break;
        }
        actix_rt::time::sleep(Duration::from_millis(1)).await;
        seen = shown(engine, tale, |_| true);
    }
    seen
}

/// The board has each of these holds as the log says.
fn shown(engine: &Engine, tale: &Tale, which: impl Fn(u64) -> bool) -> Result<(), String> {
    let board = engine.board().ok_or("the engine has not started")?;
    for (sequence, hold) in tale.holds.iter().filter(|(sequence, _)| which(**sequence)) {
        let entry = board.hold(Sequence::new(*sequence), engine.now_ms());
        let end = match entry.ok_or_else(|| format!("hold {sequence} is not shown"))?.state {
            HoldState::Held { .. } => None,
            HoldState::Ended(ended) => Some(ended.end),
        };
        // What ended while this looks is behind what was read.
        if hold.end.is_some() && end != hold.end {
            return Err(format!("hold {sequence} is {:?} and shown as {end:?}", hold.end));
        }
    }
    Ok(())
}

/// Every decision of the log.
fn records(engine: &Engine) -> Result<Vec<(u64, Record)>, String> {
    let journal = engine.journal().ok_or("the engine has not started")?;
    let mut tail = journal.tail(Sequence::new(1));
    let mut records = Vec::new();
    while let Some(tailed) = tail.next().map_err(|error| error.to_string())? {
        if let Payload::Record(record) = tailed.payload {
            records.push((tailed.sequence.get(), record));
        }
    }
    Ok(records)
}

/// What a decision answers to, if somebody asked for it.
pub(crate) fn wish_of(decision: &Decision) -> Option<Wish> {
    let units = |lines: &[doorbuster::domain::OrderLine]| {
        lines.iter().map(|line| (line.product.get(), line.quantity.units())).collect()
    };
    Some(match decision {
        Decision::OrderPlaced(order) => Wish::Buy(units(&order.lines)),
        Decision::HoldPlaced(placed) => Wish::Hold(units(&placed.lines)),
        Decision::HoldExtended(extended) => Wish::Extend(extended.hold.get()),
        Decision::HoldConfirmed(confirmed) => Wish::Confirm(confirmed.hold.get()),
        Decision::HoldReleased(ended) => Wish::Release(ended.hold.get()),
        Decision::OrderCancelled(cancelled) => Wish::Cancel(cancelled.order.get()),
        _ => return None,
    })
}

//! Asking: what a worker does before a command reaches an actor.
//!
//! In this order: the published view, then the key (a key that is found wins over the view), then
//! a permit, then the mailbox. No business rule lives here; the view's refusal is the domain's.

use std::rc::Rc;
use std::sync::Arc;

use super::admission::AdmissionError;
use super::answer::{Action, Answer, Request};
use super::command::{Command, Undecided};
use super::directory::{Found, ProductEntry};
use super::idempotency::Lookup;
use super::link::{Link, Stake};
use super::partition_actor::single_product;
use super::refusal_counts::RefusalShard;
use super::reply::{Replies, Reply};
use super::{Core, Engine};
use crate::domain::{Refusal, Sequence};
use crate::journal::{KeyStamp, Payload, Planted, planted};

/// Asks the engine; one per worker thread.
#[derive(Clone)]
pub struct Client {
    link: Arc<Link>,
    replies: Replies,
    refused: Arc<RefusalShard>,
    found: Rc<Found>,
}

/// A command that may be decided, and who waits for it.
pub(super) struct Prepared<'a> {
    pub(super) command: Command,
    pub(super) entry: Option<&'a ProductEntry>,
    pub(super) reply: Reply,
}

impl Client {
    /// A client of this worker; spawn [`Replies::deliver`] of [`Self::replies`] beside it.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        let refused = engine.refusals().shard();
        let link = Arc::new(Link::new(engine));
        Self { replies: Replies::new(Arc::clone(&link)), link, refused, found: Rc::default() }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        self.link.engine()
    }

    /// The durable product of this id, as [`Engine::product`]; faster where it was found before.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<&ProductEntry> {
        self.engine().core()?.directory.product_again(id, &self.found)
    }

    /// Where answers arrive.
    #[must_use]
    pub fn replies(&self) -> &Replies {
        &self.replies
    }

    /// Asks and waits for the answer. Dropping the future does not take the command back.
    pub async fn ask(&self, request: Request) -> Answer {
        match self.submit(request) {
            Ok(reply) => reply.await,
            Err(answer) => *answer,
        }
    }

    /// Asks; the answer is given at once or promised.
    ///
    /// # Errors
    /// The answer that needs no actor.
    pub fn submit(&self, request: Request) -> Result<Reply, Box<Answer>> {
        let core = self.engine().core().ok_or(Answer::Starting)?;
        let Prepared { command, entry, reply } = self.prepare(core, request, || ())?;
        core.router.dispatch(command, entry);
        Ok(reply)
    }

    /// Everything before the mailbox: view, key, permit. `meanwhile` is what other threads do
    /// between view and key, where they are stepped by hand.
    pub(super) fn prepare<'a>(
        &self,
        core: &'a Core,
        request: Request,
        meanwhile: impl FnOnce(),
    ) -> Result<Prepared<'a>, Box<Answer>> {
        let now_ms = core.clock.now_ms();
        let product = single_product(&request.action);
        let entry = product.and_then(|handle| core.directory.product_by_handle(handle));
        let mut stake = self.stake(core, &request, (entry, now_ms), meanwhile)?;
        let bytes = request.action.payload_bytes_bound();
        stake.admit(bytes).map_err(|error| Box::new(error.into()))?;
        let (ticket, reply) = self.replies.wait();
        #[cfg(feature = "planted")]
        let reply = reply.with_key(&self.link, request.key);
        stake.promise(ticket);
        let Request { principal, reference, key, deadline, action } = request;
        let deadline_ms =
            now_ms.saturating_add(u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
        let record = Box::new_uninit();
        let undecided = Undecided { principal, reference, key, action, deadline_ms, record, stake };
        Ok(Prepared { command: Command::new(undecided), entry, reply })
    }

    /// Whether a key came before with another method, path or body: for requests that name nothing
    /// there is, and so never reach [`Self::submit`].
    #[must_use]
    pub fn key_reused(&self, stamp: &KeyStamp) -> bool {
        self.engine().core().is_some_and(|core| {
            matches!(core.idempotency.look_up(stamp, core.clock.now_ms()), Lookup::Reused)
        })
    }

    /// Looks the key up and, unless the view refuses, takes it.
    fn stake(
        &self,
        core: &Core,
        request: &Request,
        (entry, now_ms): (Option<&ProductEntry>, u64),
        meanwhile: impl FnOnce(),
    ) -> Result<Stake, Box<Answer>> {
        // The view before the key: a purchase that was answered between the two is found by its
        // key, whatever the view said.
        let look = || entry.and_then(|entry| view_refusal(core, &request.action, entry, now_ms));
        let mut refusal = look();
        let early = match &request.key {
            Some(stamp) if planted(Planted::KeyMissRacesView) => {
                Some(core.idempotency.look_up(stamp, now_ms))
            }
            _ => None,
        };
        meanwhile();
        if early.is_some() {
            refusal = look();
        }
        let mut lookup = match (&request.key, &refusal) {
            (None, _) => Lookup::Free,
            (Some(stamp), None) => core.idempotency.reserve(stamp, now_ms),
            (Some(stamp), Some(_)) => core.idempotency.look_up(stamp, now_ms),
        };
        if refusal.is_some() && matches!(early, Some(Lookup::Free)) {
            lookup = Lookup::Free;
        }
        let reserved = matches!(lookup, Lookup::Reserved);
        // Frees a key that was reserved, unless a command is decided under it.
        let stake = || Stake::new(&self.link, request.key.filter(|_| reserved));
        // Only what is durable is told then, and a key whose outcome is unknown stays in flight.
        if self.engine().health.is_failed()
            && matches!(lookup, Lookup::Free | Lookup::Reserved | Lookup::Full)
        {
            drop(stake());
            return Err(Box::new(Answer::NotDecided));
        }
        match lookup {
            Lookup::Found(sequence) => Err(Box::new(replay(core, sequence))),
            Lookup::Reused => Err(Box::new(Answer::KeyReused)),
            Lookup::InFlight => Err(Box::new(Answer::KeyInFlight)),
            Lookup::Full => {
                let detail = "the table of idempotency keys is full".to_owned();
                Err(Box::new(Answer::Overloaded { detail }))
            }
            Lookup::Reserved => Ok(stake()),
            Lookup::Free => match (refusal, entry) {
                (Some(refusal), Some(entry)) => {
                    self.refused.count(entry.handle(), &refusal);
                    Err(Box::new(Answer::Refused(refusal)))
                }
                _ => Ok(stake()),
            },
        }
    }
}

/// What the published view alone refuses: only orders of one line.
fn view_refusal(
    core: &Core,
    action: &Action,
    entry: &ProductEntry,
    now_ms: u64,
) -> Option<Refusal> {
    let Action::Order(order) = action else { return None };
    let [line] = order.lines.as_slice() else { return None };
    if core.board.selling_paused() {
        return Some(Refusal::Paused);
    }
    entry.refusal(line.quantity.units(), now_ms).err()
}

/// The first answer to a key, from its record.
fn replay(core: &Core, sequence: Sequence) -> Answer {
    match core.reader.read(sequence) {
        Ok(Some(Payload::Record(record))) => {
            Answer::Decided { sequence, record: Box::new(record), replayed: true }
        }
        Ok(_) => unreachable!("an idempotency entry names a durable decision"),
        Err(error) => Answer::Unreadable(error),
    }
}

impl From<AdmissionError> for Answer {
    fn from(error: AdmissionError) -> Self {
        let detail = error.to_string();
        match error {
            AdmissionError::DiskLow { .. } => Self::DiskLow { detail },
            AdmissionError::Commands { .. } | AdmissionError::QueuedBytes { .. } => {
                Self::Overloaded { detail }
            }
        }
    }
}

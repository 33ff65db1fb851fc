//! The steps of a simulation: one thread at a time moves, and while it waits for the disk or wakes
//! another, the others move too.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use doorbuster::domain::{Principal, Reference, Sequence};
use doorbuster::engine::stepped::{self, MINUTE_MS, SteppedPartition, SteppedWriter};
use doorbuster::engine::{Request, Upkept};
use doorbuster::projection::stepped::Step;

use super::disk::{self, Moment, set_meanwhile};
use super::tables::StoreFault;
use super::wishes::{PRODUCTS, Wishes};
use super::words::{self, action, stamp};
use super::world::World;
use crate::faults::FaultKind;
use crate::witness::{Heard, Wish, WishLine, product_name, reference};

/// Steps within steps.
pub(super) const DEPTH_MAX: u32 = 2;

/// The threads of one simulation, in one hand.
pub(super) struct Stage {
    pub(super) world: RefCell<World>,
    pub(super) partition: RefCell<Option<SteppedPartition>>,
    pub(super) writer: RefCell<Option<SteppedWriter>>,
    /// How many steps are under way; above the most: nothing happens meanwhile.
    pub(super) depth: Cell<u32>,
}

impl Stage {
    /// What happens meanwhile is decided here from now on.
    pub(super) fn enter(self: &Rc<Self>) {
        let stage = Rc::downgrade(self);
        set_meanwhile(Some(Rc::new(move |moment| {
            let Some(stage) = stage.upgrade() else { return };
            match moment {
                Moment::Disk => stage.meanwhile(),
                Moment::Told => stage.told(),
            }
        })));
    }

    /// Other threads move while one waits.
    fn meanwhile(&self) {
        let depth = self.depth.get();
        if depth >= DEPTH_MAX {
            return;
        }
        let steps = {
            let Ok(mut world) = self.world.try_borrow_mut() else { return };
            if world.storage.is_dead() || world.dice.once_in(2) {
                return;
            }
            1 + world.dice.below(3)
        };
        self.depth.set(depth + 1);
        for _ in 0..steps {
            self.world.borrow_mut().counts.steps_meanwhile += 1;
            let kind = self.world.borrow_mut().dice.below(100);
            self.common(kind);
        }
        self.depth.set(depth);
    }

    /// Between a worker's look at the view and its look at the key: now and then the same request
    /// is asked elsewhere, and carried to its answer.
    fn between(&self, call: u64) {
        let depth = self.depth.get();
        if depth == 0 && self.world.borrow_mut().dice.once_in(24) {
            self.depth.set(depth + 1);
            let again = self.world.borrow().witness.notes.call(call).is_some_and(|c| c.has_key);
            if again {
                self.ask(call);
            }
            while !self.world.borrow().mailbox.is_empty() && self.partition.try_borrow().is_ok() {
                self.turn();
            }
            self.write();
            self.depth.set(depth);
        } else {
            self.meanwhile();
        }
    }

    /// A worker is woken: it looks at its answers, and its client at what is shown.
    fn told(&self) {
        let depth = self.depth.get();
        if depth >= DEPTH_MAX {
            return;
        }
        {
            let Ok(mut world) = self.world.try_borrow_mut() else { return };
            if world.storage.is_dead() || world.dice.once_in(2) {
                return;
            }
        }
        self.depth.set(depth + 1);
        self.hear();
        self.read();
        self.depth.set(depth);
        self.meanwhile();
    }

    /// A step that any thread may take at any time.
    fn common(&self, kind: u64) {
        match kind {
            0..36 => self.ask_something(),
            36..58 => self.turn(),
            58..70 => self.hear(),
            70..84 => self.read(),
            84..88 => {
                let _ = self.expire();
            }
            88..92 => self.pass(),
            92..94 => self.give_up(),
            94..99 => self.project(),
            _ => self.keep_up(),
        }
    }

    /// One step; `true`: the life is to end.
    pub(super) fn step(&self) -> bool {
        let (kind, slow, ends_every) = {
            let mut world = self.world.borrow_mut();
            if world.is_over() {
                return world.dice.once_in(4);
            }
            let profile = world.profile;
            (world.dice.below(1_000), profile.slow_disk, profile.ends_every)
        };
        if self.world.borrow_mut().dice.once_in(ends_every) {
            return true;
        }
        match kind {
            0..700 => self.common(kind / 7),
            700..860 if slow && kind > 720 => self.common(kind % 100),
            700..860 => {
                let _ = self.write();
            }
            860..890 => self.spare(),
            890..905 => self.count_refusals(),
            905..915 => self.jump(),
            915..925 => self.watermark(),
            925..940 => self.slew(),
            940..944 => self.take_room(),
            950..965 => self.break_disk(),
            965..975 => self.fill_disk(),
            975..985 => self.break_store(),
            985..996 => self.rest(),
            _ => self.pass(),
        }
        false
    }

    fn hear(&self) {
        let mut world = self.world.borrow_mut();
        world.say(|_| "clients hear".to_owned());
        world.hear();
    }

    /// A client asks: something new, or again.
    fn ask_something(&self) {
        let Some((call, twice)) = self.choose() else { return };
        self.ask(call);
        if twice {
            self.ask(call);
        }
    }

    fn choose(&self) -> Option<(u64, bool)> {
        let mut world = self.world.borrow_mut();
        let world = &mut *world;
        let last = world.witness.notes.len();
        if last > 0 && world.dice.once_in(4) {
            let back = if world.dice.once_in(2) { 8 } else { last };
            let call = last - 1 - world.dice.below(back.min(last));
            let has_key = world.witness.notes.call(call).is_some_and(|call| call.has_key);
            return has_key.then_some((call, world.dice.once_in(8)));
        }
        let now_ms = world.engine().now_ms();
        let mut wishes = Wishes { dice: &mut world.dice, witness: &world.witness, now_ms };
        let mut wish = wishes.draw();
        if world.profile.bulky {
            make_bulky(&mut wish, &mut world.dice);
        }
        let has_key = wish.needs_key() || world.dice.once_in(2);
        let call = world.witness.notes.add(wish, has_key);
        world.counts.requests += 1;
        Some((call, has_key && world.dice.once_in(8)))
    }

    /// One attempt at a request; gives its number.
    pub(super) fn ask(&self, call: u64) -> Option<u64> {
        let (client, request, attempt) = {
            let mut world = self.world.borrow_mut();
            let world = &mut *world;
            let now_ms = world.engine().now_ms();
            let noted = world.witness.notes.call(call)?;
            let (wish, has_key) = (noted.wish.clone(), noted.has_key);
            let action = action(&wish, world.engine())?;
            let other_body = has_key && world.dice.once_in(20);
            let worker = world.dice.below(world.workers.len() as u64) as usize;
            let client = world.workers.get(worker)?.client.clone();
            let request = Request {
                principal: Principal::new("shop").ok()?,
                reference: Some(Reference::new(&reference(call)).ok()?),
                key: has_key.then(|| stamp(call, other_body)),
                deadline: Duration::from_millis(20 + world.dice.below(1_000)),
                action,
            };
            let attempt = world.witness.ask(call, other_body, now_ms);
            world.counts.attempts += 1;
            world.say(|_| format!("request {call} asks for {wish:?} (other body: {other_body})"));
            (client, request, attempt)
        };
        let asked = stepped::ask(&client, request, || self.between(call));
        let mut world = self.world.borrow_mut();
        match asked {
            Ok((command, reply)) => {
                world.mailbox.push(command);
                world.waiting.insert(attempt, reply);
            }
            Err(answer) => drop(world.told(attempt, &answer)),
        }
        Some(attempt)
    }

    /// The partition decides one of the commands that wait.
    pub(super) fn turn(&self) {
        let Ok(mut partition) = self.partition.try_borrow_mut() else { return };
        let Some(partition) = partition.as_mut() else { return };
        let (command, now_ms) = {
            let mut world = self.world.borrow_mut();
            let waiting = world.mailbox.len() as u64;
            if waiting == 0 {
                return;
            }
            let number = world.dice.below(waiting.min(4)) as usize;
            world.say(|_| format!("the partition decides the {number}th of {waiting} commands"));
            (world.mailbox.remove(number), world.engine().now_ms())
        };
        partition.turn(command, now_ms);
    }

    /// The timer's turn; `true`: nothing is due any more.
    pub(super) fn expire(&self) -> bool {
        let Ok(mut partition) = self.partition.try_borrow_mut() else { return false };
        let Some(partition) = partition.as_mut() else { return false };
        let (now_ms, count) = {
            let mut world = self.world.borrow_mut();
            world.say(|_| "holds that are over end".to_owned());
            (world.engine().now_ms(), 1 + world.dice.below(3) as usize)
        };
        partition.expire(now_ms, count) == doorbuster::engine::Expired::All
    }

    fn count_refusals(&self) {
        let Ok(mut partition) = self.partition.try_borrow_mut() else { return };
        let mut world = self.world.borrow_mut();
        world.say(|_| "refusals are counted".to_owned());
        let now_ms = world.engine().now_ms();
        drop(world);
        if let Some(partition) = partition.as_mut() {
            partition.count_refusals(now_ms / MINUTE_MS * MINUTE_MS, now_ms);
        }
    }

    /// The writer takes what is queued; `true`: there was nothing.
    pub(super) fn write(&self) -> bool {
        let Ok(mut writer) = self.writer.try_borrow_mut() else { return false };
        let Some(writer) = writer.as_mut() else { return false };
        {
            let mut world = self.world.borrow_mut();
            world.break_segment_change();
            world.say(|_| "the writer writes and syncs".to_owned());
        }
        let stepped = writer.step();
        let mut world = self.world.borrow_mut();
        match stepped {
            Ok(stepped) => {
                world.follow();
                stepped == doorbuster::journal::Stepped::Idle
            }
            Err(error) => {
                world.counts.failed_journals += 1;
                world.say(|_| format!("  the journal fails: {error}"));
                false
            }
        }
    }

    fn watermark(&self) {
        if let Some(writer) = self.writer.borrow_mut().as_mut() {
            self.world.borrow_mut().say(|_| "the watermark is queued".to_owned());
            writer.queue_watermark();
        }
    }

    /// The thread that zeroes segments ahead.
    pub(super) fn spare(&self) {
        let writer = self.writer.borrow();
        let Some(writer) = writer.as_ref() else { return };
        let room = writer.reader().room();
        {
            let mut world = self.world.borrow_mut();
            world.say(|_| "a segment is zeroed, and others give room back".to_owned());
            room.release(std::mem::take(&mut world.taken_bytes));
        }
        if let Ok(true) = writer.prepare_spare() {
            self.world.borrow_mut().spares_made += 1;
        }
    }

    pub(super) fn read(&self) {
        let mut world = self.world.borrow_mut();
        world.follow();
        world.counts.reads += 1;
        let kind = world.dice.below(4);
        let around = (world.witness.durable() + 3).saturating_sub(world.dice.below(12)).max(1);
        let engine = world.engine().clone();
        let now_ms = engine.now_ms();
        match kind {
            0 | 1 => {
                let product = world.dice.below(u64::from(PRODUCTS)) as u16;
                let entry = engine.product(&product_name(product));
                let seen = entry.map(|entry| words::seen_product(&entry.view()));
                world.say(|_| format!("product {product} is read: {seen:?}"));
                world.witness.see_product(product, seen);
            }
            2 => {
                let board = engine.board().and_then(|b| b.hold(Sequence::new(around), now_ms));
                let seen = board.map(|entry| words::seen_hold(entry.state));
                world.say(|_| format!("hold {around} is read: {seen:?}"));
                world.witness.see_hold(around, seen, now_ms);
            }
            _ => {
                let seen = words::placed_order(around, &engine);
                let seen = seen.map(|(_, record)| words::checksum(&record));
                world.say(|_| format!("order {around} is read: {seen:?}"));
                world.witness.see_order(around, seen);
            }
        }
    }

    /// Time goes on.
    fn pass(&self) {
        let mut world = self.world.borrow_mut();
        let ms = if world.dice.once_in(200) { 86_400_000 } else { world.dice.below(50) };
        world.say(|_| format!("{ms} ms pass"));
        world.clock.pass(ms);
    }

    fn slew(&self) {
        let mut world = self.world.borrow_mut();
        world.say(|_| "the clock is slewed".to_owned());
        world.slewed += 1;
        stepped::slew(world.engine());
    }

    fn jump(&self) {
        let mut world = self.world.borrow_mut();
        let by_ms = world.dice.below(4_000_000) as i64 - 2_000_000;
        world.say(|_| format!("the wall clock jumps by {by_ms} ms"));
        world.counts.clock_jumps += 1;
        world.clock.jump(by_ms);
    }

    /// A client goes away, or its time is over; its command goes on.
    fn give_up(&self) {
        let mut world = self.world.borrow_mut();
        let waiting = world.waiting.len() as u64;
        if waiting == 0 {
            return;
        }
        let place = world.dice.below(waiting) as usize;
        let Some(attempt) = world.waiting.keys().nth(place).copied() else { return };
        world.say(|world| {
            let call = world.witness.notes.attempt(attempt).map(|attempt| attempt.call);
            format!("the client of request {call:?} goes away")
        });
        world.counts.given_up += 1;
        world.waiting.remove(&attempt);
        world.witness.notes.give_up(attempt);
    }

    pub(super) fn project(&self) {
        let mut world = self.world.borrow_mut();
        world.follow();
        let count = world.projectors.len() as u64;
        let number = world.dice.below(count) as usize;
        let Some(projector) = world.projectors.get_mut(number) else { return };
        let step = projector.step();
        let problem = (step == Step::Stopped).then(|| projector.report().problem);
        let word = match step {
            // How long is not the seed's to say.
            Step::Waits(_) => "Waits".to_owned(),
            step => format!("{step:?}"),
        };
        world.say(|_| format!("projector {number} steps: {word}"));
        if let Some(problem) = problem {
            world.fault_of_projection(&format!("the projector stops: {problem:?}"));
        }
        world.check_rows();
    }

    /// Closed segments are snapshotted, or one is archived.
    fn keep_up(&self) {
        let Some(mut upkeep) = self.world.borrow_mut().upkeep.take() else { return };
        let stepped = upkeep.step();
        let mut world = self.world.borrow_mut();
        world.say(|_| format!("the upkeep steps: {stepped:?}"));
        match stepped {
            Ok(Upkept::Snapshot(_)) => world.counts.snapshots += 1,
            Ok(Upkept::Archived(_)) => world.counts.archived += 1,
            Ok(Upkept::Nothing | Upkept::WithoutRoom) => {}
            Err(_) if world.disk_breaks || world.storage.is_full() => {}
            Err(error) => {
                world.witness.faults.add(FaultKind::Broken, || format!("the upkeep: {error}"));
            }
        }
        world.upkeep = Some(upkeep);
    }

    fn break_store(&self) {
        let mut world = self.world.borrow_mut();
        let faults = [StoreFault::Before, StoreFault::During, StoreFault::Slow, StoreFault::After];
        let fault = faults.get(world.dice.below(4) as usize).copied();
        world.say(|_| format!("the next transaction fails: {fault:?}"));
        world.counts.store_faults += 1;
        world.tables.lock().fault = fault;
    }

    /// The disk will fail, or the machine lose power, at one of the next operations.
    fn break_disk(&self) {
        let mut world = self.world.borrow_mut();
        let after = world.dice.below(6);
        world.disk_breaks = true;
        match world.dice.below(4) {
            0 | 1 => {
                world.say(|_| format!("the machine dies in its {after}th operation from now"));
                world.storage.die_after(after);
            }
            2 => {
                world.say(|_| format!("the {after}th sync from now fails"));
                world.storage.fail_sync_after(after);
            }
            _ => {
                world.say(|_| format!("the {after}th operation from now fails"));
                disk::fail_after(Some(after));
            }
        }
    }

    /// Somebody else fills the disk, or frees it.
    fn fill_disk(&self) {
        let mut world = self.world.borrow_mut();
        let full = world.dice.once_in(2);
        world.counts.full_disks += u64::from(full);
        world.say(|_| format!("the disk is full: {full}"));
        world.storage.set_capacity(full.then_some(0));
    }

    /// Nearly all the room in zeroed segments goes to others.
    fn take_room(&self) {
        let mut world = self.world.borrow_mut();
        let room = world.engine().journal().expect("it has started").room();
        world.say(|_| "others take the room".to_owned());
        let left = world.dice.below(600) as i64;
        while room.bytes_left() > left + 64 {
            let most = (room.bytes_left() - left - 64).min(2_000);
            let Some(bytes) = room.try_reserve(usize::try_from(most).unwrap_or(0)) else { return };
            world.taken_bytes += bytes;
        }
    }

    /// Asks and carries the attempt to its answer; `None`: none came.
    pub(super) fn ask_and_wait(&self, wish: Wish) -> Option<Heard> {
        let call = {
            let mut world = self.world.borrow_mut();
            world.counts.requests += 1;
            world.witness.notes.add(wish, true)
        };
        let attempt = self.ask(call)?;
        for _ in 0..4 {
            self.turn();
            self.write();
            let mut world = self.world.borrow_mut();
            for worker in &mut world.workers {
                worker.look();
            }
            let answer = world.waiting.get(&attempt).and_then(doorbuster::engine::Reply::take);
            if let Some(answer) = answer {
                world.waiting.remove(&attempt);
                return Some(world.told(attempt, &answer));
            }
        }
        None
    }
}

/// Long orders fill segments, and long stock feeds them.
fn make_bulky(wish: &mut Wish, dice: &mut crate::seeded::Seeded) {
    match wish {
        Wish::Create { stock, .. } => *stock += 5_000,
        Wish::Order { lines, .. } | Wish::Hold { lines, .. } if dice.once_in(3) => {
            let line = |_| WishLine {
                product: dice.below(u64::from(PRODUCTS)) as u16,
                quantity: 1,
                price: Some(dice.below(100)),
            };
            *lines = (0..300).map(line).collect();
        }
        _ => {}
    }
}

//! Admission: a permit before deciding, so that after deciding nothing can run out.
//!
//! A permit counts one command in flight and its queued bytes, and holds room for its record in
//! zeroed segments. Without one nothing is decided. Cost: three atomic operations, no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::journal::Room;

/// How much may be in flight.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionLimits {
    /// Commands admitted and not answered.
    pub commands_max: usize,
    /// Bytes of their records, at most.
    pub queued_bytes_max: usize,
}

/// Gives permits.
pub struct Admission {
    limits: AdmissionLimits,
    room: Room,
    commands: AtomicUsize,
    queued_bytes: AtomicUsize,
}

/// Why a command was turned away before anything was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdmissionError {
    /// Answer 503 with Retry-After.
    #[error("{commands} commands are in flight, {commands_max} may")]
    Commands {
        /// In flight.
        commands: usize,
        /// The limit.
        commands_max: usize,
    },
    /// Answer 503 with Retry-After.
    #[error("{queued_bytes} bytes are queued, {queued_bytes_max} may")]
    QueuedBytes {
        /// Queued.
        queued_bytes: usize,
        /// The limit.
        queued_bytes_max: usize,
    },
    /// Answer 503 with Retry-After; the journal is sound and heals when the disk has room.
    #[error("the journal has room for {room_bytes} bytes, this needs {needed_bytes}")]
    DiskLow {
        /// Left in zeroed segments.
        room_bytes: i64,
        /// What the record may take.
        needed_bytes: usize,
    },
}

/// Leave to decide one command, and room for its record. Dropping it gives both back.
pub struct Permit {
    admission: Arc<Admission>,
    payload_bytes: usize,
    room_bytes: u64,
}

impl Admission {
    /// Admits up to `limits` and the journal's room.
    #[must_use]
    pub fn new(limits: AdmissionLimits, room: Room) -> Self {
        let (commands, queued_bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { limits, room, commands, queued_bytes }
    }

    /// Takes a permit for one command whose payload has at most `payload_bytes`.
    ///
    /// # Errors
    /// A limit is reached: nothing was taken, nothing may be decided.
    pub fn admit(self: &Arc<Self>, payload_bytes: usize) -> Result<Permit, AdmissionError> {
        let AdmissionLimits { commands_max, queued_bytes_max } = self.limits;
        let commands = self.commands.fetch_add(1, Ordering::Relaxed);
        if commands >= commands_max {
            self.commands.fetch_sub(1, Ordering::Relaxed);
            return Err(AdmissionError::Commands { commands, commands_max });
        }
        let queued_bytes = self.queued_bytes.fetch_add(payload_bytes, Ordering::Relaxed);
        // From here on the permit's drop gives back what is taken.
        let mut permit = Permit { admission: Arc::clone(self), payload_bytes, room_bytes: 0 };
        if queued_bytes + payload_bytes > queued_bytes_max {
            return Err(AdmissionError::QueuedBytes { queued_bytes, queued_bytes_max });
        }
        permit.room_bytes = self.room.try_reserve(payload_bytes).ok_or_else(|| {
            let room_bytes = self.room.bytes_left();
            AdmissionError::DiskLow { room_bytes, needed_bytes: payload_bytes }
        })?;
        Ok(permit)
    }

    /// Commands admitted and not answered.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands.load(Ordering::Relaxed)
    }

    /// The journal's room.
    #[must_use]
    pub fn room(&self) -> &Room {
        &self.room
    }
}

impl Permit {
    /// The record was appended with `payload`: its room is used, what it did not need is given
    /// back.
    ///
    /// # Panics
    /// When the payload is larger than what was reserved: the bound is wrong.
    pub(super) fn spend(&mut self, payload: &[u8]) {
        let used = Room::bytes_of(payload);
        assert!(used <= self.room_bytes, "{used} bytes used, {} reserved", self.room_bytes);
        self.admission.room.release(self.room_bytes - used);
        self.room_bytes = 0;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.room_bytes > 0 {
            self.admission.room.release(self.room_bytes);
        }
        self.admission.queued_bytes.fetch_sub(self.payload_bytes, Ordering::Relaxed);
        self.admission.commands.fetch_sub(1, Ordering::Relaxed);
    }
}

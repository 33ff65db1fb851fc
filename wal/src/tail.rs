//! Following a log while it is written: durable records from a place on, across segments.

use std::sync::Arc;

use crate::cursor::Cursor;
use crate::shared::Shared;
use crate::{Entry, WalError};

/// Durable records in order, as they come. Holds one segment open and about 64 KiB.
pub struct Tail {
    shared: Arc<Shared>,
    cursor: Option<Cursor>,
    next_sequence: u64,
}

impl Tail {
    pub(crate) fn new(shared: Arc<Shared>, from: u64) -> Self {
        Self { shared, cursor: None, next_sequence: from }
    }

    /// Sequence of the next record.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next_sequence
    }

    /// The next record; `None`: nothing more is durable yet.
    ///
    /// # Errors
    /// `Corrupt`, `Io`; the next call tries the same record again.
    #[expect(clippy::should_implement_trait, reason = "it lends what it gives")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, WalError> {
        let durable = self.shared.durable_sequence();
        if self.next_sequence > durable {
            return Ok(None);
        }
        self.find()?;
        let Some(cursor) = &mut self.cursor else { unreachable!("it was found just now") };
        match cursor.next(durable) {
            Ok(entry) => {
                self.next_sequence += 1;
                Ok(Some(entry))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes sure that the cursor stands at the next record.
    fn find(&mut self) -> Result<(), WalError> {
        let stands = self.cursor.as_ref().is_some_and(|cursor| {
            let end = self.shared.end_of(cursor.segment());
            cursor.next_sequence() == self.next_sequence
                && end.is_none_or(|end| self.next_sequence < end)
        });
        if stands {
            return Ok(());
        }
        let durable = self.shared.durable_sequence();
        let mut cursor = self.shared.cursor_before(self.next_sequence)?;
        while cursor.next_sequence() < self.next_sequence {
            cursor.next(durable)?;
        }
        self.cursor = Some(cursor);
        Ok(())
    }
}

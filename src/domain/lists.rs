//! Lists read from bytes that may claim any length.
//!
//! A list says how many items follow. Its bytes come from a disk, so the memory is taken as the
//! items come, never by the number: a decoder that reserves first can be made to take gigabytes
//! by eight bytes.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// For `#[serde(deserialize_with)]`: item after item.
///
/// # Errors
/// The deserializer's.
pub(crate) fn one_by_one<'de, D, L>(deserializer: D) -> Result<L, D::Error>
where
    D: Deserializer<'de>,
    L: Default + IntoIterator + Extend<<L as IntoIterator>::Item>,
    L::Item: Deserialize<'de>,
{
    deserializer.deserialize_seq(OneByOne(PhantomData))
}

struct OneByOne<L>(PhantomData<L>);

impl<'de, L> Visitor<'de> for OneByOne<L>
where
    L: Default + IntoIterator + Extend<<L as IntoIterator>::Item>,
    L::Item: Deserialize<'de>,
{
    type Value = L;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<L, A::Error> {
        let mut list = L::default();
        while let Some(item) = items.next_element()? {
            list.extend(Some(item));
        }
        Ok(list)
    }
}

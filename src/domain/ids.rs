//! The shop's own names for things, checked once where they enter.
//!
//! An id is 1 to 64 of `A-Z a-z 0-9 . _ : -`, case matters. A text is 1 to 200 characters
//! without control characters. Both are checked again when read from a journal: a disk may say
//! anything.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use smol_str::SmolStr;

/// Longest id, in bytes.
pub(super) const ID_BYTES_MAX: usize = 64;
/// Longest text, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 200;

/// Longest string that lies in a `SmolStr` itself.
const SMALL_BYTES_MAX: usize = 23;

/// Why a string is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Empty or over 64 bytes.
    #[error("must have 1 to 64 characters, has {0}")]
    Length(usize),
    /// Outside the alphabet.
    #[error("may only have A-Z a-z 0-9 . _ : -, has {0:?}")]
    Character(char),
}

/// Why a string is no text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Empty or over 200 characters.
    #[error("must have 1 to 200 characters, has {0}")]
    Length(usize),
    /// A control character, such as a line break.
    #[error("may not have control characters, has {0:?}")]
    Control(char),
}

/// Which bytes an id may have: a table, as every record has three ids to check.
#[expect(clippy::indexing_slicing, reason = "a loop below its length, while compiling")]
static ID_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < allowed.len() {
        let it = byte as u8;
        allowed[byte] = it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b':' | b'-');
        byte += 1;
    }
    allowed
};

#[inline]
fn check_id(text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.len() > ID_BYTES_MAX {
        return Err(IdError::Length(text.chars().count()));
    }
    match text.bytes().position(|byte| !ID_BYTES.get(usize::from(byte)).copied().unwrap_or(false)) {
        // All before it are ASCII, so it begins a character.
        Some(at) => Err(IdError::Character(
            text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or_default(),
        )),
        None => Ok(()),
    }
}

/// As `SmolStr::new`, in two thirds of the time where it needs no memory.
fn small(text: &str) -> SmolStr {
    match text.len() <= SMALL_BYTES_MAX {
        true => SmolStr::new_inline(text),
        false => SmolStr::new(text),
    }
}

fn check_text(text: &str) -> Result<(), TextError> {
    let chars = text.chars().count();
    if chars == 0 || chars > TEXT_CHARS_MAX {
        return Err(TextError::Length(chars));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(c) => Err(TextError::Control(c)),
        None => Ok(()),
    }
}

/// A checked string: constructor, reading access, and the same check when it comes from a disk,
/// made from the bytes it lies in without another copy.
macro_rules! checked_string {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $from:expr, $error:ty, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($inner);

        impl $name {
            /// Checks and takes the string.
            ///
            /// # Errors
            /// What is wrong with it; see the module's rules.
            pub fn new(text: &str) -> Result<Self, $error> {
                $check(text)?;
                Ok(Self($from(text)))
            }

            /// The string as the shop wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Checked;
                impl Visitor<'_> for Checked {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                from.deserialize_str(Checked)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

checked_string! {
    /// A sellable SKU. Kept once for each product, so not shared: the count would cost 16 bytes.
    ProductId, Box<str>, Box::<str>::from, IdError, check_id
}
checked_string! {
    /// The shop's opaque id of who buys. Up to 23 bytes need no memory of their own.
    BuyerId, SmolStr, small, IdError, check_id
}
checked_string! {
    /// The shop's own order number or document.
    Reference, SmolStr, small, IdError, check_id
}
checked_string! {
    /// Names products that are sold together; they share it. A thin pointer, since most products
    /// have none and a million keep the place for it.
    SaleId, Arc<Box<str>>, |text| Arc::new(Box::<str>::from(text)), IdError, check_id
}
checked_string! {
    /// Who asked: the name of the API key.
    Principal, SmolStr, small, IdError, check_id
}
checked_string! {
    /// What a product is called.
    Name, Box<str>, Box::<str>::from, TextError, check_text
}
checked_string! {
    /// A reason in somebody's words.
    Text, Box<str>, Box::<str>::from, TextError, check_text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_takes_the_alphabet_and_nothing_else() {
        assert_eq!(ProductId::new("A-z.0_9:").unwrap().as_str(), "A-z.0_9:");
        assert_eq!(ProductId::new(""), Err(IdError::Length(0)));
        assert_eq!(ProductId::new(&"x".repeat(65)), Err(IdError::Length(65)));
        assert_eq!(ProductId::new("a b"), Err(IdError::Character(' ')));
        assert_eq!(ProductId::new("ä"), Err(IdError::Character('ä')));
    }

    #[test]
    fn text_counts_characters_and_refuses_control() {
        assert!(Name::new(&"ä".repeat(200)).is_ok());
        assert_eq!(Name::new(&"ä".repeat(201)), Err(TextError::Length(201)));
        assert_eq!(Name::new("a\nb"), Err(TextError::Control('\n')));
    }
}

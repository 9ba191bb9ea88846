//! Pickles: finding, keeping and building Python objects without running them.
//!
//! A pickle is a program for a small stack machine, in postfix order: each opcode pushes an object
//! or makes one of those on top. `pickle.dumps(('put', [7, 8]), 4)` is
//!
//! ```text
//! PROTO 4                             80 04
//! FRAME 17                            95 11 00 00 00 00 00 00 00
//!   SHORT_BINUNICODE 'put', MEMOIZE   8c 03 'p' 'u' 't' 94     <- code of 'put'
//!   EMPTY_LIST, MEMOIZE               ']' 94                  \
//!   MARK                              '('                      |  code of [7, 8]
//!   BININT1 7, BININT1 8              'K' 07 'K' 08            |
//!   APPENDS                           'e'                     /
//!   TUPLE2, MEMOIZE                   86 94
//! STOP                                '.'
//! ```
//!
//! So the code of each object is contiguous. The hub needs no more than that: a [`Walker`] passes
//! over a request once, with a stack of offsets in place of objects, and gives the [`Span`] of
//! each argument. [`Walker::extract`] makes of one an opaque [`Pickled`], the item that is queued.
//! What it is does not matter, and nothing in it is ever run.
//!
//! Small arguments (names, numbers, flags) are decoded to a [`Value`], which is also what Rust
//! clients send and receive. Bounds: [`MAX_PENDING`], [`MAX_MEMO`], [`MAX_EXPANSION`].
//!
//! In Python: `pickle` and `pickletools`. Reading order here: `opcode` (the table), `walk`, `stack` and `parts`
//! (spans), `memo`, `extract` and `inline` (from span to payload), `payload`; then `value`, `decode`, `encode`,
//! `in_parts`,
//! `convert` and `from_value` (from and to Rust's types); `instance` and `known` (instances, and the text of some;
//! feature `objects`); `literal` and `parse` (values as Python writes them); `equal` (as Python compares them; feature
//! `objects`).

mod bigint;
mod convert;
mod decode;
mod describe;
mod encode;
#[cfg(feature = "objects")]
mod equal;
mod error;
mod extract;
mod from_value;
#[cfg(feature = "objects")]
mod in_parts;
mod inline;
mod instance;
#[cfg(feature = "objects")]
mod known;
mod literal;
mod memo;
mod opcode;
mod parse;
mod parts;
mod payload;
mod stack;
mod text;
mod value;
mod walk;

#[cfg(test)]
mod from_value_tests;
#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;

pub use bigint::BigInt;
pub(crate) use decode::decode_plain;
pub use describe::Code;
pub(crate) use encode::encode_str;
#[cfg(feature = "objects")]
pub use equal::{CompareError, Key};
pub use error::PickleError;
pub use from_value::{FromValue, WrongType};
pub use inline::MAX_EXPANSION;
pub use instance::Instance;
pub use memo::MAX_MEMO;
pub use opcode::Kind;
pub use parse::LiteralError;
pub use parts::Span;
pub use payload::Pickled;
pub use stack::MAX_PENDING;
pub use value::Value;
pub use walk::Walker;

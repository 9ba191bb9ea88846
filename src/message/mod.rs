//! Messages: what the frames of an authenticated connection mean.
//!
//! A request is the pickle of a tuple `(ident, method, args, kwargs)`: call this method of that object. A
//! reply is the pickle of `(kind, result)`, where the kind is one of the `#` words below. Neither is ever
//! built as Python objects here: a request is *walked*, and its arguments stay byte ranges until somebody
//! asks for one as a [`Value`](crate::pickle::Value) or, to keep it as it is, as a
//! [`Pickled`](crate::pickle::Pickled).
//!
//! | reply | result | what the client does |
//! |---|---|---|
//! | `#RETURN` | the method's value | returns it |
//! | `#ERROR` | an exception instance | raises it |
//! | `#TRACEBACK` | text | raises `RemoteError(text)` |
//! | `#UNSERIALIZABLE` | text | raises `RemoteError(text)` |
//! | `#PROXY` | `(exposed, token)` | makes a proxy of it |
//!
//! Mirrors `dispatch` and `Server.serve_client` of CPython's `multiprocessing.managers`.

mod arguments;
mod call;
mod exception;
mod reply;

pub use call::{Argument, Call, Caller};
pub use exception::Exception;
pub use reply::{Reply, Token};

pub(crate) use call::Request;
pub(crate) use reply::{encode_request, send_error, send_traceback, send_value};

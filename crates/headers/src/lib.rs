//! The headers of a message: a list, in the order and in the letters in which they came.
//!
//! A relay reads a dozen of the thirty headers of a message, passes nearly all of them on, and adds a few. A map
//! hashes every name and owns every value for that, for each message on each side. A list is two numbers a header
//! into the bytes that were read; leaving one out or passing all of them on costs next to nothing.
//!
//! Knows names, values, and that names are the same in any letters. Refuses to know what they mean.

mod headers;
mod map;
mod message;
mod names;
mod value;

pub use headers::{Change, Header, Headers, write_line};
pub use message::{Request, Response};
pub use names::Names;
pub use value::{BadValue, Value};

//! An answer to somebody who asked for a stream, in whichever form it comes.

use bytes::Bytes;

use super::answer::keep;
use super::asked::Asked;
use super::stream::Stream;
use crate::adapter::{Garbled, Translator};

/// An answer to somebody who asked for a stream. It may come whole all the same: not all servers can do both, call tools and
/// stream. Which it is its first letter says, and not always its head.
pub(crate) struct Streamed {
    form: Form,
    /// What came before it was known, or all of it if it is whole.
    body: Vec<u8>,
    stream: Stream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Unknown,
    Events,
    Whole,
}

impl Streamed {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { form: Form::Unknown, body: Vec::new(), stream: Stream::new(asked) }
    }
}

impl Translator for Streamed {
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Garbled> {
        if self.form == Form::Unknown {
            self.form = match chunk.trim_ascii_start().first() {
                None => Form::Unknown,
                Some(b'{') => Form::Whole,
                Some(_) => Form::Events,
            };
        }
        match self.form {
            Form::Events => {
                let before = std::mem::take(&mut self.body);
                // Nothing comes of blanks alone.
                self.stream.push(&before)?;
                self.stream.push(chunk)
            }
            Form::Unknown | Form::Whole => keep(&mut self.body, chunk),
        }
    }

    fn finish(&mut self) -> Result<Bytes, Garbled> {
        let mut out = Vec::new();
        if self.form == Form::Whole {
            self.stream.hear(Some(&std::mem::take(&mut self.body)), &mut out);
        }
        let end = self.stream.finish()?;
        out.extend_from_slice(&end);
        Ok(out.into())
    }
}

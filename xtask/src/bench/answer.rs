//! The answer to one request over HTTP/1.1, read as it comes. Knows where an answer ends
//! (RFC 9112, sections 6 and 7); refuses to keep its body.

/// An answer of which a part has been read.
#[derive(Debug)]
pub(super) struct Answer {
    state: State,
    /// Bytes of the body so far, without the framing of chunks.
    pub(super) n_bytes: usize,
}

/// Why an answer cannot be read on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the status is `{0}`")]
    Status(String),
    #[error("neither a length nor chunks")]
    NoFraming,
    #[error("a chunk is framed wrongly")]
    Chunk,
    #[error("the answer goes on behind its end")]
    TooLong,
}

#[derive(Debug)]
enum State {
    Head(Vec<u8>),
    Length {
        left: usize,
    },
    /// The digits before a chunk, and whether an extension has begun.
    ChunkSize {
        size: usize,
        extended: bool,
    },
    ChunkBytes {
        left: usize,
    },
    /// The line end behind a chunk, of which so many bytes are missing.
    ChunkEnd {
        left: usize,
    },
    /// The line behind the last chunk; the answer ends with an empty one.
    Trailer {
        is_empty: bool,
    },
    Done,
}

impl Answer {
    pub(super) fn new() -> Self {
        Self { state: State::Head(Vec::new()), n_bytes: 0 }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes the next bytes from the connection, and hands the body's to `body`.
    pub(super) fn read(&mut self, mut bytes: &[u8], body: &mut impl FnMut(&[u8])) -> Result<(), Malformed> {
        while let Some(&first) = bytes.first() {
            let n_taken = match &mut self.state {
                State::Head(head) => {
                    let n_before = head.len();
                    head.extend_from_slice(bytes);
                    // The empty line may have begun in the bytes before.
                    let from = n_before.saturating_sub(3);
                    let Some(place) = head[from..].windows(4).position(|four| four == b"\r\n\r\n") else {
                        return Ok(());
                    };
                    let end = from + place + 4;
                    self.state = framing(&head[..end])?;
                    end - n_before
                }
                State::Length { left } | State::ChunkBytes { left } => {
                    let n = bytes.len().min(*left);
                    *left -= n;
                    self.n_bytes += n;
                    body(&bytes[..n]);
                    if *left == 0 {
                        let is_chunk = matches!(self.state, State::ChunkBytes { .. });
                        self.state = if is_chunk { State::ChunkEnd { left: 2 } } else { State::Done };
                    }
                    n
                }
                State::Done => return Err(Malformed::TooLong),
                _ => {
                    self.read_framing(first)?;
                    1
                }
            };
            bytes = &bytes[n_taken..];
        }
        Ok(())
    }

    /// One byte between chunks.
    fn read_framing(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (&self.state, byte) {
            (State::ChunkSize { size: 0, .. }, b'\n') => State::Trailer { is_empty: true },
            (State::ChunkSize { size, .. }, b'\n') => State::ChunkBytes { left: *size },
            (State::ChunkSize { size, .. }, b';') => State::ChunkSize { size: *size, extended: true },
            (State::ChunkSize { size, extended }, b'\r')
            | (State::ChunkSize { size, extended: extended @ true }, _) => {
                State::ChunkSize { size: *size, extended: *extended }
            }
            (State::ChunkSize { size, .. }, digit) => {
                let digit = char::from(digit).to_digit(16).ok_or(Malformed::Chunk)?;
                let digit = usize::try_from(digit).map_err(|_| Malformed::Chunk)?;
                let size =
                    size.checked_mul(16).and_then(|size| size.checked_add(digit)).ok_or(Malformed::Chunk)?;
                State::ChunkSize { size, extended: false }
            }
            (State::ChunkEnd { left: 2 }, b'\r') => State::ChunkEnd { left: 1 },
            (State::ChunkEnd { left: 1 }, b'\n') => State::ChunkSize { size: 0, extended: false },
            (State::Trailer { is_empty: true }, b'\n') => State::Done,
            (State::Trailer { is_empty }, b'\r') => State::Trailer { is_empty: *is_empty },
            (State::Trailer { .. }, other) => State::Trailer { is_empty: other == b'\n' },
            _ => return Err(Malformed::Chunk),
        };
        Ok(())
    }
}

/// What the head says about the end of the body.
fn framing(head: &[u8]) -> Result<State, Malformed> {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(Malformed::Status(status.to_owned()));
    }
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        match (name, value.trim()) {
            ("content-length", "0") => return Ok(State::Done),
            ("content-length", length) => {
                return length.parse().map(|left| State::Length { left }).map_err(|_| Malformed::NoFraming);
            }
            ("transfer-encoding", "chunked") => return Ok(State::ChunkSize { size: 0, extended: false }),
            _ => {}
        }
    }
    Err(Malformed::NoFraming)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a text cut into pieces of one size, and gives the body and whether it was whole.
    fn read(text: &str, piece: usize) -> Result<(String, bool), Malformed> {
        let (mut answer, mut body) = (Answer::new(), Vec::new());
        for bytes in text.as_bytes().chunks(piece) {
            answer.read(bytes, &mut |part| body.extend_from_slice(part))?;
        }
        assert_eq!(answer.n_bytes, body.len());
        Ok((String::from_utf8(body).unwrap(), answer.is_done()))
    }

    #[test]
    fn any_cutting_gives_the_same_body() {
        let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n1;a=b\r\nl\r\n02\r\nlo\r\n0\r\n\r\n";
        let trailer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n";
        for text in [with_length, chunked, trailer] {
            for piece in 1..=text.len() {
                assert_eq!(read(text, piece), Ok(("hello".to_owned(), true)), "{piece} of {text:?}");
            }
        }
    }

    #[test]
    fn long_chunks_have_hexadecimal_sizes() {
        let text = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1A\r\n{}\r\n0\r\n\r\n",
            "x".repeat(26)
        );
        assert_eq!(read(&text, 7), Ok(("x".repeat(26), true)));
    }

    #[test]
    fn a_cut_answer_is_not_done() {
        assert_eq!(
            read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 9),
            Ok(("hell".to_owned(), false))
        );
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n";
        assert_eq!(read(chunked, 9), Ok(("hello".to_owned(), false)));
    }

    #[test]
    fn what_is_no_good_answer_is_refused() {
        let cases = [
            ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Malformed::Status("http/1.1 502 bad gateway".to_owned())),
            ("HTTP/1.1 200 OK\r\n\r\n", Malformed::NoFraming),
            ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", Malformed::TooLong),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", Malformed::Chunk),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab", Malformed::Chunk),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text, 4), Err(expected), "{text:?}");
        }
    }
}

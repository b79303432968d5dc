//! Undoes a `content-encoding`, chunk by chunk. Upstream is asked for none on messages; some compress
//! all the same, and clients may compress what they send.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use relay_headers::Headers;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A content coding that can be undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coding {
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: zlib, or raw as some servers send it.
    Deflate,
    /// `br`.
    Brotli,
    /// `zstd`.
    Zstd,
}

/// What the headers say of how a body is coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Coded {
    /// Not at all.
    Plain,
    /// In a way that can be undone.
    Known(Coding),
    /// In some other way, or in several.
    Unknown,
}

impl Coded {
    pub(crate) fn of(headers: &Headers) -> Self {
        let mut values = headers.all("content-encoding");
        let Some(value) = values.next() else { return Self::Plain };
        if values.next().is_some() {
            return Self::Unknown;
        }
        match &*value.trim_ascii().to_ascii_lowercase() {
            b"identity" | b"" => Self::Plain,
            b"gzip" | b"x-gzip" => Self::Known(Coding::Gzip),
            b"deflate" => Self::Known(Coding::Deflate),
            b"br" => Self::Known(Coding::Brotli),
            b"zstd" => Self::Known(Coding::Zstd),
            _ => Self::Unknown,
        }
    }
}

/// Decodes a body that comes in chunks.
pub(crate) struct Decoder {
    inner: Inner,
    /// The most that one chunk may become, in bytes.
    most: usize,
    /// Has anything come?
    begun: bool,
}

enum Inner {
    Gzip(MultiGzDecoder<Sink>),
    /// The first byte tells zlib from raw deflate.
    DeflateUnseen,
    Zlib(ZlibDecoder<Sink>),
    Deflate(DeflateDecoder<Sink>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<Frames>),
}

/// Frames of zstd, one behind the other.
struct Frames {
    raw: zstd::stream::raw::Decoder<'static>,
    /// Did the last one end?
    whole: bool,
    sink: Sink,
}

impl Frames {
    fn push(&mut self, chunk: &[u8]) -> io::Result<Vec<u8>> {
        use zstd::stream::raw::Operation;
        let (mut rest, mut room) = (chunk, [0; 4096]);
        loop {
            let step = self.raw.run_on_buffers(rest, &mut room)?;
            rest = &rest[step.bytes_read..];
            self.sink.write_all(&room[..step.bytes_written])?;
            if step.bytes_read > 0 || step.bytes_written > 0 {
                self.whole = step.remaining == 0;
            }
            // What is left of the input and what it still has to say have both come.
            if rest.is_empty() && step.bytes_written < room.len() {
                return Ok(std::mem::take(&mut self.sink.bytes));
            }
        }
    }
}

/// Takes what is decoded, up to a limit: a few bytes of brotli can say gigabytes.
struct Sink {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Sink {
    fn write(&mut self, decoded: &[u8]) -> io::Result<usize> {
        if decoded.len() > self.most - self.bytes.len() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.write(decoded)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The most that one chunk of an answer may become, in bytes. A chunk has at most 128 KiB, and prose is compressed to a
/// tenth of its length at best.
const MOST_OF_A_CHUNK: usize = 16 << 20;

impl Decoder {
    /// For an answer.
    pub(crate) fn new(coding: Coding) -> io::Result<Self> {
        Self::up_to(coding, MOST_OF_A_CHUNK)
    }

    fn up_to(coding: Coding, most: usize) -> io::Result<Self> {
        /// Brotli's output buffer, in bytes.
        const BUFFER: usize = 4096;
        let sink = Sink { bytes: Vec::new(), most };
        let inner = match coding {
            Coding::Gzip => Inner::Gzip(MultiGzDecoder::new(sink)),
            Coding::Deflate => Inner::DeflateUnseen,
            Coding::Brotli => {
                Inner::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(sink, BUFFER)))
            }
            Coding::Zstd => {
                let raw = zstd::stream::raw::Decoder::new()?;
                Inner::Zstd(Box::new(Frames { raw, whole: false, sink }))
            }
        };
        Ok(Self { inner, most, begun: false })
    }

    /// What this chunk adds, decoded and flushed: an event is not held back because its chunk was compressed.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> io::Result<Bytes> {
        self.begun |= !chunk.is_empty();
        if let (Inner::DeflateUnseen, Some(first)) = (&self.inner, chunk.first()) {
            let sink = Sink { bytes: Vec::new(), most: self.most };
            // RFC 1950: the low half of a zlib stream's first byte is the method, 8.
            self.inner = if first & 0x0f == 8 {
                Inner::Zlib(ZlibDecoder::new(sink))
            } else {
                Inner::Deflate(DeflateDecoder::new(sink))
            };
        }
        let taken = match &mut self.inner {
            Inner::Gzip(decoder) => pushed(decoder, chunk, MultiGzDecoder::get_mut)?,
            Inner::Zlib(decoder) => pushed(decoder, chunk, ZlibDecoder::get_mut)?,
            Inner::Deflate(decoder) => pushed(decoder, chunk, DeflateDecoder::get_mut)?,
            Inner::Brotli(decoder) => pushed(&mut **decoder, chunk, |decoder| decoder.get_mut())?,
            Inner::Zstd(frames) => frames.push(chunk)?,
            Inner::DeflateUnseen => Vec::new(),
        };
        Ok(taken.into())
    }

    /// No more comes. What was still held back, if all of it came and is what it says of itself: a body that is cut off
    /// must not look like one that has ended. Where nothing came at all, nothing was coded.
    pub(crate) fn finish(self) -> io::Result<Bytes> {
        if !self.begun {
            return Ok(Bytes::new());
        }
        match self.inner {
            Inner::Gzip(decoder) => decoder.finish(),
            Inner::Zlib(mut decoder) => ended(&mut decoder).and_then(|()| decoder.finish()),
            Inner::Deflate(mut decoder) => ended(&mut decoder).and_then(|()| decoder.finish()),
            Inner::Brotli(mut decoder) => {
                decoder.close()?;
                decoder.into_inner().map_err(|_| CUT.into())
            }
            Inner::Zstd(frames) if frames.whole => Ok(frames.sink),
            Inner::Zstd(_) | Inner::DeflateUnseen => Err(CUT.into()),
        }
        .map(|sink| sink.bytes.into())
    }
}

/// What is said of a body whose end is missing.
const CUT: io::ErrorKind = io::ErrorKind::UnexpectedEof;

/// Has a stream come to its end? Behind that nothing is taken any more.
fn ended(decoder: &mut impl Write) -> io::Result<()> {
    if decoder.write(&[0])? == 0 { Ok(()) } else { Err(CUT.into()) }
}

fn pushed<W: Write>(decoder: &mut W, chunk: &[u8], out: impl Fn(&mut W) -> &mut Sink) -> io::Result<Vec<u8>> {
    decoder.write_all(chunk)?;
    decoder.flush()?;
    Ok(std::mem::take(&mut out(decoder).bytes))
}

/// A decoded copy of a whole body; none if it cannot be decoded or would be longer than `most` bytes.
pub(crate) fn whole(coding: Coding, body: &[u8], most: u64) -> Option<Bytes> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let mut decoder = Decoder::up_to(coding, most).ok()?;
    let decoded = decoder.push(body).ok()?;
    let rest = decoder.finish().ok()?;
    Some(if rest.is_empty() { decoded } else { [decoded, rest].concat().into() })
}

/// A decoded copy, and its part of what all copies may take.
pub(crate) struct Copied {
    pub(crate) bytes: Bytes,
    _room: Option<SemaphorePermit<'static>>,
}

/// What all decoded copies together may take, in KiB. A few bytes of a hundred clients can say gigabytes.
static ROOM: Semaphore = Semaphore::const_new(ROOM_KIB);
const ROOM_KIB: usize = 256 << 10;

/// The same, on another thread, for it may take long: whoever serves this client serves others too. Where there is no
/// room, it waits.
pub(crate) async fn whole_aside(coding: Coding, body: &Bytes, most: u64) -> Option<Copied> {
    let kib = |bytes: u64| usize::try_from(bytes.div_ceil(1024)).unwrap_or(ROOM_KIB).min(ROOM_KIB);
    // Nobody closes it.
    let mut room = ROOM.acquire_many(u32::try_from(kib(most)).unwrap_or(u32::MAX)).await.ok()?;
    let body = body.clone();
    // It does not panic; if it did, the body would be forwarded unseen.
    let decoded = tokio::task::spawn_blocking(move || whole(coding, &body, most)).await.ok()?;
    let bytes = decoded?;
    // Until it was decoded, it could have been as long as that.
    let room = room.split(kib(bytes.len() as u64));
    Some(Copied { bytes, _room: room })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    const TEXT: &[u8] =
        b"event: ping\ndata: {\"type\": \"ping\"}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n";

    fn encoded(coding: &str) -> Vec<u8> {
        match coding {
            "gzip" => finish(GzEncoder::new(Vec::new(), Compression::default()), GzEncoder::finish),
            "zlib" => finish(ZlibEncoder::new(Vec::new(), Compression::default()), ZlibEncoder::finish),
            "raw" => finish(DeflateEncoder::new(Vec::new(), Compression::default()), DeflateEncoder::finish),
            _ => zstd::encode_all(TEXT, 0).unwrap(),
        }
    }

    fn finish<W: Write>(mut encoder: W, end: impl FnOnce(W) -> io::Result<Vec<u8>>) -> Vec<u8> {
        encoder.write_all(TEXT).unwrap();
        end(encoder).unwrap()
    }

    #[test]
    fn every_cut_decodes_to_the_same() {
        for (name, coding) in [
            ("gzip", Coding::Gzip),
            ("zlib", Coding::Deflate),
            ("raw", Coding::Deflate),
            ("zstd", Coding::Zstd),
        ] {
            let body = encoded(name);
            for cut in 0..=body.len() {
                let mut decoder = Decoder::new(coding).unwrap();
                let mut all = decoder.push(&body[..cut]).unwrap().to_vec();
                all.extend_from_slice(&decoder.push(&body[cut..]).unwrap());
                assert_eq!(all, TEXT, "{name} cut at {cut}");
            }
            assert_eq!(whole(coding, &body, 1 << 20).unwrap(), TEXT);
            assert_eq!(whole(coding, &body, 10), None, "{name} is longer than that");
        }
    }

    /// Of each coding a body.
    fn bodies() -> [(&'static str, Coding, Vec<u8>); 5] {
        let brotli = b"\x0b\x0b\x80hello hello hello hello\x03".to_vec();
        [
            ("gzip", Coding::Gzip, encoded("gzip")),
            ("zlib", Coding::Deflate, encoded("zlib")),
            ("raw", Coding::Deflate, encoded("raw")),
            ("zstd", Coding::Zstd, encoded("zstd")),
            ("brotli", Coding::Brotli, brotli),
        ]
    }

    #[test]
    fn a_body_that_is_cut_off_or_goes_on_has_no_end() {
        let ends = |coding: Coding, body: &[u8]| {
            let mut decoder = Decoder::new(coding).unwrap();
            decoder.push(body).and_then(|_| decoder.finish()).is_ok()
        };
        for (name, coding, body) in bodies() {
            assert!(ends(coding, &body), "{name}");
            assert!(ends(coding, b""), "{name}: where nothing came, nothing was coded");
            for cut in 1..body.len() {
                assert!(!ends(coding, &body[..cut]), "{name} cut at {cut}");
            }
            assert!(!ends(coding, &[&body[..], b"more"].concat()), "{name}");
        }
    }

    #[test]
    fn a_checksum_that_is_another_is_no_end() {
        let mut body = encoded("gzip");
        let place = body.len() - 6;
        body[place] ^= 1;
        assert_eq!(whole(Coding::Gzip, &body, 1 << 20), None);
    }

    #[test]
    fn bodies_of_several_members_or_frames_are_decoded_to_their_end() {
        for (coding, name) in [(Coding::Gzip, "gzip"), (Coding::Zstd, "zstd")] {
            let twice = encoded(name).repeat(2);
            assert_eq!(whole(coding, &twice, 1 << 20).as_deref(), Some(&TEXT.repeat(2)[..]), "{name}");
        }
        let long = vec![b'x'; 1 << 20];
        let body = zstd::encode_all(&long[..], 0).unwrap();
        assert_eq!(whole(Coding::Zstd, &body, 1 << 20).as_deref(), Some(&long[..]));
    }

    #[test]
    fn a_chunk_that_says_too_much_is_given_up_before_it_fills_memory() {
        const MOST: usize = 1 << 20;
        let mut bomb = GzEncoder::new(Vec::new(), Compression::default());
        bomb.write_all(&vec![0; 8 * MOST]).unwrap();
        let bomb = bomb.finish().unwrap();
        assert!(bomb.len() < 16 << 10, "{}", bomb.len());
        let mut decoder = Decoder::up_to(Coding::Gzip, MOST).unwrap();
        assert_eq!(decoder.push(&bomb).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        let Inner::Gzip(decoder) = &mut decoder.inner else { panic!("it is gzip") };
        assert!(decoder.get_mut().bytes.capacity() <= 2 * MOST);
        assert_eq!(whole(Coding::Gzip, &bomb, 8 << 20).map(|bytes| bytes.len()), Some(8 * MOST));
    }

    #[tokio::test]
    async fn a_copy_that_there_is_no_room_for_waits_until_there_is() {
        const ALL: u64 = (ROOM_KIB as u64) << 10;
        let body = Bytes::from(encoded("gzip"));
        let first = whole_aside(Coding::Gzip, &body, ALL).await.unwrap();
        assert_eq!(&first.bytes[..], TEXT);
        // It holds next to nothing of it now, but that is not all of it.
        let mut second = std::pin::pin!(whole_aside(Coding::Gzip, &body, ALL));
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(second.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        drop(first);
        assert_eq!(&second.await.unwrap().bytes[..], TEXT);
    }

    #[test]
    fn brotli_is_decoded() {
        // `hello hello hello hello`, by the reference encoder.
        let body = [
            0x0b, 0x0b, 0x80, b'h', b'e', b'l', b'l', b'o', b' ', b'h', b'e', b'l', b'l', b'o', b' ', b'h',
            b'e', b'l', b'l', b'o', b' ', b'h', b'e', b'l', b'l', b'o', 0x03,
        ];
        let decoded = whole(Coding::Brotli, &body, 100);
        assert_eq!(decoded.as_deref(), Some(&b"hello hello hello hello"[..]));
    }

    #[test]
    fn what_headers_say_of_a_coding() {
        let coded = |value: &'static str| {
            let mut headers = Headers::default();
            headers.add("Content-Encoding", relay_headers::Value::fixed(value));
            Coded::of(&headers)
        };
        assert_eq!(Coded::of(&Headers::default()), Coded::Plain);
        assert_eq!(coded("GZIP"), Coded::Known(Coding::Gzip));
        assert_eq!(coded("br"), Coded::Known(Coding::Brotli));
        assert_eq!(coded("identity"), Coded::Plain);
        assert_eq!(coded("gzip, br"), Coded::Unknown);
    }
}

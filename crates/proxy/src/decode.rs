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
}

enum Inner {
    Gzip(MultiGzDecoder<Sink>),
    /// The first byte tells zlib from raw deflate.
    DeflateUnseen,
    Zlib(ZlibDecoder<Sink>),
    Deflate(DeflateDecoder<Sink>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
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
            Coding::Zstd => Inner::Zstd(Box::new(zstd::stream::write::Decoder::new(sink)?)),
        };
        Ok(Self { inner, most })
    }

    /// What this chunk adds, decoded and flushed: an event is not held back because its chunk was compressed.
    pub(crate) fn push(&mut self, chunk: &[u8]) -> io::Result<Bytes> {
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
            Inner::Zstd(decoder) => pushed(&mut **decoder, chunk, |decoder| decoder.get_mut())?,
            Inner::DeflateUnseen => Vec::new(),
        };
        Ok(taken.into())
    }
}

fn pushed<W: Write>(decoder: &mut W, chunk: &[u8], out: impl Fn(&mut W) -> &mut Sink) -> io::Result<Vec<u8>> {
    decoder.write_all(chunk)?;
    decoder.flush()?;
    Ok(std::mem::take(&mut out(decoder).bytes))
}

/// A decoded copy of a whole body; none if it cannot be decoded or would be longer than `most` bytes.
pub(crate) fn whole(coding: Coding, body: &[u8], most: u64) -> Option<Bytes> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    Decoder::up_to(coding, most).ok()?.push(body).ok()
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

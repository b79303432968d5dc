//! Frames that others have published, frames that are cut or damaged, and garbage.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A frame as it is written: headers are texts.
fn write(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut fields = Vec::new();
    for (name, value) in headers {
        fields.push(u8::try_from(name.len()).unwrap());
        fields.extend_from_slice(name.as_bytes());
        fields.push(7);
        fields.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        fields.extend_from_slice(value.as_bytes());
    }
    written(&fields, payload)
}

fn written(fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(OVERHEAD + fields.len() + payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(fields.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(fields);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

type Told = (Vec<(Option<String>, Vec<u8>)>, Result<(), BadFrame>, bool);

/// What is read of chunks: of each frame its `:event-type` and its payload.
fn told<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Told {
    let (mut reader, mut frames, mut end) = (Reader::default(), Vec::new(), Ok(()));
    for chunk in chunks {
        let each = |frame: Frame<'_>| {
            frames.push((frame.text(":event-type").map(str::to_owned), frame.payload.to_vec()));
        };
        end = reader.feed(chunk, each);
        if end.is_err() {
            break;
        }
    }
    (frames, end, reader.is_whole())
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// W37 of the old program: it used another checksum, so that every real frame was refused.
#[test]
fn w37_the_published_vectors_are_read() {
    // Of the event stream specification: no headers and no payload; a payload; a header that is a number beside one.
    let empty = bytes("00000010 00000000 05c248eb 7d98c8ff");
    let payload = bytes("0000001d 00000000 fd528c5a 7b27666f6f273a27626172277d c3653936");
    let number = bytes(
        "0000002d 00000010 41c424b8 0a6576656e742d74797065 04 0000a00c 7b27666f6f273a27626172277d 36f480a0",
    );
    let all = [empty, payload, number].concat();
    let foo = b"{'foo':'bar'}".to_vec();
    let expect = vec![(None, Vec::new()), (None, foo.clone()), (None, foo)];
    assert_eq!(told([&all[..]]), (expect.clone(), Ok(()), true));
    assert_eq!(told(all.chunks(1)), (expect, Ok(()), true));
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut fields = Vec::new();
    for (kind, value) in [
        (0, vec![]),
        (1, vec![]),
        (2, vec![1]),
        (3, vec![1; 2]),
        (4, vec![1; 4]),
        (5, vec![1; 8]),
        (6, vec![0, 3, 1, 2, 3]),
        (8, vec![1; 8]),
        (9, vec![1; 16]),
    ] {
        fields.extend_from_slice(&[1, b'a', kind]);
        fields.extend(value);
    }
    let last = write(&[(":event-type", "chunk")], b"");
    fields.extend_from_slice(&last[PRELUDE..last.len() - TRAILER]);
    assert_eq!(told([&written(&fields, b"x")[..]]).0, [(Some("chunk".to_owned()), b"x".to_vec())]);
    for bad in [&[1, b'a', 10][..], &[1, b'a', 4, 0], &[5, b'a'], &[1, b'a', 7, 0, 9, 1], &[0]] {
        assert_eq!(told([&written(bad, b"")[..]]).1, Err(BadFrame::Headers), "{bad:?}");
    }
}

/// W37 of the old program: it took whatever it could not read for the beginning of more, and stood still for ever; and a
/// length of headers beyond the frame made it panic.
#[test]
fn w37_what_is_damaged_is_told_at_once() {
    let good = write(&[(":event-type", "chunk")], b"{}");
    for at in 0..good.len() {
        let mut bad = [good.clone(), good.clone()].concat();
        bad[good.len() + at] ^= 1;
        let (frames, end, _) = told([&bad[..]]);
        assert_eq!((frames.len(), end), (1, Err(BadFrame::Checksum)), "byte {at}");
        // Of a cut one too, as soon as its prelude is there.
        if at < PRELUDE {
            assert_eq!(told(bad[..good.len() + PRELUDE].chunks(5)).1, Err(BadFrame::Checksum), "byte {at}");
        }
    }
    let prelude = |total: u32, headers: u32| {
        let mut prelude = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
        prelude
    };
    for (total, headers) in [(15, 0), (0, 0), (20, 5), (16, u32::MAX), (u32::MAX, 0), (32, 17)] {
        assert_eq!(told([&prelude(total, headers)[..]]).1, Err(BadFrame::Length), "{total} {headers}");
    }
    assert_eq!(told([&prelude(u32::try_from(MAX_FRAME).unwrap(), 0)[..]]).1, Ok(()));
}

#[test]
fn a_stream_that_ends_in_a_frame_is_not_whole() {
    let good = write(&[], b"{}");
    for cut in 1..good.len() {
        assert_eq!(told([&good[..cut]]), (vec![], Ok(()), false), "{cut}");
    }
    assert_eq!(told([]), (vec![], Ok(()), true));
}

proptest! {
    #[test]
    fn frames_are_the_same_however_they_are_cut(
        payloads in vec(vec(any::<u8>(), 0..200), 0..6),
        cuts in vec(1_usize..80, 1..40),
    ) {
        let all: Vec<u8> = payloads.iter().flat_map(|it| write(&[(":event-type", "chunk")], it)).collect();
        let mut chunks = Vec::new();
        let mut rest = &all[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        let expect: Vec<_> = payloads.into_iter().map(|it| (Some("chunk".to_owned()), it)).collect();
        prop_assert_eq!(told(chunks), (expect, Ok(()), true));
    }

    #[test]
    fn whatever_comes_is_read_without_panic(garbage in vec(any::<u8>(), 0..300), prefix in 0_usize..60) {
        let good = write(&[(":message-type", "event")], b"0123456789");
        let all = [&good[..prefix.min(good.len())], &garbage].concat();
        let _ = told(all.chunks(7));
    }
}

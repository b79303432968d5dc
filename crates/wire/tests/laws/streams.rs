//! However a stream is cut, it gives the same events; and a ping at a boundary disturbs none.

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert_eq, proptest};
use relay_wire::Tally;
use relay_wire::refusal::PING;
use relay_wire::sse::Reader;

use crate::fixtures;

/// An event: its name, its data, and where in the stream it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Seen {
    name: Vec<u8>,
    text: Option<Vec<u8>>,
    end: usize,
}

/// What is seen of a stream that is cut at these offsets.
fn read(stream: &[u8], cuts: &[usize]) -> (Vec<Seen>, Reader) {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    let mut start = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        let chunk = &stream[start..end];
        let before = seen.len();
        let boundary = reader.feed(chunk, |event| {
            let (name, text) = (event.name.to_vec(), event.text().map(<[u8]>::to_vec));
            seen.push(Seen { name, text, end: start + event.end });
        });
        // The last boundary is at or after the last event, and nothing after it is whole.
        if let Some(last) = seen[before..].last() {
            assert!(boundary.is_some_and(|boundary| last.end <= start + boundary));
        }
        assert!(!reader.at_boundary() || chunk.is_empty() || boundary == Some(chunk.len()));
        start = end;
    }
    (seen, reader)
}

/// An end that is cut between `\r` and `\n` is where the cut is; elsewhere it is after both.
fn settled(stream: &[u8], mut seen: Vec<Seen>) -> Vec<Seen> {
    for event in &mut seen {
        if stream[event.end - 1] == b'\r' && stream.get(event.end) == Some(&b'\n') {
            event.end += 1;
        }
    }
    seen
}

/// A reader written naively from the standard: all of the stream at hand, one line after the other.
fn naive(stream: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut lines = vec![Vec::new()];
    for (at, byte) in stream.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && stream[at - 1] == b'\r' => {}
            b'\n' | b'\r' => lines.push(Vec::new()),
            other => lines.last_mut().unwrap().push(*other),
        }
    }
    lines.pop();

    let mut events = Vec::new();
    let (mut name, mut data): (Option<Vec<u8>>, Vec<Vec<u8>>) = (None, Vec::new());
    for line in lines {
        if line.is_empty() {
            if name.is_some() || !data.is_empty() {
                events.push((name.take().unwrap_or_default(), std::mem::take(&mut data).join(&b'\n')));
            }
            continue;
        }
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let field = parts.next().unwrap();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value).to_vec();
        match field {
            b"event" => name = Some(value),
            b"data" => data.push(value),
            _ => {}
        }
    }
    events
}

/// A stream of anything that means something to the format.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        &b"data"[..],
        b"event",
        b"id",
        b":",
        b": ",
        b"data: x\n",
        b"event: y\r\n",
        b"data: z\r",
        b"x",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b"\r\n\r\n",
        b"\xef\xbb\xbf",
        b"\xff",
        b"{}",
        b": comment\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Offsets inside a stream of this length, in order.
fn cuts(places: &[prop::sample::Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = places.iter().map(|place| place.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

fn tally(stream: &[u8], cuts: &[usize]) -> String {
    let mut tally = Tally::default();
    let mut reader = Reader::default();
    let mut start = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        reader.feed(&stream[start..end], |event| tally.read(&event));
        start = end;
    }
    format!("{tally:?}")
}

/// Wherever a ping may be put, it becomes one more event, and the others stay as they were. Except
/// before a byte order mark, which is one only at the very beginning.
fn check_pings(stream: &[u8]) {
    let (whole, _) = read(stream, &[]);
    let first = usize::from(stream.starts_with(b"\xef\xbb\xbf"));
    for cut in first..=stream.len() {
        let (before, reader) = read(&stream[..cut], &[]);
        if !reader.at_boundary() {
            continue;
        }
        let mut with_ping = stream[..cut].to_vec();
        with_ping.extend_from_slice(PING);
        with_ping.extend_from_slice(&stream[cut..]);
        let names = |seen: Vec<Seen>| seen.into_iter().map(|seen| (seen.name, seen.text)).collect::<Vec<_>>();
        let mut expect = names(whole.clone());
        expect.insert(before.len(), (b"ping".to_vec(), Some(br#"{"type": "ping"}"#.to_vec())));
        assert_eq!(names(read(&with_ping, &[]).0), expect, "ping at {cut} of {}", stream.escape_ascii());
    }
}

#[test]
fn any_cut_of_any_stream_gives_the_same_events() {
    for (name, stream) in fixtures::all("streams") {
        let (whole, at_end) = read(&stream, &[]);
        let expect: Vec<_> = naive(&stream).into_iter().map(|(name, text)| (name, Some(text))).collect();
        let seen: Vec<_> = whole.iter().cloned().map(|seen| (seen.name, seen.text)).collect();
        assert_eq!(seen, expect, "{name}");

        let tallied = tally(&stream, &[]);
        let bytewise: Vec<usize> = (0..stream.len()).collect();
        for cuts in (0..=stream.len()).map(|cut| vec![cut]).chain([bytewise]) {
            let (seen, reader) = read(&stream, &cuts);
            assert_eq!(settled(&stream, seen), whole, "{name} cut at {cuts:?}");
            assert_eq!(reader.at_boundary(), at_end.at_boundary(), "{name} cut at {cuts:?}");
            assert_eq!(tally(&stream, &cuts), tallied, "{name} cut at {cuts:?}");
        }
    }
}

#[test]
fn where_an_event_ends_is_a_boundary() {
    for (name, stream) in fixtures::all("streams") {
        for event in read(&stream, &[]).0 {
            let (seen, reader) = read(&stream[..event.end], &[]);
            assert_eq!(seen.last(), Some(&event));
            assert!(reader.at_boundary(), "{name} at {}", event.end);
        }
    }
}

#[test]
fn a_ping_at_any_boundary_of_any_stream_disturbs_nothing() {
    for (_, stream) in fixtures::all("streams") {
        check_pings(&stream);
    }
}

proptest! {
    #[test]
    fn any_chunks_of_anything_give_what_a_naive_reader_sees(
        stream in soup(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let expect: Vec<_> = naive(&stream).into_iter().map(|(name, text)| (name, Some(text))).collect();
        let (whole, at_end) = read(&stream, &[]);
        let names: Vec<_> = whole.iter().cloned().map(|seen| (seen.name, seen.text)).collect();
        prop_assert_eq!(names, expect);

        let bytewise = (0..stream.len()).collect();
        for cuts in [cuts(&places, stream.len()), bytewise] {
            let (seen, reader) = read(&stream, &cuts);
            prop_assert_eq!(settled(&stream, seen), whole.clone());
            prop_assert_eq!(reader.at_boundary(), at_end.at_boundary());
        }
    }

    #[test]
    fn a_ping_at_any_boundary_of_anything_disturbs_nothing(stream in soup()) {
        check_pings(&stream);
    }
}

//! Streams of events by example: forms, cuts and bounds. The law that no cutting matters is in `tests/laws`.

use super::*;

/// Name, data, and where in the stream the event ended.
type Seen = (String, Option<String>, usize);

fn read(chunks: &[&[u8]]) -> (Vec<Seen>, Reader) {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    let mut fed = 0;
    for chunk in chunks {
        reader.feed(chunk, |event| {
            let text = event.text().map(|text| String::from_utf8_lossy(text).into_owned());
            seen.push((String::from_utf8_lossy(event.name).into_owned(), text, fed + event.end));
        });
        fed += chunk.len();
    }
    (seen, reader)
}

/// A piece of a stream, and name and data of the event that ends with it.
type Piece<'a> = (&'a [u8], Option<(&'a str, &'a str)>);

fn check(pieces: &[Piece<'_>]) {
    let mut stream = Vec::new();
    let mut expect = Vec::new();
    for (piece, event) in pieces {
        stream.extend_from_slice(piece);
        if let Some((name, data)) = event {
            expect.push(((*name).to_owned(), Some((*data).to_owned()), stream.len()));
        }
    }
    assert_eq!(read(&[&stream]).0, expect, "{}", stream.escape_ascii());
}

#[test]
fn events_are_read_with_every_line_end() {
    check(&[(b"event: ping\ndata: {}\n\n", Some(("ping", "{}")))]);
    check(&[(b"event: ping\r\ndata: {}\r\n\r\n", Some(("ping", "{}")))]);
    check(&[(b"event: ping\rdata: {}\r\r", Some(("ping", "{}")))]);
    check(&[(b"event: a\ndata: 1\r\r", Some(("a", "1"))), (b"data: 2\n\r\n", Some(("", "2")))]);
}

#[test]
fn fields_are_read_in_every_form_the_format_allows() {
    for (block, name, data) in [
        (&b"data:{}\n\n"[..], "", "{}"),
        (b"data:  two\n\n", "", " two"),
        (b"data: a\ndata\ndata: b\n\n", "", "a\n\nb"),
        (b"data: 1\nevent: late\nevent: later\n\n", "later", "1"),
        (b"data\n\n", "", ""),
        (b"event: bare\n\n", "bare", ""),
        (b"id: 7\ndata: 1\nretry: 10\ndatabase: 2\neventual: 3\n\n", "", "1"),
        (b"data: 1\n: in between\ndata: 2\n\n", "", "1\n2"),
    ] {
        check(&[(block, Some((name, data)))]);
    }
}

#[test]
fn what_is_no_event_is_passed_over() {
    check(&[(b"id: 7\nretry: 10\n\n", None), (b"data: 1\n\n", Some(("", "1")))]);
    check(&[(b"\n\n: keep-alive\n\n", None), (b"data: 1\n\n", Some(("", "1"))), (b"\n", None)]);
    check(&[(b"data: cut", None)]);
    check(&[(b"data: cut\n", None)]);
    check(&[(b"", None)]);
}

#[test]
fn a_byte_order_mark_is_passed_over_at_the_beginning_only() {
    let mark = b"\xef\xbb\xbfdata: 1\n\n";
    check(&[(mark, Some(("", "1"))), (mark, None), (b"data: 2\n\n", Some(("", "2")))]);
    check(&[(b"\n", None), (mark, None)]);
}

#[test]
fn an_event_that_lies_whole_in_its_chunk_is_borrowed() {
    let chunk = b"data: 1\n\n";
    let mut reader = Reader::default();
    reader.feed(chunk, |event| assert!(matches!(event.data, Text::Whole(Cow::Borrowed(_)))));
    assert_eq!(reader.carry.capacity(), 0);
}

#[test]
fn pings_may_be_put_between_events_and_nowhere_else() {
    for (stream, expect) in [
        (&b""[..], true),
        (b"\n", true),
        (b":", false),
        (b": keep-alive", false),
        (b": keep-alive\n", true),
        (b": keep-alive\n\n", true),
        (b"event: a", false),
        (b"event: a\n", false),
        (b"event: a\n: comment\n", false),
        (b"event: a\ndata: 1\n", false),
        (b"event: a\ndata: 1\n\n", true),
        (b"event: a\ndata: 1\n\n\n", true),
        (b"data: 1\r\n\r", false),
        (b"data: 1\r\n\r\n", true),
        (b"data: 1\r", false),
        (b"data: 1\r\r", true),
        (b"data: 1\n\nd", false),
        (b"id: 1\n", false),
        (b"id: 1\n\n", true),
    ] {
        assert_eq!(read(&[stream]).1.at_boundary(), expect, "{}", stream.escape_ascii());
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(&bytes).1.at_boundary(), expect, "{} bytewise", stream.escape_ascii());
    }
}

#[test]
fn a_line_feed_cut_from_its_return_ends_no_line() {
    let (seen, reader) = read(&[b"data: 1\r", b"", b"\n\r", b"\n", b"data: 2\r\n\r\n"]);
    let expect = [(String::new(), Some("1".to_owned()), 10), (String::new(), Some("2".to_owned()), 22)];
    assert_eq!(seen, expect);
    assert!(reader.at_boundary());
}

#[test]
fn what_goes_on_with_a_block_is_no_other_even_if_it_looks_like_one() {
    let usual = b"event: a\ndata: 1\n\n";
    for (begun, name, data) in [
        (&b"id: 7\n"[..], "a", "1"),
        (b"data: 0\n", "a", "0\n1"),
        (b"data: ", "", "event: a\n1"),
        (b"retry", "", "1"),
    ] {
        let (seen, reader) = read(&[begun, usual, usual]);
        let end = begun.len() + usual.len();
        let text = |text: &str| Some(text.to_owned());
        let expect = [(name.to_owned(), text(data), end), ("a".to_owned(), text("1"), end + usual.len())];
        assert_eq!(seen, expect, "{}", begun.escape_ascii());
        assert!(reader.at_boundary());
    }
}

#[test]
fn feeding_tells_where_the_last_whole_thing_ended() {
    let mut reader = Reader::default();
    for (chunk, expect) in [
        (&b""[..], None),
        (b"data: 1", None),
        (b"\n\ndata: 2\n\nda", Some(11)),
        (b"ta: 3\r\n\r", Some(8)),
        (b"\n", Some(1)),
        (b"\n: comment\n: com", Some(11)),
        (b"ment\n", Some(5)),
        (b"data: 4\r", None),
        (b"\n", None),
        (b"\r\nx", Some(2)),
    ] {
        assert_eq!(reader.feed(chunk, |_| {}), expect, "{}", chunk.escape_ascii());
    }
}

/// A stream whose second event has `length` bytes before its blank line.
fn long(length: usize) -> Vec<u8> {
    let mut stream = b"data: before\n\nevent: long\ndata: ".to_vec();
    stream.resize(stream.len() + length - b"event: long\ndata: \n".len(), b'x');
    stream.extend_from_slice(b"\n\nevent: after\ndata: 1\n\n");
    stream
}

#[test]
fn an_oversized_event_is_skipped_and_the_stream_goes_on() {
    for (length, fits) in [(MAX_EVENT, true), (MAX_EVENT + 1, false), (3 * MAX_EVENT, false)] {
        let stream = long(length);
        let whole = read(&[&stream]).0;
        let shapes: Vec<_> =
            whole.iter().map(|(name, text, end)| (name.as_str(), text.is_some(), *end)).collect();
        let end = stream.len() - b"event: after\ndata: 1\n\n".len();
        assert_eq!(shapes, [("", true, 14), ("long", fits, end), ("after", true, stream.len())]);

        let chunks: Vec<&[u8]> = stream.chunks(7_919).collect();
        let (cut, reader) = read(&chunks);
        assert_eq!(cut, whole);
        assert!(reader.carry.capacity() <= KEPT);
    }
}

#[test]
fn of_an_oversized_event_only_so_much_is_held() {
    let mut stream = long(3 * MAX_EVENT);
    stream.truncate(2 * MAX_EVENT);
    let chunks: Vec<&[u8]> = stream.chunks(65_536).collect();
    let (_, reader) = read(&chunks);
    assert_eq!(reader.carry.len(), MAX_EVENT);
    assert!(!reader.at_boundary());
}

#[test]
fn an_oversized_line_without_a_name_is_nameless() {
    let mut stream = b"event: ".to_vec();
    stream.resize(MAX_EVENT + 1, b'x');
    stream.extend_from_slice(b"\n\n");
    let (seen, _) = read(&[&stream]);
    assert_eq!(seen, [(String::new(), None, stream.len())]);
}

#[test]
fn nothing_of_a_stream_is_shown() {
    let (_, reader) = read(&[b"data: secret"]);
    assert_eq!(format!("{reader:?}"), "12 bytes of an unfinished event");
}

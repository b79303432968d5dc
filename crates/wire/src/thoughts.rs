//! Thoughts in what was said before. It knows whether somebody has signed them; it refuses to know who.

use std::ops::Range;

use bytes::Bytes;

use crate::edit::Edits;
use crate::scan::{Kind, Value};

/// Messages without the thoughts that nobody has signed: whoever wants signatures refuses a request for such a one. A message
/// that is nothing else goes with them; everything else stays, in its order. None if there are none, or if it is no list.
pub fn without_unsigned(messages: &Bytes) -> Option<Bytes> {
    let list = Value::read(messages).ok().filter(|list| list.kind() == Kind::Array)?;
    let mut edits = Edits::new(messages);
    let mut whole = Vec::new();
    for message in list.elements() {
        let message = message.ok()?;
        let content = message.get("content").filter(|content| content.kind() == Kind::Array);
        let blocks: Vec<_> = content.into_iter().flat_map(Value::elements).collect::<Result<_, _>>().ok()?;
        let left: Vec<_> = blocks.iter().map(|block| (block.span(), !is_unsigned(*block))).collect();
        let is_left = left.is_empty() || left.iter().any(|(_, stays)| *stays);
        if is_left {
            cut(&left, &mut edits)?;
        }
        whole.push((message.span(), is_left));
    }
    cut(&whole, &mut edits)?;
    (!edits.is_empty()).then(|| edits.apply().to_bytes())
}

fn is_unsigned(block: Value<'_>) -> bool {
    let [kind, signature] = block.pick(["type", "signature"]);
    kind.and_then(Value::as_str).as_deref() == Some("thinking")
        && signature.and_then(Value::as_str).is_none_or(|signature| signature.is_empty())
}

/// Takes out what does not stay, each run with the comma behind it, or with the one before it at the end of a list.
fn cut(elements: &[(Range<usize>, bool)], edits: &mut Edits) -> Option<()> {
    let (mut before, mut run) = (None, None);
    for (span, stays) in elements {
        if !stays {
            run.get_or_insert(span.start);
            continue;
        }
        if let Some(start) = run.take() {
            edits.remove(start..span.start).ok()?;
        }
        before = Some(span.end);
    }
    if let (Some(start), Some((last, _))) = (run, elements.last()) {
        edits.remove(before.unwrap_or(start)..last.end).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNED: &str = r#"{"type":"thinking","thinking":"a","signature":"Eq"}"#;
    const EMPTY: &str = r#"{"type":"thinking","thinking":"b","signature":""}"#;
    const NONE: &str = r#"{ "type" : "thinking" , "thinking" : "c" }"#;
    const TEXT: &str = r#"{"type":"text","text":"signature"}"#;
    const CALL: &str = r#"{"type":"tool_use","id":"t","name":"N","input":{"type":"thinking"}}"#;

    fn message(role: &str, blocks: &[&str]) -> String {
        format!(r#"{{"role":"{role}", "content":[{}]}}"#, blocks.join(" , "))
    }

    fn left(messages: &[String]) -> Option<String> {
        let messages = Bytes::from(format!("[{}]", messages.join(",")));
        without_unsigned(&messages).map(|left| String::from_utf8(left.to_vec()).unwrap())
    }

    #[test]
    fn what_nobody_signed_goes_and_all_else_stays_letter_by_letter() {
        for (blocks, expect) in [
            (&[EMPTY, TEXT][..], &[TEXT][..]),
            (&[TEXT, EMPTY], &[TEXT]),
            (&[SIGNED, EMPTY, NONE, CALL], &[SIGNED, CALL]),
            (&[NONE, SIGNED, EMPTY, TEXT, EMPTY], &[SIGNED, TEXT]),
        ] {
            let expect = format!("[{}]", message("assistant", expect));
            assert_eq!(left(&[message("assistant", blocks)]).as_deref(), Some(&*expect), "{blocks:?}");
        }
    }

    #[test]
    fn a_message_of_nothing_else_goes_whole() {
        let (asks, says) = (message("user", &[TEXT]), message("assistant", &[TEXT]));
        let (thinks, plain) =
            (message("assistant", &[EMPTY, NONE]), r#"{"role":"user","content":"t"}"#.to_owned());
        for (messages, expect) in [
            (vec![&asks, &thinks, &plain], vec![&asks, &plain]),
            (vec![&thinks, &thinks, &asks], vec![&asks]),
            (vec![&asks, &says, &thinks], vec![&asks, &says]),
        ] {
            let text = |list: Vec<&String>| list.into_iter().cloned().collect::<Vec<_>>();
            let expect = format!("[{}]", text(expect).join(","));
            assert_eq!(left(&text(messages)).as_deref(), Some(&*expect));
        }
        assert_eq!(left(&[thinks]).as_deref(), Some("[]"));
    }

    #[test]
    fn where_all_are_signed_or_nothing_can_be_read_nothing_is_changed() {
        assert_eq!(left(&[message("assistant", &[SIGNED, CALL]), message("user", &[])]), None);
        for messages in ["", "{}", "[", "\"x\""] {
            assert_eq!(without_unsigned(&Bytes::from(messages)), None, "{messages}");
        }
    }
}

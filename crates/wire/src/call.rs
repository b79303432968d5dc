//! What a request asks, found in one look at its body. It knows the few fields on which routing
//! depends, and refuses to know the rest: roles, blocks, tools and whatever comes next week.

use std::borrow::Cow;
use std::ops::Range;

use crate::scan::{self, Kind, Malformed, Value};

/// How many places that look like a `file_id` are looked at. Ours: far more than a request attaches,
/// and few enough that a body of nothing else costs neither time nor memory.
pub const MAX_FILES: usize = 1024;

/// The longest `file_id` that is taken for one, in bytes with its quotes. Ours: real ones have about
/// thirty, and the bound keeps comparing them cheap.
pub const MAX_FILE_ID: usize = 256;

/// What a request asks, as far as the relay must understand it.
///
/// A field that is missing, or is not of the type it should be, reads as absent: what to make of it
/// is for the provider to say. Of a field that stands twice the last counts, as in most parsers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of a request, and none rules another out")]
pub struct Call {
    /// `model`, with escapes resolved.
    pub model: Option<String>,
    /// Where the value of `model` lies in the body, in bytes and with its quotes. Present whenever
    /// the field is, even if its value is no string.
    pub model_span: Option<Range<usize>>,
    /// `stream` is `true`.
    pub stream: bool,
    /// `max_tokens`, in tokens.
    pub max_tokens: Option<u64>,
    /// `speed` is `fast`.
    pub fast: bool,
    /// The session that `metadata.user_id` names.
    pub session: Option<String>,
    /// `thinking` is there, and its type is not `disabled`.
    pub thinking: bool,
    /// It may have thoughts that nobody has signed.
    pub unsigned: bool,
    /// Every distinct `file_id` in the body, in order of appearance.
    pub files: Vec<String>,
    /// `container`, or its `id`.
    pub container: Option<String>,
    /// Told apart by this from others: the tools and the system prompt of a call that asks for them to be cached.
    /// Equal ones have equal numbers; unequal ones may, in rare cases, for only parts of long ones are looked at.
    pub prefix: Option<u64>,
    /// The length of the body in bytes.
    pub len: usize,
}

/// Every distinct `"file_id": "…"` in a body, at whatever level, in order, and whether there is a `cache_control`.
/// Found among the strings that are passed on the walk over the body, because a look for them alone costs more than
/// the walk.
struct Keys<'a> {
    body: &'a [u8],
    /// How many keys of that name were looked at.
    looked_at: usize,
    files: Vec<String>,
    caches: bool,
    /// Values that are `thinking`, as the type of a thought is, and signatures that are not empty.
    thoughts: usize,
    signed: usize,
}

impl Call {
    /// Reads the body of a request to `/v1/messages` or its siblings.
    ///
    /// # Errors
    /// [`Malformed`] if `body` is not a JSON object. Such a body is forwarded all the same, as
    /// [`Call::opaque`]: the provider's own words are better than ours.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        let mut call = Self::opaque(body.len());
        let mut members = scan::members(body)?;
        let mut keys = Keys::of(body);
        let (mut tools, mut system) = (0..0, 0..0);
        while let Some(member) = members.next_showing(&mut |string| keys.see(string)) {
            let member = member?;
            let value = member.value;
            match member.name().as_deref() {
                Some(b"model") => {
                    call.model = value.as_str().map(Cow::into_owned);
                    call.model_span = Some(value.span());
                }
                Some(b"stream") => call.stream = value.as_bool() == Some(true),
                Some(b"max_tokens") => call.max_tokens = value.as_u64(),
                Some(b"speed") => call.fast = value.as_str().as_deref() == Some("fast"),
                Some(b"metadata") => call.session = session(value),
                Some(b"thinking") => call.thinking = is_thinking(value),
                Some(b"container") => call.container = container(value),
                Some(b"tools") => tools = value.span(),
                Some(b"system") => system = value.span(),
                _ => {}
            }
        }
        call.unsigned = keys.thoughts > keys.signed;
        call.files = keys.files;
        if keys.caches && !(tools.is_empty() && system.is_empty()) {
            call.prefix = Some(sample(sample(0, &body[tools]), &body[system]));
        }
        Ok(call)
    }

    /// A request of `len` bytes of which nothing is known.
    pub fn opaque(len: usize) -> Self {
        Self { len, ..Self::default() }
    }
}

/// Is what ends there a key?
fn is_key(body: &[u8], end: usize) -> bool {
    let rest = body.get(end..).unwrap_or_default();
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// The session inside `metadata.user_id`: Claude Code 2.1 writes a JSON text with `session_id`
/// (protocol notes, 1.6); older versions wrote `user_…_account_…_session_<uuid>`.
fn session(metadata: Value<'_>) -> Option<String> {
    let user = metadata.get("user_id")?;
    let user = user.as_str()?;
    let session = match Value::read(user.as_bytes()) {
        Ok(fields) => fields.get("session_id")?.as_str()?,
        Err(_) => Cow::Borrowed(user.rsplit_once("_session_")?.1),
    };
    (!session.is_empty()).then(|| session.into_owned())
}

fn is_thinking(thinking: Value<'_>) -> bool {
    let disabled = thinking.get("type").and_then(Value::as_str).is_some_and(|kind| kind == "disabled");
    thinking.kind() != Kind::Null && !disabled
}

/// `container` is an id, or an object with an `id` beside the skills to load.
fn container(container: Value<'_>) -> Option<String> {
    container.get("id").unwrap_or(container).as_str().map(Cow::into_owned)
}

/// Goes on with a number that stands for a text: for its length, and for parts of it that lie evenly in it.
fn sample(seed: u64, text: &[u8]) -> u64 {
    /// So many parts are looked at, of so many bytes each: a long text costs no more than 2 KiB.
    const PARTS: usize = 64;
    const PART: usize = 32;
    /// Odd, and with bits all over it: 2^64 divided by the golden ratio.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(SPREAD).rotate_left(29);
    let step = (text.len() / PARTS).max(PART);
    let parts = text.chunks(step).map(|chunk| &chunk[..chunk.len().min(PART)]);
    let words = parts.flat_map(|part| part.chunks(8)).map(|bytes| {
        let mut word = [0; 8];
        word[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    });
    words.fold(mix(seed, text.len() as u64), mix)
}

impl<'a> Keys<'a> {
    fn of(body: &'a [u8]) -> Self {
        Self { body, looked_at: 0, files: Vec::new(), caches: false, thoughts: 0, signed: 0 }
    }

    /// Sees the string at that place. It is a key if it is called one and a colon follows. One that is itself
    /// written with escapes (`"file\u005fid"`) is none.
    #[inline]
    fn see(&mut self, string: Range<usize>) {
        const FILE: &[u8] = b"\"file_id\"";
        const CACHE: &[u8] = b"\"cache_control\"";
        const THOUGHT: &[u8] = b"\"thinking\"";
        const SIGNATURE: &[u8] = b"\"signature\"";
        let text = &self.body[string.clone()];
        match string.len() {
            9 if text == FILE => self.look_behind(string.end),
            // As a value it is so rare that it does no harm to take it for a key.
            15 if text == CACHE => self.caches = true,
            10 if text == THOUGHT => self.thoughts += usize::from(!is_key(self.body, string.end)),
            11 if text == SIGNATURE => {
                let signed = scan::string_after_colon(self.body, string.end);
                self.signed += usize::from(signed.is_some_and(|it| it.span().len() > 2));
            }
            _ => {}
        }
    }

    #[cold]
    fn look_behind(&mut self, key_end: usize) {
        if self.looked_at == MAX_FILES {
            return;
        }
        self.looked_at += 1;
        let id = scan::string_after_colon(self.body, key_end)
            .filter(|id| id.span().len() <= MAX_FILE_ID)
            .and_then(Value::as_str);
        if let Some(id) = id.filter(|id| !self.files.iter().any(|known| known == id)) {
            self.files.push(id.into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Call {
        Call::read(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_request_is_read_in_one_look() {
        let body = r#" {"model":"claude-opus-5-5","messages":[{"role":"system","content":"x"}],
            "metadata":{"user_id":"{\"device_id\":\"d\",\"session_id\":\"5f1c\"}"},
            "max_tokens":128000,"thinking":{"type":"adaptive"},"stream":true,"speed":"fast"} "#;
        let call = read(body);
        let span = call.model_span.clone().unwrap();
        assert_eq!(&body[span.clone()], "\"claude-opus-5-5\"");
        let expect = Call {
            model: Some("claude-opus-5-5".to_owned()),
            model_span: Some(span),
            stream: true,
            max_tokens: Some(128_000),
            fast: true,
            session: Some("5f1c".to_owned()),
            thinking: true,
            unsigned: false,
            files: Vec::new(),
            container: None,
            prefix: None,
            len: body.len(),
        };
        assert_eq!(call, expect);
    }

    #[test]
    fn thoughts_that_nobody_has_signed_are_noticed() {
        let with = |blocks: &str| {
            let body = format!(
                r#"{{"thinking":{{"type":"adaptive"}},"messages":[{{"role":"assistant","content":[{blocks}]}}]}}"#
            );
            read(&body).unsigned
        };
        for (blocks, expect) in [
            ("", false),
            (r#"{"type":"thinking","thinking":"t","signature":"Eq"}"#, false),
            (r#"{"type":"thinking","thinking":"t","signature":""}"#, true),
            (r#"{"type" : "thinking", "thinking" : "t"}"#, true),
            (
                r#"{"type":"thinking","thinking":"t","signature" : "Eq"},{"type":"thinking","thinking":"","signature": ""}"#,
                true,
            ),
            (r#"{"type":"text","text":"\"type\":\"thinking\""}"#, false),
        ] {
            assert_eq!(with(blocks), expect, "{blocks}");
        }
    }

    #[test]
    fn an_empty_object_asks_for_nothing() {
        assert_eq!(read("{}"), Call::opaque(2));
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for (body, expect) in [
            ("", Malformed::Ended { at: 0 }),
            ("[]", Malformed::NotAnObject { at: 0 }),
            (" \"a\"", Malformed::NotAnObject { at: 1 }),
            (r#"{"model":"a""#, Malformed::Ended { at: 12 }),
            (r#"{"model":"a"} x"#, Malformed::Unexpected { at: 14 }),
            (r#"{"model":"a",}"#, Malformed::Unexpected { at: 13 }),
        ] {
            assert_eq!(Call::read(body.as_bytes()), Err(expect), "{body}");
        }
    }

    #[test]
    fn a_field_of_another_type_reads_as_absent() {
        let call = read(
            r#"{"model":7,"stream":"true","max_tokens":1e3,"metadata":[],"thinking":null,"container":{}}"#,
        );
        let expect = Call { model_span: Some(9..10), ..Call::opaque(call.len) };
        assert_eq!(call, expect);
    }

    #[test]
    fn of_a_field_that_stands_twice_the_last_counts() {
        let body = r#"{"model":"a","stream":true,"model":"b","stream":false}"#;
        let call = read(body);
        assert_eq!(call.model.as_deref(), Some("b"));
        assert_eq!(&body[call.model_span.unwrap()], "\"b\"");
        assert!(!call.stream);
    }

    #[test]
    fn a_prefix_is_told_apart_by_its_tools_and_its_system_prompt_if_it_is_to_be_cached() {
        let of = |tools: &str, system: &str, rest: &str| {
            read(&format!(r#"{{"tools":[{{"name":"{tools}"}}],"system":"{system}",{rest}}}"#)).prefix
        };
        let cached = r#""messages":[{"content":[{"cache_control":{"type":"ephemeral"}}]}]"#;
        let one = of("t", "s", cached);
        assert!(one.is_some());
        assert_eq!(of("t", "s", r#""messages":[]"#), None, "nothing is to be cached");
        let automatic = r#""cache_control":{"type":"ephemeral"},"messages":[]"#;
        assert_eq!(of("t", "s", automatic), one);
        assert_ne!(of("t", "other", cached), one);
        assert_ne!(of("other", "s", cached), one);
        assert_ne!(of("s", "t", cached), one);
        assert_eq!(read(r#"{"cache_control":{},"messages":[]}"#).prefix, None, "there is no prefix");
        // Wherever a long one differs for more than a little, it is seen.
        let long = "abcdefgh".repeat(10_000);
        for at in [0, 1_000, 40_000, 76_000] {
            let other = format!("{}{}{}", &long[..at], "x".repeat(2_000), &long[at + 2_000..]);
            assert_ne!(of("t", &long, cached), of("t", &other, cached), "{at}");
        }
    }

    #[test]
    fn escapes_in_keys_and_values_are_resolved() {
        let body = r#"{"mod\u0065l":"cl\u0061ude","str\u0065am":true}"#;
        let call = read(body);
        assert_eq!(call.model.as_deref(), Some("claude"));
        assert_eq!(&body[call.model_span.unwrap()], r#""cl\u0061ude""#);
        assert!(call.stream);
    }

    #[test]
    fn only_the_top_level_is_asked() {
        let call = read(r#"{"messages":[{"model":"x","stream":true,"max_tokens":1,"container":"c"}]}"#);
        assert_eq!(call, Call::opaque(call.len));
    }

    #[test]
    fn a_session_is_read_in_both_its_forms() {
        for (user, expect) in [
            (r#""{\"session_id\":\"0b6f-11\",\"account_uuid\":\"\"}""#, Some("0b6f-11")),
            (r#""user_8d3f_account__session_0b6f-11""#, Some("0b6f-11")),
            (r#""{\"session_id\":\"\"}""#, None),
            (r#""{\"session_id\":7}""#, None),
            (r#""user_8d3f_account__session_""#, None),
            (r#""somebody""#, None),
            ("7", None),
        ] {
            let call = read(&format!(r#"{{"metadata":{{"user_id":{user}}}}}"#));
            assert_eq!(call.session.as_deref(), expect, "{user}");
        }
    }

    #[test]
    fn thinking_counts_unless_it_is_disabled() {
        for (thinking, expect) in [
            (r#"{"type":"adaptive","display":"omitted"}"#, true),
            (r#"{"budget_tokens":31999,"type":"enabled"}"#, true),
            (r#"{"type":"next-year"}"#, true),
            (r#"{"type":"disabled"}"#, false),
            ("null", false),
        ] {
            assert_eq!(read(&format!(r#"{{"thinking":{thinking}}}"#)).thinking, expect, "{thinking}");
        }
    }

    #[test]
    fn a_container_is_an_id_or_an_object_with_one() {
        for (container, expect) in [
            (r#""container_011C""#, Some("container_011C")),
            (r#"{"id":"container_011C","skills":[]}"#, Some("container_011C")),
            (r#"{"skills":[]}"#, None),
            ("null", None),
        ] {
            let call = read(&format!(r#"{{"container":{container}}}"#));
            assert_eq!(call.container.as_deref(), expect, "{container}");
        }
    }

    #[test]
    fn files_are_found_wherever_they_stand_and_once_each() {
        let call = read(
            r#"{"messages":[{"content":[{"source":{"type":"file","file_id":"file_a"}},
                {"source":{"file_id" :  "file_b"}},{"source":{"file_id":"file_a"}}]}]}"#,
        );
        assert_eq!(call.files, ["file_a", "file_b"]);
    }

    #[test]
    fn text_that_speaks_of_a_file_names_none() {
        for body in [
            r#"{"text":"{\"file_id\":\"file_a\"}"}"#,
            r#"{"text":"C:\\\"file_id\":\"file_a\""}"#,
            r#"{"type":"file_id","next":"file_a"}"#,
            r#"{"list":["file_id","file_a"]}"#,
            r#"{"file_id":7}"#,
            r#"{"file_id":{"file":"file_a"}}"#,
            r#"{"file_id":null}"#,
        ] {
            assert_eq!(read(body).files, Vec::<String>::new(), "{body}");
        }
        // The same letters after a string that ends in a backslash are a key again.
        assert_eq!(read(r#"{"path":"C:\\","file_id":"file_a"}"#).files, ["file_a"]);
    }

    #[test]
    fn only_so_many_files_of_only_such_length_are_read() {
        let ids: Vec<String> = (0..=MAX_FILES).map(|n| n.to_string()).collect();
        let many: Vec<String> = ids.iter().map(|id| format!(r#"{{"file_id":"{id}"}}"#)).collect();
        assert_eq!(read(&format!(r#"{{"files":[{}]}}"#, many.join(","))).files, ids[..MAX_FILES]);

        let longest = "f".repeat(MAX_FILE_ID - 2);
        assert_eq!(read(&format!(r#"{{"file_id":"{longest}"}}"#)).files, std::slice::from_ref(&longest));
        assert!(read(&format!(r#"{{"file_id":"{longest}f"}}"#)).files.is_empty());
    }
}

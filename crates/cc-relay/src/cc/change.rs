//! What `init` sets and what `remove` takes back: bytes and a record in, bytes and a record out. It knows
//! whose a value is; it opens no file.
//!
//! **Invariant.** A value that somebody else set is never lost: what is replaced is in the record, and what
//! was changed since is left alone.

use relay_wire::edit::quoted;

use crate::cc::document::{Document, Shape};
use crate::cc::record::{Entry, Record};
use crate::cc::{AUTH_TOKEN, BASE_URL, PLACEHOLDER};

/// What `init` is asked to set.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Where the relay is.
    pub(crate) base_url: String,
    /// What Claude Code shows to the relay.
    pub(crate) token: Token,
    /// Further variables and their values.
    pub(crate) more: Vec<(&'static str, String)>,
    /// What to do with a token of the user's own.
    pub(crate) own: Own,
}

/// What Claude Code shows to the relay.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// This one.
    Set(String),
    /// What it has: the login of a subscription. A token that was set here before is taken back.
    Leave,
}

/// What to do with a token of the user's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Own {
    /// It stays, and nothing is changed at all.
    Keep,
    /// It is replaced; the record keeps it.
    Replace,
}

/// Settings after a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// Their text; none if the file is to go.
    pub(crate) settings: Option<String>,
    /// What must be known to take it back; none if nothing is left to be taken back.
    pub(crate) record: Option<Record>,
    /// What was done, in order.
    pub(crate) steps: Vec<(String, Step)>,
}

/// What was done with a variable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// It had this value already.
    Kept,
    /// It was set, and there was none before.
    Set,
    /// It was set, and the user's own value is in the record.
    Replaced,
    /// It was taken out.
    Removed,
    /// The user's own value was put back.
    Restored,
    /// Its value is not the one that was set here: somebody changed it since.
    Left,
    /// It was set here, and is no longer there.
    Gone,
}

/// The user has a token, and did not say that it may be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`env.{AUTH_TOKEN}` holds a token of your own")]
pub(crate) struct OwnToken;

impl std::fmt::Debug for Token {
    /// Whether there is one; never what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Leave { "Leave" } else { "Set(..)" })
    }
}

/// Sets what is wished. `settings` is none if there is no file.
pub(crate) fn init(
    settings: Option<&Document>,
    record: Option<&Record>,
    wish: &Wish,
) -> Result<Change, OwnToken> {
    let empty = Document::empty();
    let before = settings.unwrap_or(&empty);
    let mut record = begun(settings, record.cloned().or_else(|| old_record(before)));
    let mut document = before.clone();
    let mut steps = Vec::new();
    let mut wanted = vec![(BASE_URL, wish.base_url.as_str())];
    match &wish.token {
        Token::Set(token) => wanted.push((AUTH_TOKEN, token)),
        Token::Leave => {
            if let Some(entry) = record.entry(AUTH_TOKEN).cloned() {
                let (next, step) = taken_back(&document, &entry, &record);
                document = next;
                steps.push((entry.name, step));
                record.forget(AUTH_TOKEN);
            }
        }
    }
    wanted.extend(wish.more.iter().map(|(name, value)| (*name, value.as_str())));
    for (name, value) in wanted {
        let value = text(value);
        let current = document.variable(name).map(str::to_owned);
        let (entry, step) = match current {
            Some(current) if same(&current, &value) => {
                steps.push((name.to_owned(), Step::Kept));
                continue;
            }
            None => {
                // What was set here is gone, and with it nobody said that theirs may go.
                let replaced = record.entry(name).and_then(|entry| entry.replaced.clone());
                let step = if replaced.is_some() { Step::Replaced } else { Step::Set };
                (Entry { name: name.to_owned(), set: value, replaced }, step)
            }
            Some(current) => {
                let ours = record.entry(name).filter(|entry| same(&entry.set, &current));
                let is_own = ours.is_none() && name == AUTH_TOKEN && !is_blank(&current);
                if is_own && wish.own == Own::Keep {
                    return Err(OwnToken);
                }
                let replaced = ours.map_or(Some(current), |entry| entry.replaced.clone());
                let step = if replaced.is_some() { Step::Replaced } else { Step::Set };
                (Entry { name: name.to_owned(), set: value, replaced }, step)
            }
        };
        document = document.with(name, &entry.set);
        record.note(entry);
        steps.push((name.to_owned(), step));
    }
    let record = (!record.variables.is_empty()).then_some(record);
    Ok(Change { settings: Some(document.text()), record, steps })
}

/// Takes back what was set.
pub(crate) fn remove(settings: &Document, record: Option<&Record>) -> Change {
    let untouched = || Change { settings: Some(settings.text()), record: None, steps: Vec::new() };
    let Some(record) = record.cloned().or_else(|| old_record(settings)) else { return untouched() };
    let mut document = settings.clone();
    let mut steps = Vec::new();
    let mut kept = Record::new(Shape::Full, record.env.clone());
    for entry in &record.variables {
        let (next, step) = taken_back(&document, entry, &record);
        document = next;
        steps.push((entry.name.clone(), step));
        if step == Step::Gone && entry.replaced.is_some() {
            kept.note(entry.clone());
        }
    }
    let did = steps.iter().any(|(_, step)| matches!(step, Step::Removed | Step::Restored));
    if did && record.env == Shape::Absent && matches!(document.env_shape(), Shape::Empty(_)) {
        document = document.without_env(blank(&record.settings));
    }
    let is_bare = did && matches!(document.root_shape(), Shape::Empty(_));
    let settings = match &record.settings {
        Shape::Absent if is_bare => None,
        Shape::Blank(blank) if is_bare => Some(document.blanked(blank).text()),
        _ => Some(document.text()),
    };
    let record = (!kept.variables.is_empty()).then_some(kept);
    Change { settings, record, steps }
}

/// Is this value what somebody meant to be a value? An empty text and `null` are not.
pub(crate) fn is_blank(value: &str) -> bool {
    matches!(value, "\"\"" | "null")
}

/// Do two JSON texts say the same, however their characters are escaped?
pub(crate) fn same(one: &str, other: &str) -> bool {
    let decoded = |text: &str| serde_json::from_str::<String>(text).ok();
    one == other || decoded(one).is_some_and(|one| decoded(other).is_some_and(|other| one == other))
}

/// A value as JSON text.
pub(crate) fn text(value: &str) -> String {
    String::from_utf8_lossy(&quoted(value)).into_owned()
}

/// The record that goes on: what it says of places that are empty again, or not there, is said anew.
fn begun(settings: Option<&Document>, record: Option<Record>) -> Record {
    let root = settings.map_or(Shape::Absent, Document::root_shape);
    let env = settings.map_or(Shape::Absent, Document::env_shape);
    let Some(mut record) = record else { return Record::new(root, env) };
    if root != Shape::Full {
        record.settings = root;
    }
    if env != Shape::Full {
        record.env = env;
    }
    record
}

/// The old program kept no record: it set the placeholder and the address together, and dropped an `env`
/// that it emptied.
fn old_record(settings: &Document) -> Option<Record> {
    let token = settings.variable(AUTH_TOKEN).filter(|token| same(token, &text(PLACEHOLDER)))?;
    let mut record = Record::new(Shape::Full, Shape::Absent);
    for (name, value) in [(BASE_URL, settings.variable(BASE_URL)), (AUTH_TOKEN, Some(token))] {
        if let Some(value) = value {
            record.note(Entry { name: name.to_owned(), set: value.to_owned(), replaced: None });
        }
    }
    Some(record)
}

/// The document as it was before a variable was set, if its value is still the one that was.
fn taken_back(document: &Document, entry: &Entry, record: &Record) -> (Document, Step) {
    match (document.variable(&entry.name), &entry.replaced) {
        (None, _) => (document.clone(), Step::Gone),
        (Some(current), _) if !same(current, &entry.set) => (document.clone(), Step::Left),
        (Some(_), Some(replaced)) => (document.with(&entry.name, replaced), Step::Restored),
        (Some(_), None) => (document.without(&entry.name, blank(&record.env)), Step::Removed),
    }
}

/// The white space that was between the braces.
fn blank(shape: &Shape) -> &str {
    match shape {
        Shape::Empty(blank) => blank,
        Shape::Absent | Shape::Blank(_) | Shape::Full => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cc::{CONTEXT_TOKENS, MODEL_DISCOVERY, VARIABLES};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

    const URL: &str = "http://127.0.0.1:8787";

    fn wish() -> Wish {
        Wish {
            base_url: URL.to_owned(),
            token: Token::Set(PLACEHOLDER.to_owned()),
            more: Vec::new(),
            own: Own::Keep,
        }
    }

    fn read(text: &str) -> Document {
        Document::read(text.as_bytes()).unwrap()
    }

    /// `init` on settings of that text.
    fn begin(text: &str, wish: &Wish) -> Change {
        init(Some(&read(text)), None, wish).unwrap()
    }

    /// `init` once more, on what came of it.
    fn again(change: &Change, wish: &Wish) -> Change {
        init(Some(&after(change)), change.record.as_ref(), wish).unwrap()
    }

    fn after(change: &Change) -> Document {
        read(change.settings.as_deref().unwrap())
    }

    fn taken(change: &Change) -> Change {
        remove(&after(change), change.record.as_ref())
    }

    fn steps(change: &Change) -> Vec<(&str, Step)> {
        change.steps.iter().map(|(name, step)| (name.as_str(), *step)).collect()
    }

    #[test]
    fn settings_that_were_not_there_are_made_and_go_again() {
        let change = init(None, None, &wish()).unwrap();
        let expect = format!(
            "{{\n  \"env\": {{\n    \"{BASE_URL}\": \"{URL}\",\n    \"{AUTH_TOKEN}\": \"{PLACEHOLDER}\"\n  }}\n}}\n"
        );
        assert_eq!(change.settings.as_deref(), Some(expect.as_str()));
        assert_eq!(taken(&change).settings, None);
    }

    #[test]
    fn w50_a_token_of_the_users_own_is_kept_unless_it_may_be_replaced() {
        let text = r#"{"env":{"ANTHROPIC_AUTH_TOKEN":"mine"}}"#;
        assert_eq!(init(Some(&read(text)), None, &wish()), Err(OwnToken));
        let change = begin(text, &Wish { own: Own::Replace, ..wish() });
        assert_eq!(steps(&change), [(BASE_URL, Step::Set), (AUTH_TOKEN, Step::Replaced)]);
        assert_eq!(
            change.record.as_ref().unwrap().entry(AUTH_TOKEN).unwrap().replaced.as_deref(),
            Some("\"mine\"")
        );
        let taken = taken(&change);
        assert_eq!(taken.settings.as_deref(), Some(text));
        assert_eq!(steps(&taken), [(BASE_URL, Step::Removed), (AUTH_TOKEN, Step::Restored)]);
    }

    #[test]
    fn a_token_of_the_users_own_is_remembered_also_if_the_settings_are_gone() {
        let text = r#"{"env":{"ANTHROPIC_AUTH_TOKEN":"mine"}}"#;
        let change = begin(text, &Wish { own: Own::Replace, ..wish() });
        let bare = remove(&read("{}"), change.record.as_ref());
        assert_eq!(steps(&bare), [(BASE_URL, Step::Gone), (AUTH_TOKEN, Step::Gone)]);
        for (settings, record) in [(None, &change.record), (Some(read("{}")), &bare.record)] {
            let again = init(settings.as_ref(), record.as_ref(), &wish()).unwrap();
            assert_eq!(steps(&again), [(BASE_URL, Step::Set), (AUTH_TOKEN, Step::Replaced)]);
            let taken = taken(&again);
            assert_eq!(after(&taken).variable(AUTH_TOKEN), Some("\"mine\""));
            assert_eq!(taken.record, None);
        }
    }

    #[test]
    fn an_empty_token_is_nobodys() {
        for blank in ["\"\"", "null"] {
            let text = format!(r#"{{"env":{{"ANTHROPIC_AUTH_TOKEN":{blank}}}}}"#);
            assert_eq!(taken(&begin(&text, &wish())).settings, Some(text));
        }
    }

    #[test]
    fn an_address_of_the_users_own_is_replaced_and_put_back() {
        let text = r#"{"env": {"ANTHROPIC_BASE_URL": "https:\/\/gateway.example.com"}, "model": "opus"}"#;
        let change = begin(text, &wish());
        assert_eq!(steps(&change), [(BASE_URL, Step::Replaced), (AUTH_TOKEN, Step::Set)]);
        assert_eq!(taken(&change).settings.as_deref(), Some(text));
    }

    #[test]
    fn w50_what_was_changed_since_is_left_alone() {
        let change = begin("{\"model\":\"opus\"}", &wish());
        let text = change.settings.as_deref().unwrap().replace(PLACEHOLDER, "mine").replace("opus", "sonnet");
        let taken = remove(&read(&text), change.record.as_ref());
        let expect = r#"{"model":"sonnet","env":{"ANTHROPIC_AUTH_TOKEN":"mine"}}"#;
        assert_eq!(taken.settings.as_deref(), Some(expect));
        assert_eq!(steps(&taken), [(BASE_URL, Step::Removed), (AUTH_TOKEN, Step::Left)]);
    }

    #[test]
    fn what_was_written_anew_by_others_is_still_recognised() {
        let change = begin("{}", &wish());
        let value: serde_json::Value = serde_json::from_str(change.settings.as_deref().unwrap()).unwrap();
        let text = value.to_string().replace("http://", "http:\\/\\/");
        assert_eq!(remove(&read(&text), change.record.as_ref()).settings.as_deref(), Some("{}"));
    }

    #[test]
    fn a_second_init_changes_what_the_first_set_and_remembers_what_was_before_it() {
        let text = r#"{"env":{"ANTHROPIC_BASE_URL":"https://a","X":"1"}}"#;
        let first = begin(text, &wish());
        let same = again(&first, &wish());
        assert_eq!((&same.settings, &same.record), (&first.settings, &first.record));
        assert_eq!(steps(&same), [(BASE_URL, Step::Kept), (AUTH_TOKEN, Step::Kept)]);

        let other = Wish {
            base_url: "http://localhost:1".to_owned(),
            token: Token::Set("sk-relay".to_owned()),
            more: vec![(MODEL_DISCOVERY, "1".to_owned()), (CONTEXT_TOKENS, "200000".to_owned())],
            ..wish()
        };
        let second = again(&first, &other);
        assert_eq!(steps(&second)[..2], [(BASE_URL, Step::Replaced), (AUTH_TOKEN, Step::Set)]);
        assert_eq!(taken(&second).settings.as_deref(), Some(text));
    }

    #[test]
    fn what_the_user_emptied_since_is_as_empty_again() {
        let change = begin(r#"{"env":{"X":"1"},"model":"opus"}"#, &wish());
        for emptied in [r#"{"model":"opus"}"#, r#"{"env": { },"model":"opus"}"#, "{ \n}", "{}"] {
            let second = init(Some(&read(emptied)), change.record.as_ref(), &wish()).unwrap();
            assert_eq!(taken(&second).settings.as_deref(), Some(emptied));
        }
        let second = init(None, change.record.as_ref(), &wish()).unwrap();
        assert_eq!(taken(&second).settings, None);
    }

    #[test]
    fn a_subscription_keeps_its_login() {
        let text = "{\n  \"model\": \"opus\"\n}\n";
        let subscription = Wish { token: Token::Leave, ..wish() };
        let change = begin(text, &subscription);
        assert_eq!(steps(&change), [(BASE_URL, Step::Set)]);
        assert_eq!(after(&change).variable(AUTH_TOKEN), None);
        assert_eq!(taken(&change).settings.as_deref(), Some(text));

        let changed = again(&begin(text, &wish()), &subscription);
        assert_eq!(steps(&changed), [(AUTH_TOKEN, Step::Removed), (BASE_URL, Step::Kept)]);
        assert_eq!(changed.settings, change.settings);
        assert_eq!(taken(&changed).settings.as_deref(), Some(text));
    }

    #[test]
    fn what_somebody_set_by_hand_to_the_same_is_theirs() {
        let text = format!(r#"{{"env":{{"ANTHROPIC_BASE_URL":"{URL}"}}}}"#);
        let change = begin(&text, &Wish { token: Token::Leave, ..wish() });
        assert_eq!(
            change,
            Change { settings: Some(text), record: None, steps: vec![(BASE_URL.to_owned(), Step::Kept)] }
        );
    }

    #[test]
    fn what_the_old_program_set_is_taken_back_without_a_record() {
        let text = format!(
            r#"{{"env":{{"ANTHROPIC_AUTH_TOKEN":"{PLACEHOLDER}","ANTHROPIC_BASE_URL":"http://127.0.0.1:9"}},"model":"opus"}}"#
        );
        assert_eq!(remove(&read(&text), None).settings.as_deref(), Some(r#"{"model":"opus"}"#));
        let own = text.replace(PLACEHOLDER, "mine");
        assert_eq!(
            remove(&read(&own), None),
            Change { settings: Some(own), record: None, steps: Vec::new() }
        );
    }

    /// White space as JSON knows it.
    fn blanks() -> impl Strategy<Value = String> {
        prop_oneof![Just(String::new()), Just(" ".to_owned()), Just("\n  ".to_owned()), "[ \t\r\n]{0,4}"]
    }

    /// A name, often one that matters, sometimes with an escape.
    fn names() -> impl Strategy<Value = String> {
        let known = prop_oneof![
            Just(VARIABLES[0]),
            Just(VARIABLES[1]),
            Just(VARIABLES[2]),
            Just("env"),
            Just("model")
        ];
        prop_oneof![
            known.prop_map(text),
            Just("\"\\u0065nv\"".to_owned()),
            any::<String>().prop_map(|name| text(&name))
        ]
    }

    fn scalars() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>().prop_map(|value| text(&value)),
            Just("\"\\ud800\"".to_owned()),
            Just("123456789012345678901234567890.0e-5".to_owned()),
            Just("\"<&>\"".to_owned()),
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
        ]
    }

    fn objects(values: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let members = vec((blanks(), names(), blanks(), blanks(), values, blanks()), 0..5);
        (blanks(), members).prop_map(|(blank, members)| {
            let written: Vec<String> = members
                .into_iter()
                .map(|(a, name, b, c, value, d)| format!("{a}{name}{b}:{c}{value}{d}"))
                .collect();
            if written.is_empty() { format!("{{{blank}}}") } else { format!("{{{}}}", written.join(",")) }
        })
    }

    fn values() -> impl Strategy<Value = String> {
        let nested = objects(scalars());
        prop_oneof![
            scalars(),
            vec(scalars(), 0..3).prop_map(|items| format!("[{}]", items.join(", "))),
            nested
        ]
    }

    /// Settings: any object, whose `env` is one as well.
    fn settings() -> impl Strategy<Value = String> {
        let object =
            prop_oneof![9 => objects(prop_oneof![objects(scalars()), values()]), 1 => Just(String::new())];
        let mark = prop_oneof![4 => Just(""), 1 => Just("\u{feff}")];
        (mark, blanks(), object, blanks())
            .prop_map(|(mark, before, object, after)| format!("{mark}{before}{object}{after}"))
            .prop_filter("`env` must be an object", |text| Document::read(text.as_bytes()).is_ok())
    }

    fn wishes() -> impl Strategy<Value = Wish> {
        let token = prop_oneof![Just(Token::Leave), "[!-~]{1,8}".prop_map(Token::Set)];
        let more = (any::<bool>(), option::of(1..1_000_000_u32)).prop_map(|(discovery, tokens)| {
            let discovery = discovery.then(|| (MODEL_DISCOVERY, "1".to_owned()));
            discovery.into_iter().chain(tokens.map(|tokens| (CONTEXT_TOKENS, tokens.to_string()))).collect()
        });
        ("http://[a-z]{1,8}:[1-9][0-9]{0,3}", token, more).prop_map(|(base_url, token, more)| Wish {
            base_url,
            token,
            more,
            own: Own::Replace,
        })
    }

    /// What settings say, without the variables that may be set; an `env` without others is none.
    fn others(text: &str) -> Vec<(String, String)> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim().is_empty() {
            return Vec::new();
        }
        let document = relay_wire::scan::Value::read(text.as_bytes()).unwrap();
        let own = |name: &str| VARIABLES.contains(&name);
        let mut found = Vec::new();
        for member in document.members().map(Result::unwrap) {
            let (name, value) = (member.key.as_str().unwrap().into_owned(), member.value);
            if name == "env" && value.kind() == relay_wire::scan::Kind::Object {
                for inner in value.members().map(Result::unwrap) {
                    let name = inner.key.as_str().unwrap().into_owned();
                    if !own(&name) {
                        found.push((
                            format!("env.{name}"),
                            String::from_utf8_lossy(inner.value.text()).into_owned(),
                        ));
                    }
                }
            } else {
                found.push((name, String::from_utf8_lossy(value.text()).into_owned()));
            }
        }
        found
    }

    proptest! {
        #[test]
        fn w50_remove_gives_back_the_bytes_that_init_found(text in settings(), wishes in vec(wishes(), 1..4)) {
            let mut change = Change { settings: Some(text.clone()), record: None, steps: Vec::new() };
            for wish in &wishes {
                change = again(&change, wish);
                let record = change.record.as_ref().map(|record| Record::read(record.text().as_bytes()).unwrap());
                prop_assert_eq!(&record, &change.record);
            }
            prop_assert_eq!(taken(&change).settings, Some(text));
        }

        #[test]
        fn w50_init_changes_nothing_else_and_sets_what_it_was_asked(text in settings(), wish in wishes()) {
            let (change, before) = (begin(&text, &wish), read(&text));
            let document = after(&change);
            prop_assert_eq!(others(&document.text()), others(&text));
            let set = |name: &str, value: &str| document.variable(name).is_some_and(|set| same(set, &super::text(value)));
            prop_assert!(set(BASE_URL, &wish.base_url));
            for (name, value) in &wish.more {
                prop_assert!(set(name, value));
            }
            match &wish.token {
                Token::Set(token) => prop_assert!(set(AUTH_TOKEN, token)),
                Token::Leave => prop_assert_eq!(document.variable(AUTH_TOKEN), before.variable(AUTH_TOKEN)),
            }
        }

        #[test]
        fn w50_a_value_that_was_changed_since_stays(text in settings(), wish in wishes(), value in "[a-z]{1,8}") {
            let change = begin(&text, &wish);
            let value = super::text(&value);
            let changed = after(&change).with(BASE_URL, &value).with("OTHER", "\"kept\"");
            let taken = remove(&changed, change.record.as_ref());
            let document = after(&taken);
            prop_assert_eq!(document.variable(BASE_URL), Some(value.as_str()));
            prop_assert_eq!(document.variable("OTHER"), Some("\"kept\""));
        }
    }
}

//! What is looked for in a stream of events, however it is cut. Knows the names of three events
//! (<https://platform.claude.com/docs/en/build-with-claude/streaming>); refuses to keep anything else.

/// So much of a line is kept: the name of an event, or the beginning of what an error says.
const KEPT: usize = 400;

/// What was seen of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    /// Its first real event: pings before it are the relay's own.
    pub(super) began: bool,
    /// Its last event.
    pub(super) ended: bool,
    /// What its error said, if one came.
    pub(super) error: Option<String>,
    /// The next line is of an error.
    fails: bool,
}

impl Events {
    pub(super) fn read(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = KEPT.saturating_sub(self.line.len()).min(part.len());
            self.line.extend_from_slice(&part[..room]);
            if part.ends_with(b"\n") {
                self.note();
                self.line.clear();
            }
        }
    }

    fn note(&mut self) {
        let line = self.line.trim_ascii_end();
        if std::mem::take(&mut self.fails) {
            self.error = Some(String::from_utf8_lossy(line).into_owned());
        }
        match line {
            b"event: message_start" => self.began = true,
            b"event: message_stop" => self.ended = true,
            b"event: error" => self.fails = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, piece: usize) -> Events {
        let mut events = Events::default();
        text.as_bytes().chunks(piece).for_each(|bytes| events.read(bytes));
        events
    }

    #[test]
    fn any_cutting_shows_the_same() {
        let text = "event: ping\ndata: {}\n\nevent: message_start\ndata: {\"a\":\"event: error\"}\n\nevent: message_stop\ndata: {}\n\n";
        for piece in 1..=text.len() {
            let events = read(text, piece);
            assert!(events.began && events.ended && events.error.is_none(), "{piece}");
        }
        let cut = read("event: ping\ndata: {}\n\nevent: message_start\n", 5);
        assert!(cut.began && !cut.ended);
    }

    #[test]
    fn an_error_is_kept_as_far_as_it_matters() {
        let long = "x".repeat(10 * KEPT);
        let events = read(&format!("event: error\ndata: {{\"message\":\"{long}\"}}\n\n"), 7);
        assert!(!events.began && events.error.unwrap().starts_with("data: {\"message\":\"xxx"));
        assert!(events.line.len() <= KEPT);
    }
}

//! The blocks of a stream of Anthropic's: one is open at a time, each begins once and ends once, and they are numbered.

/// What a block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Block {
    Said(Sort),
    /// A call of a tool, by its place among the calls.
    Call(usize),
}

/// What is said beside calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    Thought,
    Word,
}

/// Those of one stream.
#[derive(Default)]
pub(super) struct Blocks {
    open: Option<Block>,
    /// The place of the one that is open, or comes next.
    place: usize,
    /// How many bytes have been said in them.
    said: usize,
}

impl Blocks {
    pub(super) const fn open(&self) -> Option<Block> {
        self.open
    }

    pub(super) const fn said(&self) -> usize {
        self.said
    }

    /// Begins one that is that, as JSON. None may be open.
    pub(super) fn begin(&mut self, block: Block, json: &str, out: &mut Vec<u8>) {
        self.event("content_block_start", &format!(r#","content_block":{json}"#), out);
        self.open = Some(block);
    }

    /// A piece of the one that is open, as a string of JSON.
    pub(super) fn piece(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let kind = match self.open {
            Some(Block::Said(Sort::Thought)) => r#"thinking_delta","thinking":"#,
            Some(Block::Said(Sort::Word)) => r#"text_delta","text":"#,
            Some(Block::Call(_)) => r#"input_json_delta","partial_json":"#,
            None => return,
        };
        // Without its quotes.
        self.said += text.len().saturating_sub(2);
        let head = format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":{},\"delta\":{{\"type\":\"{kind}",
            self.place
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(text);
        out.extend_from_slice(b"}}\n\n");
    }

    /// Ends the one that is open, and says which it was.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) -> Option<Block> {
        let block = self.open.take()?;
        self.event("content_block_stop", "", out);
        self.place += 1;
        Some(block)
    }

    fn event(&self, kind: &str, more: &str, out: &mut Vec<u8>) {
        let event =
            format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"index\":{}{more}}}\n\n", self.place);
        out.extend_from_slice(event.as_bytes());
    }
}

//! What is recorded of a call: sizes, times, and numbers in place of names. It refuses to know what is said.

use std::time::Duration;

use relay_core::Time;
use relay_telemetry::Recorder;
use relay_telemetry::happening::Finished;
use relay_telemetry::recorder::{self, Call};

use crate::asked::Asked;

/// Client-made names are kept no longer than this, in bytes.
const LONGEST: usize = 128;

/// A call that will be recorded.
#[derive(Debug)]
pub(super) struct Tape {
    recorder: Recorder,
    asked: recorder::Asked,
    model: String,
    /// From its arrival to when it was sent, last.
    pub(super) sent: Option<Duration>,
    /// From its arrival to when its answer began upstream.
    pub(super) answered: Option<Duration>,
}

impl Tape {
    /// What is known of a call before it is answered. None if it is no message.
    pub(super) fn of(recorder: &Recorder, asked: &Asked) -> Option<Self> {
        let (call, size) = (asked.call()?, asked.size()?);
        let speaker = asked.speaker();
        let number = |part: Option<&[u8]>| part.map(|part| recorder.number(&[speaker.client, part]));
        let sizes = recorder::Asked {
            session: number(speaker.session),
            agent: number(speaker.agent),
            prefix: call.prefix.map(|prefix| recorder.number(&[&prefix.to_le_bytes()])),
            bytes: size.bytes,
            max_tokens: size.max_tokens,
            stream: size.streams,
            background: size.background,
        };
        let model = call.model.as_deref().unwrap_or_default();
        let model = model[..model.floor_char_boundary(LONGEST)].to_owned();
        Some(Self { recorder: recorder.clone(), asked: sizes, model, sent: None, answered: None })
    }

    /// It has ended.
    pub(super) fn write(&self, finished: &Finished<'_>, arrived: Time) {
        self.recorder.write(&Call {
            asked: self.asked,
            model: &self.model,
            arrived,
            status: finished.status,
            end: finished.end,
            usage: finished.usage,
            waited: finished.waited,
            sent: self.sent,
            answered: self.answered,
            first_byte: finished.first_byte,
            duration: finished.duration,
        });
    }
}

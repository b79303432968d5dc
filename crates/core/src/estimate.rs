//! What a call will use, from what calls like it have used. It knows sizes and counts; it refuses to know
//! what they are of.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fleet::Class;
use crate::flow::Flow;
use crate::limits::Needs;
use crate::memory::{EstimateMemory, SpreadMemory};
use crate::plan::Size;
use crate::text::Text;
use crate::time::Time;
use crate::usage::Usage;

/// Parts of an octave that are told apart: an estimate is right to a fifth.
const PARTS: usize = 4;

/// The largest value that is told apart from larger ones is two to this power.
const OCTAVES: usize = 24;

const N_STEPS: usize = OCTAVES * PARTS + 1;

/// What one value weighs at first. When all together weigh [`MOST`], each weighs half from then on: the last few
/// hundred values decide.
const WEIGHT: u32 = 16;
const MOST: u32 = WEIGHT * 512;

/// So many values make an estimate; fewer are only values.
const ENOUGH: u32 = 8 * WEIGHT;

/// From so many on, the quantile is looked for anew only after so many more.
const SOME: u32 = 64 * WEIGHT;
const SELDOM: u32 = 16;

/// How values are spread: one bar for each part of an octave. It answers with a quantile that is kept at hand.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Spread {
    bars: [u32; N_STEPS],
    weight: u32,
    /// In hundredths.
    quantile: u32,
    /// Of all values, as they weigh.
    sum: u64,
    noted: u32,
    /// The upper end of the bar in which the quantile lies, or the mean if that is more, if there are values enough.
    known: Option<u64>,
}

impl Spread {
    /// Of nothing so far; it will be asked for that quantile, in hundredths.
    pub(crate) const fn new(quantile: u32) -> Self {
        Self { bars: [0; N_STEPS], weight: 0, quantile, sum: 0, noted: 0, known: None }
    }

    /// One more value.
    pub(crate) fn note(&mut self, value: u64) {
        if let Some(bar) = self.bars.get_mut(step(value)) {
            *bar += WEIGHT;
            self.weight += WEIGHT;
            self.sum += value.min(1 << OCTAVES) * u64::from(WEIGHT);
        }
        if self.weight >= MOST {
            self.bars.iter_mut().for_each(|bar| *bar /= 2);
            self.weight = self.bars.iter().sum();
            self.sum /= 2;
        }
        // Of many, a few more make no difference.
        self.noted = self.noted.wrapping_add(1);
        if self.weight < SOME || self.noted.is_multiple_of(SELDOM) {
            self.look();
        }
    }

    /// Looks for the quantile anew.
    fn look(&mut self) {
        // A few values that are far larger than the others may be most of what is used.
        let mean = self.sum / u64::from(self.weight.max(1));
        self.known = (self.weight >= ENOUGH).then(|| self.find().max(mean));
    }

    /// As plain values; `of` says of what they are.
    fn remember(&self, of: u32) -> SpreadMemory {
        SpreadMemory { of, bars: self.bars.to_vec(), sum: self.sum }
    }

    /// Takes in what was remembered, if it has as many bars.
    fn recall(&mut self, memory: &SpreadMemory) {
        let Ok(bars) = <[u32; N_STEPS]>::try_from(memory.bars.as_slice()) else { return };
        let weight = bars.iter().fold(0_u32, |sum, bar| sum.saturating_add(*bar));
        if weight < MOST {
            // No value is larger than the last step.
            let sum = memory.sum.min(u64::from(weight) << OCTAVES);
            (self.bars, self.weight, self.sum) = (bars, weight, sum);
            self.look();
        }
    }

    /// How many values there are, of late.
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.weight / WEIGHT)
    }

    /// Their mean; none while there are too few.
    pub(crate) fn mean(&self) -> Option<u64> {
        (self.weight >= ENOUGH).then(|| self.sum / u64::from(self.weight.max(1)))
    }

    /// The quantile, so much or less, most often; and at least the mean. None while too little is known.
    pub(crate) const fn estimate(&self) -> Option<u64> {
        self.known
    }

    fn find(&self) -> u64 {
        let wanted = u64::from(self.weight) * u64::from(self.quantile);
        let mut passed = 0;
        for (index, bar) in self.bars.iter().enumerate() {
            passed += u64::from(*bar) * 100;
            if passed >= wanted {
                return upper(index);
            }
        }
        u64::MAX
    }
}

impl std::fmt::Debug for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}% at {:?}", self.quantile, self.known)
    }
}

/// The step on which a value lies: its octave, and which part of that.
fn step(value: u64) -> usize {
    let value = value.max(1);
    let octave = value.ilog2() as usize;
    // The two bits behind the highest one.
    let part = if octave >= 2 { (value >> (octave - 2)) & 3 } else { (value << (2 - octave)) & 3 };
    (octave * PARTS + usize::try_from(part).unwrap_or_default()).min(N_STEPS - 1)
}

/// The largest value on a step.
fn upper(step: usize) -> u64 {
    let (octave, part) = (step / PARTS, (step % PARTS) as u64);
    (((5 + part) << octave) / 4).max(2) - 1
}

/// Bytes of a body that make a token, in tenths, until it is known for a class of models. English text and code have
/// between three and four and a half; too few hold back a little too much for a moment.
const TENTHS_OF_BYTES: u64 = 35;

/// Of how a body's tokens and bytes relate, in tokens for each so many bytes.
const BYTES: u64 = 1 << 14;

/// What an answer takes until it is known: most have less.
const OUTPUT: u64 = 1_000;

/// Tokens of an answer in a second, at most, until it is known: the fastest models make as many.
const PACE: u64 = 300;

/// Answers that may be longer than this are told apart from those that may not: titles, and looks at a quota.
const SHORT: u64 = 1_024;

/// What the values that are remembered are of. A number that is not here any more is not used again.
const OF_DENSITY: u32 = 0;
const OF_PACE: u32 = 1;
const OF_TEXT: u32 = 2;
const OF_SPAN: u32 = 3;
const OF_SCALE: u32 = 4;

/// How many tokens there are to so many that were measured.
const MEASURED: u64 = 1 << 12;
/// No tokenizer counts so many times as many, or as few: who says so counts something else, such as a prompt of his own.
const MOST_SCALE: u64 = 8;

/// So many prompts are measured of each class, and from then on one of so many.
const MANY_MEASURED: u64 = 64;
const FEW_MEASURED: u64 = 16;
const OF_OUTPUT: u32 = 16;

/// What is known of the calls of one class of models.
#[derive(Clone, Debug)]
pub(crate) struct Estimates {
    /// Tokens of a prompt in [`BYTES`] of its body.
    density: Spread,
    /// Tokens of an answer, by kind of call.
    output: BTreeMap<usize, Spread>,
    /// Tokens of an answer in a second.
    pace: Spread,
    /// For how many milliseconds a call is under way.
    span: Spread,
    /// How many tokens prompts have, to [`MEASURED`] that were measured.
    scale: Spread,
    /// Prompts, since the last that was measured or since all that were.
    unmeasured: u64,
    /// How long their texts are.
    text: Text,
    /// Prompts of these models are cached.
    caches: bool,
    /// When the last call was noted.
    seen: Time,
}

impl Default for Estimates {
    fn default() -> Self {
        let (output, caches, seen) = Default::default();
        let [density, pace, span, scale] = [80, 95, 50, 50].map(Spread::new);
        Self { density, output, pace, span, scale, unmeasured: 0, text: Text::SEED, caches, seen }
    }
}

/// What a call of that size will need, of a class of which nothing is known.
pub(crate) fn unknown(size: &Size) -> Needs {
    let units = size.max_tokens.map_or(OUTPUT, |most| OUTPUT.min(most));
    Needs::of(unknown_tokens(size.bytes), Flow { units, pace: size.streams.then_some(PACE) })
}

/// How many tokens so many bytes of a prompt have, of a class of which nothing is known.
pub(crate) const fn unknown_tokens(bytes: u64) -> u64 {
    bytes.saturating_mul(10) / TENTHS_OF_BYTES
}

impl Estimates {
    /// What a call of that size will need.
    pub(crate) fn needs(&self, size: &Size) -> Needs {
        let input = self.tokens(size.bytes);
        let known = kinds(size).into_iter().find_map(|kind| self.output.get(&kind)?.estimate());
        let output = known.unwrap_or(OUTPUT);
        let units = size.max_tokens.map_or(output, |most| output.min(most));
        // Of an answer that comes whole nobody sees how far it is.
        let pace = self.pace.estimate().map_or(PACE, |pace| pace + pace / 4);
        Needs::of(input, Flow { units, pace: size.streams.then_some(pace) })
    }

    /// When the last call was noted.
    pub(crate) const fn seen(&self) -> Time {
        self.seen
    }

    /// Everything, as plain values, of the class of that name.
    pub(crate) fn remember(&self, class: Class) -> EstimateMemory {
        let of = |kind: usize| OF_OUTPUT + u32::try_from(kind).unwrap_or_default();
        let output = self.output.iter().map(|(kind, spread)| spread.remember(of(*kind)));
        let spreads = [
            (&self.density, OF_DENSITY),
            (&self.pace, OF_PACE),
            (&self.span, OF_SPAN),
            (&self.scale, OF_SCALE),
        ];
        let others = spreads.map(|(it, of)| it.remember(of)).into_iter().chain([remember_text(self.text)]);
        let spreads = others.into_iter().chain(output).collect();
        EstimateMemory { class, seen: self.seen, caches: self.caches, spreads }
    }

    /// What was remembered.
    pub(crate) fn recall(memory: &EstimateMemory) -> Self {
        let mut known = Self { caches: memory.caches, seen: memory.seen, ..Self::default() };
        for spread in &memory.spreads {
            match spread.of {
                OF_DENSITY => known.density.recall(spread),
                OF_PACE => known.pace.recall(spread),
                OF_SPAN => known.span.recall(spread),
                OF_SCALE => known.scale.recall(spread),
                OF_TEXT => known.text = recall_text(spread).unwrap_or(Text::SEED),
                of => {
                    let kind = of.checked_sub(OF_OUTPUT).and_then(|kind| usize::try_from(kind).ok());
                    if let Some(kind) = kind.filter(|kind| *kind < N_KINDS) {
                        known.output.entry(kind).or_insert(const { Spread::new(80) }).recall(spread);
                    }
                }
            }
        }
        known
    }

    /// How many tokens so many bytes of a prompt have.
    pub(crate) fn tokens(&self, bytes: u64) -> u64 {
        self.density
            .estimate()
            .map_or_else(|| unknown_tokens(bytes), |density| bytes.saturating_mul(density) / BYTES)
    }

    /// Is a prompt to be measured, so that it comes out how many tokens these models count where so many are measured?
    pub(crate) fn wants_measure(&self) -> bool {
        self.scale.count() < MANY_MEASURED || self.unmeasured >= FEW_MEASURED
    }

    /// How many tokens they count, most likely, where so many are measured. At least one.
    pub(crate) fn reckon(&self, measured: u64) -> u64 {
        self.scale.mean().map_or(measured, |scale| measured.saturating_mul(scale) / MEASURED).max(1)
    }

    /// Was any prompt cached, or read from a cache?
    pub(crate) const fn caches(&self) -> bool {
        self.caches
    }

    /// What a prompt turned out to be.
    pub(crate) fn note_prompt(&mut self, size: &Size, usage: &Usage, now: Time) {
        self.seen = now;
        self.caches |= usage.cache_write.saturating_add(usage.cache_read) > 0;
        let tokens = usage.uncached_input().saturating_add(usage.cache_read);
        if size.bytes > 0 && tokens > 0 {
            self.density.note(tokens.saturating_mul(BYTES) / size.bytes);
        }
        match size.measured {
            Some(measured) if measured > 0 && tokens > 0 => {
                let scale = tokens.saturating_mul(MEASURED) / measured;
                if (MEASURED / MOST_SCALE..=MEASURED * MOST_SCALE).contains(&scale) {
                    self.scale.note(scale);
                }
                self.unmeasured = 0;
            }
            _ => self.unmeasured = self.unmeasured.saturating_add(1),
        }
    }

    /// How many tokens the text of their answers has.
    pub(crate) const fn text(&self) -> Text {
        self.text
    }

    /// For how long a call is under way, on average. None while too little is known.
    pub(crate) fn span(&self) -> Option<Duration> {
        self.span.estimate().map(Duration::from_millis)
    }

    /// A call has ended after so long.
    pub(crate) fn note_span(&mut self, took: Duration) {
        self.span.note(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    }

    /// What was streamed of an answer.
    pub(crate) fn note_text(&mut self, text: Text) {
        self.text += text;
    }

    /// What an answer turned out to be that began at one moment and has ended now.
    pub(crate) fn note_answer(&mut self, size: &Size, usage: &Usage, (begun, now): (Time, Time)) {
        self.seen = now;
        let took = now.since(begun);
        for kind in kinds(size) {
            self.output.entry(kind).or_insert(const { Spread::new(80) }).note(usage.output);
        }
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if size.streams && usage.output > 0 {
            self.pace.note(usage.output.saturating_mul(1_000) / millis.max(1));
        }
    }
}

/// Text in the form in which all that is learned of calls is kept.
fn remember_text(Text { bytes, tokens }: Text) -> SpreadMemory {
    SpreadMemory { of: OF_TEXT, bars: vec![u32::try_from(bytes).unwrap_or(u32::MAX)], sum: tokens }
}

fn recall_text(memory: &SpreadMemory) -> Option<Text> {
    let [bytes] = *memory.bars.as_slice() else { return None };
    let text = Text { bytes: u64::from(bytes), tokens: memory.sum };
    text.is_plausible().then_some(text)
}

/// Kinds of calls that are told apart by whether their answer may be long and whether somebody looks on; and within
/// each, by the size of their body: twice as large is another.
const N_COARSE: usize = 4;
const N_SIZES: usize = 12;
const N_KINDS: usize = N_COARSE + N_COARSE * N_SIZES;

/// The kinds that a call is of, the finest first.
fn kinds(size: &Size) -> [usize; 2] {
    let short = size.max_tokens.is_some_and(|most| most <= SHORT);
    let coarse = usize::from(short) * 2 + usize::from(size.background);
    // The first are all up to 1 KiB, the last all from 1 MiB on.
    let octave = (size.bytes >> 10).checked_ilog2().map_or(0, |octave| octave as usize + 1);
    [N_COARSE + coarse * N_SIZES + octave.min(N_SIZES - 1), coarse]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_lies_between_the_ends_of_its_step(value in 1_u64..(1 << 24)) {
            let step = step(value);
            prop_assert!(value <= upper(step), "{value} {step}");
            prop_assert!(step == 0 || value > upper(step - 1) || upper(step) == upper(step - 1), "{value} {step}");
        }

        /// Half of the values are at most their median, and it is at most a fifth above the true one.
        #[test]
        fn a_quantile_is_right_to_a_quarter(mut values in proptest::collection::vec(1_u64..1_000_000, 20..64)) {
            let mut spread = Spread::new(80);
            for value in &values {
                spread.note(*value);
            }
            values.sort_unstable();
            let rank = (values.len() * 80).div_ceil(100);
            let exact = values[rank - 1];
            let estimate = spread.estimate().unwrap();
            prop_assert!(estimate >= exact && estimate <= exact + exact / 4 + 1, "{estimate} for {exact}");
        }
    }

    #[test]
    fn little_is_nothing_and_the_last_hundreds_decide() {
        let mut spread = Spread::new(50);
        (0..7).for_each(|_| spread.note(100));
        assert_eq!(spread.estimate(), None);
        (0..1000).for_each(|_| spread.note(100));
        assert_eq!(spread.estimate(), Some(upper(step(100))));
        (0..1000).for_each(|_| spread.note(100_000));
        assert_eq!(spread.estimate(), Some(upper(step(100_000))));
        spread.note(u64::MAX);
        spread.note(0);
    }

    /// The numbers stand in files of earlier runs.
    #[test]
    fn calls_are_told_apart_by_the_length_of_their_answer_by_who_waits_and_by_their_size() {
        let table = [
            (None, false, 0, [4, 0]),
            (None, false, 1_023, [4, 0]),
            (None, false, 1_024, [5, 0]),
            (Some(1_025), false, 4_096, [7, 0]),
            (None, true, 2_048, [18, 1]),
            (Some(1_024), false, 4_096, [31, 2]),
            (Some(1), true, 1 << 20, [51, 3]),
            (Some(1), true, u64::MAX, [51, 3]),
        ];
        for (max_tokens, background, bytes, expect) in table {
            let size = Size { bytes, max_tokens, background, ..Size::default() };
            assert_eq!(kinds(&size), expect, "{size:?}");
            assert!(expect.iter().all(|kind| *kind < N_KINDS));
        }
    }

    #[test]
    fn how_many_tokens_are_counted_where_so_many_are_measured_is_learned_and_remembered() {
        let mut known = Estimates::default();
        let size = |measured| Size { bytes: 9_000, measured, ..Size::default() };
        let usage = |input| Usage { input, ..Usage::ZERO };
        assert_eq!((known.reckon(1_000), known.reckon(0)), (1_000, 1), "as many, and never none");
        for measured in 1_000..1_020 {
            assert!(known.wants_measure());
            known.note_prompt(&size(Some(measured)), &usage(measured * 3 / 2), Time::EPOCH);
        }
        assert!((1_490..=1_510).contains(&known.reckon(1_000)), "{}", known.reckon(1_000));
        let recalled = Estimates::recall(&known.remember(Class::of("m")));
        assert_eq!(recalled.reckon(1_000), known.reckon(1_000));
        // A provider that counts fifty million for a few words made a short text one of millions.
        for tokens in [50_000_000, 1] {
            known.note_prompt(&size(Some(1_000)), &usage(tokens), Time::EPOCH);
        }
        assert_eq!(recalled.reckon(1_000), known.reckon(1_000));
        // When it is well known, one of sixteen is enough.
        for _ in 0..64 {
            known.note_prompt(&size(Some(1_000)), &usage(1_500), Time::EPOCH);
        }
        assert!(!known.wants_measure());
        for nth in 1..=16 {
            known.note_prompt(&size(None), &usage(1_500), Time::EPOCH);
            assert_eq!(known.wants_measure(), nth >= 16, "{nth}");
        }
    }

    #[test]
    fn the_pace_of_answers_that_stream_is_learned_and_of_no_others() {
        let begun = Time::default();
        for (streams, output, seconds, expect) in [
            (true, 600, 2, Some(upper(step(300)))),
            (true, 600, 20, Some(upper(step(30)))),
            (true, 0, 2, None),
            (false, 600, 2, None),
        ] {
            let mut known = Estimates::default();
            let (size, usage) = (Size { streams, ..Size::default() }, Usage { output, ..Usage::default() });
            for _ in 0..8 {
                let ended = begun + std::time::Duration::from_secs(seconds);
                known.note_answer(&size, &usage, (begun, ended));
            }
            assert_eq!(known.pace.estimate(), expect, "{output} in {seconds} s, streams: {streams}");
        }
    }
}

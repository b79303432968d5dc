//! The windows of a subscription: how much of each is used, and until when it lasts. It knows what one answer proves of
//! a window and how strained a window is; it refuses to know whose it is and what follows from that.
//!
//! Of two answers that speak of one window the higher share counts, whichever came first; and a later window takes the
//! place of an earlier one only by the word of an answer that was asked for later. So an answer that was overtaken by
//! others makes nothing look less used than it is, and what is used falls only when the window was reset.

use std::fmt;
use std::time::Duration;

use crate::fleet::Class;
use crate::memory::WindowMemory;
use crate::quota::{UnifiedStatus, WindowReading};
use crate::time::Time;

/// The families of models after which windows are called: `7d_opus` and `7d_sonnet` are in captures of the `unified`
/// headers and in what Claude Code calls their claims, the others are what else there is of Anthropic's.
const FAMILIES: [&str; 4] = ["opus", "sonnet", "haiku", "fable"];

/// A name that promises a longer window than this is none.
const LONGEST: Duration = Duration::from_hours(24 * 366);

/// So many windows are kept of one account. Those that are known have three or four.
const MOST: usize = 16;

/// Two resets that are no farther apart are of one window. A provider's moments are whole seconds by its clock, and come
/// to us relative to another whole second, its `Date`; the shortest window there is lasts for hours.
const SLACK: Duration = Duration::from_mins(1);

/// The strain of a window that is used as fast as its time goes by, and of what has no windows.
pub(crate) const EVEN: u32 = 8;

/// The strain of a window of which nothing is left.
const SPENT: u32 = u64::BITS;

/// A part of a window, in millionths. Above a million if more was used than there is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Share(pub u32);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(1_000_000);
}

/// The middle of the names of a window's headers: `5h`, `7d`, `7d_opus`. It begins with how long the window lasts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WindowName {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl WindowName {
    /// Longer names are not kept, in bytes. The longest that is known has nine.
    const LONGEST: usize = 23;

    /// The window of that name; none if it is not the name of one.
    pub fn of(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let name = Self { bytes, length: u8::try_from(text.len()).ok()? };
        name.lasts().map(|_| name)
    }

    /// As the provider writes it.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        str::from_utf8(bytes).expect("it was made of a text")
    }

    /// How long such a window lasts.
    pub fn length(self) -> Duration {
        self.lasts().expect("it has no name that does not say so")
    }

    fn lasts(self) -> Option<Duration> {
        let lasts = self.as_str().split('_').next()?;
        let unit = match lasts.bytes().last()? {
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        let number = &lasts[..lasts.len() - 1];
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(unit)?;
        let lasts = Duration::from_secs(seconds);
        (!lasts.is_zero() && lasts <= LONGEST).then_some(lasts)
    }

    /// What follows its length: the models that it is about.
    fn models(&self) -> Option<&str> {
        self.as_str().split_once('_').map(|(_, models)| models)
    }
}

impl fmt::Debug for WindowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window:{}", self.as_str())
    }
}

/// Which models a window is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum About {
    /// All of them.
    All,
    /// Those whose names have that word.
    Family(&'static str),
    /// One class. What `7d_oi` is about its name does not say, and captures have it on answers of some models only: so a
    /// window of such a name is about the models on whose answers it comes.
    Class(Class),
}

impl About {
    /// What a window of that name is about that came with an answer about a class. None if only the class could say.
    pub(crate) fn of(name: WindowName, class: Option<&Class>) -> Option<Self> {
        let Some(models) = name.models() else { return Some(Self::All) };
        let family = FAMILIES.into_iter().find(|family| *family == models);
        family.map(Self::Family).or_else(|| class.cloned().map(Self::Class))
    }

    /// Does it count for that class?
    pub(crate) fn bears_on(&self, class: &Class) -> bool {
        match self {
            Self::All => true,
            Self::Family(family) => class.as_str().split(['-', '.', '/', '@']).any(|word| word == *family),
            Self::Class(own) => own == class,
        }
    }

    /// The class, if it is about one.
    pub(crate) const fn class(&self) -> Option<&Class> {
        match self {
            Self::Class(class) => Some(class),
            Self::All | Self::Family(_) => None,
        }
    }
}

/// One window of one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    pub(crate) name: WindowName,
    pub(crate) about: About,
    pub(crate) status: Option<UnifiedStatus>,
    /// The most that was told of it; none if nothing was.
    used: Option<Share>,
    /// When it is reset: as told, or else when it has been at the latest.
    ends: Time,
    /// That moment was told.
    told: bool,
    /// When the call was granted whose answer spoke of it last.
    asked: Time,
}

/// All windows of one account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Windows(Vec<Window>);

impl Windows {
    pub(crate) const NONE: Self = Self(Vec::new());

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Window> {
        self.0.iter()
    }

    /// Those that have not been reset since they were told of.
    pub(crate) fn current(&self, now: Time) -> impl Iterator<Item = &Window> {
        self.0.iter().filter(move |window| window.is_current(now))
    }

    /// An answer about a class, asked for at that moment, tells of one.
    pub(crate) fn learn(&mut self, told: &WindowReading, class: &Class, asked: Time, now: Time) {
        if let Some(about) = About::of(told.name, Some(class)) {
            self.take_in(Window::new(told, about, asked, now), now);
        }
    }

    /// What is known of it from elsewhere.
    pub(crate) fn recall(&mut self, known: &WindowMemory, now: Time) {
        let WindowMemory { name, class, status, used, ends, told } = known;
        if let Some(about) = About::of(*name, class.as_ref()) {
            let ends = (*ends).min(now + name.length());
            let (name, status, used, told, asked) = (*name, *status, *used, *told, Time::EPOCH);
            self.take_in(Window { name, about, status, used, ends, told, asked }, now);
        }
    }

    /// What is told of it, as plain values.
    pub(crate) fn remember(&self, now: Time) -> Vec<WindowMemory> {
        let told = |window: &Window| WindowMemory {
            name: window.name,
            class: window.about.class().cloned(),
            status: window.status,
            used: window.used,
            ends: window.ends,
            told: window.told,
        };
        self.current(now).map(told).collect()
    }

    /// Those of another are his too.
    pub(crate) fn absorb(&mut self, others: Self, now: Time) {
        for other in others.0 {
            self.take_in(other, now);
        }
    }

    fn take_in(&mut self, told: Window, now: Time) {
        if !told.is_current(now) {
            return;
        }
        let same = |known: &Window| known.name == told.name && known.about == told.about;
        match self.0.iter().position(same) {
            Some(place) => self.0[place].put_together(told, now),
            None if self.0.len() < MOST => self.0.push(told),
            None => {}
        }
    }

    /// How strained the account is for a class: as much as the most strained of the windows that count for it. See
    /// [`Window::strain`].
    pub(crate) fn strain(&self, class: &Class, now: Time) -> u32 {
        let counting = self.0.iter().filter(|window| window.about.bears_on(class));
        counting.map(|window| window.strain(now)).max().unwrap_or(EVEN)
    }
}

impl Window {
    fn new(told: &WindowReading, about: About, asked: Time, now: Time) -> Self {
        // None lasts longer than its name says.
        let last = now + told.name.length();
        Self {
            name: told.name,
            about,
            status: told.status,
            used: told.used,
            ends: told.reset.map_or(last, |reset| reset.min(last)),
            told: told.reset.is_some(),
            asked,
        }
    }

    /// Has it not been reset since it was told of?
    pub(crate) fn is_current(&self, now: Time) -> bool {
        self.ends > now
    }

    /// How much of it is used, as far as is known: nothing, if it was reset since.
    pub(crate) fn used(&self, now: Time) -> Option<Share> {
        if self.is_current(now) { self.used } else { Some(Share(0)) }
    }

    /// When it is reset, if that was told.
    pub(crate) fn reset(&self) -> Option<Time> {
        Some(self.ends).filter(|_| self.told)
    }

    /// When it has been reset at the latest.
    pub(crate) const fn ends(&self) -> Time {
        self.ends
    }

    /// Is nothing left of it?
    pub(crate) fn is_spent(&self, now: Time) -> bool {
        let full = self.used >= Some(Share::WHOLE);
        self.is_current(now) && (full || self.status == Some(UnifiedStatus::Rejected))
    }

    /// Something else was told of it, or of the one that follows it.
    fn put_together(&mut self, told: Self, now: Time) {
        let is_newer = told.asked >= self.asked;
        let (both, slack) = (self.told && told.told, SLACK);
        let (is_later, is_earlier) =
            (both && told.ends > self.ends + slack, both && told.ends + slack < self.ends);
        if !self.is_current(now) || is_newer && is_later {
            *self = told;
            return;
        }
        if !is_newer && (is_later || is_earlier) {
            // Of another window, and who knows which was first: what is newer has said which it is now.
            return;
        }
        self.used = self.used.max(told.used);
        if is_newer {
            (self.status, self.asked) = (told.status.or(self.status), told.asked);
        }
        if told.told && (!self.told || is_earlier) {
            (self.ends, self.told) = (told.ends, true);
        }
    }

    /// How strained it is: the part of its time that is left, over the part of it that is left, as steps of a factor of
    /// two around [`EVEN`]. So a window of which more would expire unused than is asked for comes before one that will
    /// not last; and small differences, which answers round away, are none.
    fn strain(&self, now: Time) -> u32 {
        /// 2^8 · √2: a step reaches as far to one side of what it stands for as to the other.
        const SCALE: u64 = 362;
        let Some(used) = self.used.filter(|_| self.is_current(now)) else { return EVEN };
        let left = u64::from(Share::WHOLE.0.saturating_sub(used.0));
        if left == 0 {
            return SPENT;
        }
        let (time, whole) = (millis(self.ends.since(now)), millis(self.name.length()).max(1));
        // At most 2^35 milliseconds, times 2^20, times 2^9.
        let ratio = time.saturating_mul(SCALE * u64::from(Share::WHOLE.0)) / whole / left;
        ratio.max(1).ilog2()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

//! How values of the core are written as numbers. A number that was used for something is never used for anything else.

use std::time::Duration;

use relay_core::memory::Cause;
use relay_core::{Counted, KeyId, Reason, Time, UnifiedStatus};

/// Of what something is held or limited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    Organization = 0,
    Workspace = 1,
    Key = 2,
}

impl Kind {
    pub(crate) const fn of(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Organization),
            1 => Some(Self::Workspace),
            2 => Some(Self::Key),
            _ => None,
        }
    }

    pub(crate) const fn code(self) -> i64 {
        self as i64
    }
}

/// The database's integers have a sign; ids and counts use all bits.
pub(crate) const fn bits(number: u64) -> i64 {
    number.cast_signed()
}

pub(crate) const fn number(bits: i64) -> u64 {
    bits.cast_unsigned()
}

/// In nanoseconds; what is longer than 292 years is as good as that.
pub(crate) fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

pub(crate) fn moment(time: Time) -> i64 {
    nanos(time.since_epoch())
}

pub(crate) fn time(nanos: i64) -> Time {
    Time::from_epoch(duration(nanos))
}

/// What a key is called, and who is known by no other name than that of his first key.
pub(crate) fn name_of(key: KeyId) -> String {
    format!("#{:016x}", key.to_bits())
}

pub(crate) fn as_key(name: &str) -> Option<KeyId> {
    u64::from_str_radix(name.strip_prefix('#')?, 16).ok().map(KeyId::from_bits)
}

pub(crate) const fn counted(counted: Counted) -> i64 {
    match counted {
        Counted::Requests => 0,
        Counted::Input => 1,
        Counted::Output => 2,
        Counted::Tokens => 3,
    }
}

pub(crate) const fn as_counted(code: i64) -> Option<Counted> {
    match code {
        0 => Some(Counted::Requests),
        1 => Some(Counted::Input),
        2 => Some(Counted::Output),
        3 => Some(Counted::Tokens),
        _ => None,
    }
}

pub(crate) const fn status(status: UnifiedStatus) -> i64 {
    match status {
        UnifiedStatus::Allowed => 0,
        UnifiedStatus::Warning => 1,
        UnifiedStatus::Rejected => 2,
    }
}

pub(crate) const fn as_status(code: i64) -> Option<UnifiedStatus> {
    match code {
        0 => Some(UnifiedStatus::Allowed),
        1 => Some(UnifiedStatus::Warning),
        2 => Some(UnifiedStatus::Rejected),
        _ => None,
    }
}

/// Why somebody rests; until when, if that is known, or else nothing; and how often he was refused before.
pub(crate) fn cause(cause: Cause) -> (i64, i64, u32) {
    match cause {
        Cause::Cooling { until } => (0, moment(until), 0),
        Cause::Barred { reason: Reason::Unaccepted, strikes } => (1, 0, strikes),
        Cause::Barred { reason: Reason::OutOfMoney, strikes } => (2, 0, strikes),
    }
}

pub(crate) fn as_cause(code: i64, until: i64, strikes: u32) -> Option<Cause> {
    match code {
        0 => Some(Cause::Cooling { until: time(until) }),
        1 => Some(Cause::Barred { reason: Reason::Unaccepted, strikes }),
        2 => Some(Cause::Barred { reason: Reason::OutOfMoney, strikes }),
        _ => None,
    }
}

pub(crate) fn bars(bars: &[u32]) -> Vec<u8> {
    bars.iter().flat_map(|bar| bar.to_le_bytes()).collect()
}

pub(crate) fn as_bars(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
}

//! `cache`: the cache of thinking signatures, as the old program's files write it.

use crate::raw::leaf::{Choice, Flag, OneOf, Text, Whole};
use crate::raw::many::List;
use crate::raw::server::DAY;
use crate::raw::table::section;
use crate::raw::unit::{Lapse, Size};

/// The greatest number the old program could hold.
const MOST: u64 = i64::MAX as u64;

/// A quorum of the old program has 32 bits.
const QUORUM: u64 = i32::MAX as u64;

section! {
    /// The cache of thinking signatures. It may be left out. It is checked, and has no effect in this version.
    Cache {
        /// Where the cache is: `disabled`, in this process (`single`), or shared (`ha`).
        mode: OneOf<Mode> => "disabled";
        /// The cache in this process.
        ristretto: Ristretto;
        /// The shared cache.
        olric: Olric;
    }
}

section! {
    /// The cache in this process.
    ["has no effect yet: its options are checked by being read"]
    Ristretto {
        /// How many counters estimate what is used often.
        num_counters: Whole<0, MOST> => "1000000";
        /// How much it may hold, in bytes.
        max_cost: Size<0, MOST> => "100MiB";
        /// How many look-ups are noted at once.
        buffer_items: Whole<0, MOST> => "64";
    }
}

section! {
    /// The shared cache.
    ["has no effect yet: its options are checked by being read"]
    Olric {
        /// Run a member in this process.
        embedded: Flag => "false";
        /// The members to connect to.
        addresses: List<Text> => "[\"cache-1:3320\", \"cache-2:3320\"]";
        /// Where the member in this process listens.
        bind_addr: Text => "\"0.0.0.0:3320\"";
        /// The name of the map.
        dmap_name: Text => "cc-relay";
        /// The network it is tuned for: `local`, `lan` or `wan`.
        environment: OneOf<Network> => "local";
        /// The members a member in this process joins.
        peers: List<Text> => "[\"cache-2:3322\"]";
        /// How many members hold each entry.
        replica_count: Whole<0, QUORUM> => "1";
        /// How many members must answer a read.
        read_quorum: Whole<0, QUORUM> => "1";
        /// How many members must confirm a write.
        write_quorum: Whole<0, QUORUM> => "1";
        /// How many members there must be.
        member_count_quorum: Whole<0, QUORUM> => "1";
        /// How long leaving may take. The old program's TOML files count it in nanoseconds.
        leave_timeout: Lapse<1, 0, DAY> => "5s";
    }
}

/// Where the cache is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// There is none.
    Disabled,
    /// In this process.
    Single,
    /// Shared.
    Ha,
}

/// The network the shared cache is tuned for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Network {
    /// One machine.
    Local,
    /// One site.
    Lan,
    /// Several sites.
    Wan,
}

impl Choice for Mode {
    fn words() -> Vec<(&'static str, Self)> {
        vec![("disabled", Self::Disabled), ("single", Self::Single), ("ha", Self::Ha)]
    }
}

impl Choice for Network {
    fn words() -> Vec<(&'static str, Self)> {
        vec![("local", Self::Local), ("lan", Self::Lan), ("wan", Self::Wan)]
    }
}

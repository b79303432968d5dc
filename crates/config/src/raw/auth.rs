//! `server.auth`: who may ask, as written.

use crate::checked::UnknownKey;
use crate::raw::leaf::{Choice, FilePath, Flag, Hidden, OneOf, Text};
use crate::raw::many::List;
use crate::raw::table::section;

section! {
    /// Who may ask. With nothing set the relay is open, which is allowed on loopback only.
    Auth {
        /// One key that opens the relay. Every client key is accepted as `x-api-key`, as `Authorization: Bearer`
        /// and as `x-cc-relay-key`, and never goes upstream.
        api_key: Hidden => "${CC_RELAY_API_KEY}";
        /// Several named keys that open the relay. The name appears in the log.
        clients: List<Client>;
        /// Accept `Authorization: Bearer`. Without a `bearer_secret` any bearer opens the relay.
        allow_bearer: Flag = false;
        /// Another name of `allow_bearer`; either of them enables it.
        allow_subscription: Flag = false;
        /// The bearer that opens the relay, when `allow_bearer` is on.
        bearer_secret: Hidden => "${CC_RELAY_BEARER}";
        /// The relay is meant to be open although others than this machine can reach it.
        open: Flag = false;
        /// A subscription's own bearer (`sk-ant-oat…`) that the relay does not know goes to Anthropic as it is.
        passthrough: Flag = true;
        /// What an open relay does with an `x-api-key` that it does not know: `pool` replaces it by a key of the pool,
        /// `pass` sends it to Anthropic as it is.
        unknown_key: OneOf<UnknownKey> = UnknownKey::Pool;
    }
}

section! {
    /// Someone who may ask.
    Client {
        /// Its name in logs.
        name: Text => "laptop";
        /// Its key.
        key: Hidden => "${LAPTOP_KEY}";
        /// The file whose first line is its key, instead of `key`.
        key_file: FilePath => "/run/secrets/laptop";
    }
}

impl Choice for UnknownKey {
    fn words() -> Vec<(&'static str, Self)> {
        vec![("pool", Self::Pool), ("pass", Self::Pass)]
    }
}

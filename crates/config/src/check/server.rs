//! The listener and its limits.

use std::net::Ipv6Addr;
use std::num::NonZeroU32;

use crate::checked::{Address, Server, Tls};
use crate::problem::Findings;
use crate::raw;
use crate::raw::table::Section;

pub(super) fn server(raw: &raw::server::Server, findings: &mut Findings) -> Server {
    let listen = address(&raw.listen.value.text).unwrap_or_else(|hint| {
        findings.problem(&raw.listen.spot, raw.listen.value.is_not("an address to listen on")).hint(hint);
        Address { host: "localhost".to_owned(), port: 0 }
    });
    Server {
        listen,
        tls: tls(&raw.tls, findings),
        http2: raw.enable_http2.value.0,
        max_concurrent: u32::try_from(raw.max_concurrent.value.0).ok().and_then(NonZeroU32::new),
        max_body: limit(raw.max_body_bytes.value.0),
        max_batch_body: limit(raw.max_batch_body_bytes.value.0),
        max_file_body: limit(raw.max_file_body_bytes.value.0),
        head_after: raw.head_after_ms.value.0,
        ping_every: raw.ping_interval_ms.value.0,
        drain: raw.drain_timeout_ms.value.0,
    }
}

/// 0 means no limit, as in the old program.
fn limit(bytes: u64) -> u64 {
    if bytes == 0 { u64::MAX } else { bytes }
}

fn tls(raw: &raw::server::Tls, findings: &mut Findings) -> Option<Tls> {
    for (name, field, other) in
        [("certificate", &raw.certificate, &raw.key), ("key", &raw.key, &raw.certificate)]
    {
        let needed = !other.is_absent() || !raw.client_ca.is_absent();
        if field.is_absent() && needed && (name == "certificate" || !other.is_absent()) {
            findings
                .problem(raw.spot(), format!("has no `{name}`"))
                .hint("TLS needs a `certificate` and its `key`");
        }
    }
    let (certificate, key) = (raw.certificate.get()?, raw.key.get()?);
    let client_ca = raw.client_ca.get().map(|path| path.0.clone());
    Some(Tls { certificate: certificate.0.clone(), key: key.0.clone(), client_ca })
}

/// `host:port`, with an IPv6 host in brackets; a hint otherwise.
fn address(text: &str) -> Result<Address, &'static str> {
    const SHAPE: &str = "write `host:port`, for example `127.0.0.1:8787`";
    if text.contains("://") {
        return Err("leave out the scheme: write `host:port`, and `server.tls` for TLS");
    }
    let (host, port) = text.rsplit_once(':').ok_or(SHAPE)?;
    let host = if let Some(inside) = host.strip_prefix('[') {
        let inside = inside.strip_suffix(']').ok_or(SHAPE)?;
        inside.parse::<Ipv6Addr>().map_err(|_| "between brackets stands an IPv6 address")?;
        inside
    } else if host.contains(':') {
        return Err("write an IPv6 address in brackets: `[::1]:8787`");
    } else {
        host
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-._:".contains(character);
    if !host.chars().all(allowed) {
        return Err("a host is a name or an IP address");
    }
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the port is a number from 0 to 65535");
    }
    let port = port.parse().map_err(|_| "the port is a number from 0 to 65535")?;
    Ok(Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let table = [
            ("127.0.0.1:8787", Some(("127.0.0.1", 8787))),
            ("localhost:0", Some(("localhost", 0))),
            (":8787", Some(("", 8787))),
            ("0.0.0.0:65535", Some(("0.0.0.0", 65535))),
            ("[::1]:8787", Some(("::1", 8787))),
            ("my-host.example.com:80", Some(("my-host.example.com", 80))),
            ("", None),
            ("8787", None),
            ("127.0.0.1", None),
            ("127.0.0.1:", None),
            ("127.0.0.1:abc", None),
            ("127.0.0.1:+80", None),
            ("127.0.0.1:65536", None),
            ("::1:8787", None),
            ("[::1]8787", None),
            ("[::1:8787", None),
            ("[localhost]:8787", None),
            ("http://127.0.0.1:8787", None),
            ("a b:80", None),
            ("a/b:80", None),
        ];
        for (text, expect) in table {
            let expect = expect.map(|(host, port)| Address { host: host.to_owned(), port });
            assert_eq!(address(text).ok(), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_that_was_shown_can_be_read(port in any::<u16>(), v6 in any::<u128>(), name in "[a-z0-9.-]{0,12}") {
            for host in [Ipv6Addr::from(v6).to_string(), name] {
                let shown = Address { host, port };
                prop_assert_eq!(address(&shown.to_string()), Ok(shown));
            }
        }
    }
}

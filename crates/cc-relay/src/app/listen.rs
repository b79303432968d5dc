//! Opens the sockets of the listener. It knows addresses and the ways in which they cannot be had; it
//! refuses to know who is accepted on them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use relay_config::checked::Address;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

use crate::report::Explained;

/// How many connections may wait to be accepted; the system caps it (`net.core.somaxconn` is 4096).
const BACKLOG: i32 = 4096;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unbound {
    /// Its name leads nowhere.
    #[error("cannot listen on `{address}`: its host cannot be resolved")]
    Unresolved {
        /// The address.
        address: Address,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The system does not give it.
    #[error("cannot listen on `{address}`")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why not.
        #[source]
        cause: io::Error,
    },
}

impl Explained for Unbound {
    fn hint(&self) -> Option<String> {
        let Self::Refused { address, cause } = self else { return None };
        let hint = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program has it: `cc-relay status` says whether that is a relay; \
                 `server.listen` takes another port"
            }
            io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                "ports below 1024 are for root; take a higher one"
            }
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has that address",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

impl Unbound {
    /// Has another program the address?
    pub(crate) fn is_taken(&self) -> bool {
        matches!(self, Self::Refused { cause, .. } if cause.kind() == io::ErrorKind::AddrInUse)
    }
}

/// Listens on an address: on each that its name leads to, on every interface if its host is empty. An IPv6
/// address that this machine does not have is left out as long as there is another.
pub(crate) async fn listen(address: &Address) -> Result<Vec<TcpListener>, Unbound> {
    let mut listeners = Vec::new();
    let mut missing = None;
    for candidate in candidates(address).await? {
        match open(candidate) {
            Ok(listener) => {
                listeners.push(listener);
                if address.host.is_empty() {
                    break;
                }
            }
            Err(cause) if candidate.is_ipv6() && is_absent(&cause) => {
                missing = Some(Unbound::Refused { address: candidate, cause });
            }
            Err(cause) => return Err(Unbound::Refused { address: candidate, cause }),
        }
    }
    match missing {
        Some(missing) if listeners.is_empty() => Err(missing),
        _ => Ok(listeners),
    }
}

/// The addresses that are meant. For an empty host they are in the order of preference: the first is enough.
async fn candidates(address: &Address) -> Result<Vec<SocketAddr>, Unbound> {
    let Address { host, port } = address;
    if host.is_empty() {
        let every: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(every.map(|every| SocketAddr::new(every, *port)).to_vec());
    }
    if let Ok(number) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(number, *port)]);
    }
    let unresolved = |cause| Unbound::Unresolved { address: address.clone(), cause };
    let mut addresses: Vec<SocketAddr> =
        lookup_host((host.as_str(), *port)).await.map_err(unresolved)?.collect();
    // A name that stands twice in the hosts file is one address.
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(unresolved(io::Error::from(io::ErrorKind::NotFound)));
    }
    Ok(addresses)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A relay that starts again must not wait for the connections of the last one to be forgotten.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `::` takes IPv4 as well, whatever the system's default is.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Has this machine no such address, or no such protocol?
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// "Address family not supported by protocol" (Linux, `asm-generic/errno.h`).
const EAFNOSUPPORT: i32 = 97;

/// The address at which a client of this machine reaches a listener.
pub(crate) fn reached(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bound.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str, port: u16) -> Address {
        Address { host: host.to_owned(), port }
    }

    #[tokio::test]
    async fn a_name_is_listened_on_at_each_of_its_addresses() {
        let listeners = listen(&address("localhost", 0)).await.unwrap();
        assert!(!listeners.is_empty());
        for listener in listeners {
            let bound = listener.local_addr().unwrap();
            assert!(bound.ip().is_loopback() && bound.port() != 0, "{bound}");
        }
    }

    #[tokio::test]
    async fn an_empty_host_is_reached_by_ipv4() {
        let listeners = listen(&address("", 0)).await.unwrap();
        assert_eq!(listeners.len(), 1);
        let bound = listeners[0].local_addr().unwrap();
        assert!(bound.ip().is_unspecified());
        let reached = reached(bound);
        assert_eq!(reached.ip(), IpAddr::from(Ipv4Addr::LOCALHOST));
        tokio::net::TcpStream::connect(reached).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_with_what_to_do() {
        let taken = listen(&address("127.0.0.1", 0)).await.unwrap();
        let port = taken[0].local_addr().unwrap().port();
        let error = listen(&address("127.0.0.1", port)).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on `127.0.0.1:{port}`"));
        assert!(error.hint().unwrap().contains("cc-relay status"));
    }

    #[tokio::test]
    async fn a_listener_can_be_opened_again_at_once() {
        let first = listen(&address("127.0.0.1", 0)).await.unwrap();
        let bound = first[0].local_addr().unwrap();
        let client = tokio::net::TcpStream::connect(bound).await.unwrap();
        let (served, _) = first[0].accept().await.unwrap();
        // Closed from this side first, the connection lingers in the system.
        drop((served, first));
        drop(client);
        listen(&address("127.0.0.1", bound.port())).await.unwrap();
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        // Of the block that is kept for documentation (RFC 5737).
        let error = listen(&address("192.0.2.1", 0)).await.unwrap_err();
        assert!(matches!(&error, Unbound::Refused { .. }), "{error}");
        assert!(error.hint().unwrap().contains("no interface"));
    }
}

//! Connections over TCP: look the name up, try its addresses, take the first that answers.
//!
//! Knows addresses and socket options. Refuses to know what is said over the connection.

use std::{
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, sleep},
};

use super::{Connected, Dial, DialError, Dialing, Timing};
use crate::{
    error::{Kind, Phase},
    origin::Origin,
};

/// How long one address may keep the next waiting: the "connection attempt delay" that RFC 8305
/// section 5 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// How long a connection may be silent before the system asks whether the peer is still there,
/// and how long it waits between asking. Below the 350 s after which AWS load balancers forget a
/// connection, and the 240 s of Azure's.
const KEEPALIVE: Duration = Duration::from_mins(1);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The system's resolver and the system's TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

/// A connection attempt under way.
type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

impl Dial for Tcp {
    fn dial<'a>(&'a self, origin: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let start = Instant::now();
            let (addresses, dns) = match origin.host().parse::<IpAddr>() {
                Ok(address) => (vec![SocketAddr::new(address, origin.port())], None),
                Err(_) => (resolve(origin).await?, Some(start.elapsed())),
            };
            let start = Instant::now();
            let stream = race(addresses, |address| Box::pin(TcpStream::connect(address)))
                .await
                .map_err(|error| failed(Phase::Connect, Kind::of_io(&error), error))?;
            tune(&stream).map_err(|error| failed(Phase::Connect, Kind::of_io(&error), error))?;
            Ok(Connected { io: Box::new(stream), timing: Timing { dns, connect: start.elapsed() } })
        })
    }
}

async fn resolve(origin: &Origin) -> Result<Vec<SocketAddr>, DialError> {
    let found = lookup_host((origin.host(), origin.port()))
        .await
        .map_err(|error| failed(Phase::Resolve, Kind::Name, error))?;
    let addresses = interleave(found.collect());
    if addresses.is_empty() {
        return Err(DialError { phase: Phase::Resolve, kind: Kind::Name, source: None });
    }
    Ok(addresses)
}

/// Alternates between the families, in the resolver's order within each, so that a family that
/// does not work costs one delay (RFC 8305 section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut mixed = Vec::new();
    loop {
        let pair = [first.next(), second.next()];
        if pair == [None, None] {
            return mixed;
        }
        mixed.extend(pair.into_iter().flatten());
    }
}

/// Begins an attempt at each address, the next one when the last has failed or kept us waiting,
/// and takes the first that succeeds. The error is that of the last one to fail.
async fn race(addresses: Vec<SocketAddr>, connect: impl Fn(SocketAddr) -> Attempt) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut under_way: Vec<Attempt> = waiting.next().map(&connect).into_iter().collect();
    let mut pause = pin!(sleep(STAGGER));
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    poll_fn(|cx| {
        loop {
            let mut at = 0;
            let mut failed = Failed::None;
            while let Some(attempt) = under_way.get_mut(at) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        last = error;
                        failed = Failed::Some;
                        drop(under_way.swap_remove(at));
                    }
                    Poll::Pending => at += 1,
                }
            }
            let due = pause.as_mut().poll(cx).is_ready();
            match waiting.len() {
                0 if under_way.is_empty() => {
                    let last = std::mem::replace(&mut last, io::ErrorKind::AddrNotAvailable.into());
                    return Poll::Ready(Err(last));
                }
                1.. if due || failed == Failed::Some => {
                    under_way.extend(waiting.next().map(&connect));
                    pause.as_mut().reset(Instant::now() + STAGGER);
                }
                _ => return Poll::Pending,
            }
        }
    })
    .await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Failed {
    None,
    Some,
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

fn failed(phase: Phase, kind: Kind, error: io::Error) -> DialError {
    DialError { phase, kind, source: Some(error.into()) }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns() {
        let table: &[(&[&str], &[&str])] = &[
            (&[], &[]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"],
            ),
            (&["1.1.1.1:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1"]),
        ];
        for (given, expected) in table {
            let parse = |texts: &[&str]| texts.iter().map(|text| address(text)).collect::<Vec<_>>();
            assert_eq!(interleave(parse(given)), parse(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_delays_the_next_by_a_quarter_of_a_second() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let begun = Mutex::new(Vec::new());
        let start = Instant::now();
        let silent = address("10.0.0.1:1");
        let stream = race(vec![silent, silent, good], |address| {
            begun.lock().unwrap().push(start.elapsed().as_millis());
            if address == silent {
                Box::pin(std::future::pending())
            } else {
                Box::pin(TcpStream::connect(address))
            }
        })
        .await
        .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert_eq!(begun.into_inner().unwrap(), [0, 250, 500]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_address_delays_nothing_and_the_last_error_is_told() {
        let start = Instant::now();
        let kinds = [io::ErrorKind::ConnectionRefused, io::ErrorKind::HostUnreachable];
        let addresses = vec![address("10.0.0.1:0"), address("10.0.0.1:1")];
        let error = race(addresses, |address| {
            let kind = kinds[usize::from(address.port())];
            Box::pin(async move { Err(kind.into()) })
        })
        .await
        .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::HostUnreachable);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_a_closed_port_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let origin = Origin::parse(&format!("http://localhost:{port}")).unwrap();
        assert!(Tcp.dial(&origin).await.unwrap().timing.dns.is_some());
        drop(listener);
        let origin = Origin::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let error = Tcp.dial(&origin).await.err().unwrap();
        assert_eq!((error.phase, error.kind), (Phase::Connect, Kind::Refused));
    }
}

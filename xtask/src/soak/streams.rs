//! `cargo xtask soak streams`: thousands of streams on which nothing happens. Knows how the parts are
//! started and what is reported; refuses to know how a stream is held.

mod held;

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::arguments::Arguments;
use crate::bench::contestant::{start_relay, start_upstream};
use crate::bench::measure::Usage;
use crate::bench::process::{Running, local};
use crate::bench::upstream::RELEASE_PATH;
use crate::clock;
use crate::failure::Failure;
use crate::say;
use crate::soak::streams::held::Streams;
use crate::soak::{build, raise_descriptors};
use crate::workshop::Workshop;

/// As many as the descriptors of an ordinary machine allow, with HTTP/2 on one side.
const DEFAULT_STREAMS: usize = 9_000;
/// Longer than the 15 s after which a relay says `ping` into a silent stream.
const DEFAULT_IDLE: u64 = 20;
/// Streams open one after another on each connection, so that pools and tables have grown
/// before memory is first looked at.
const WARM_UP_STREAMS: usize = 32;

/// What one soak was asked for.
struct Order {
    n_streams: usize,
    idle: Duration,
    profile: String,
}

/// `cargo xtask soak streams`.
pub(crate) fn run(workshop: &Workshop, mut arguments: Arguments) -> Result<(), Failure> {
    let order = Order {
        n_streams: arguments.option("--streams", DEFAULT_STREAMS)?,
        idle: Duration::from_secs(arguments.option("--idle", DEFAULT_IDLE)?),
        profile: arguments.option("--profile", "release".to_owned())?,
    };
    arguments.end()?;
    if order.n_streams == 0 {
        return Err(Failure::Usage { problem: "at least one stream is needed".to_owned() });
    }
    raise_descriptors(order.n_streams)?;
    let program = build(workshop, &order.profile)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(Failure::connection("starting a runtime"))?.block_on(soak(workshop, &order, &program))
}

async fn soak(workshop: &Workshop, order: &Order, program: &Path) -> Result<(), Failure> {
    let folder = workshop.target.join("soak");
    std::fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
    let (_upstream, port) = start_upstream(&folder).await?;
    let (relay, address) = start_relay(program, &folder, port).await?;

    let warm = Streams::open(address, WARM_UP_STREAMS).await?;
    release(port).await?;
    warm.end().await?;
    let before = relay.usage()?;

    let begun = clock::now();
    let streams = Streams::open(address, order.n_streams).await?;
    let opening = begun.elapsed();
    let open = relay.usage()?;
    tokio::time::sleep(order.idle).await;
    let idle = relay.usage()?;
    release(port).await?;
    let n_whole = streams.end().await?;
    report(order, opening, [before, open, idle], n_whole, &relay)
}

/// Prints what was found, and fails if a stream was lost.
fn report(
    order: &Order,
    opening: Duration,
    [before, open, idle]: [Usage; 3],
    n_whole: usize,
    relay: &Running,
) -> Result<(), Failure> {
    let Order { n_streams, idle: time, profile } = order;
    let per_stream = idle.resident.saturating_sub(before.resident) / to_u64(*n_streams);
    let mebibytes = |usage: Usage| usage.resident >> 20;
    say::line(&format!("{n_streams} streams, relay built as `{profile}`"));
    say::line(&format!("  opened in          {opening:.1?}, for {:.1?} of processor time", open - before));
    say::line(&format!("  held idle for      {time:.0?}, for {:.1?} of processor time", idle - open));
    say::line(&format!(
        "  memory             {} MiB before, {} MiB held, {} MiB after",
        mebibytes(before),
        mebibytes(idle),
        mebibytes(relay.usage()?)
    ));
    say::line(&format!(
        "  memory per stream  {:.1} KiB",
        f64::from(u32::try_from(per_stream).unwrap_or(u32::MAX)) / 1024.0
    ));
    say::line(&format!("  ended whole        {n_whole} of {n_streams}"));
    if n_whole == *n_streams {
        return Ok(());
    }
    let problem = format!("{} were lost", n_streams - n_whole);
    Err(Failure::Measurement { doing: "holding streams".to_owned(), problem })
}

/// Lets the upstream end all streams that it holds.
async fn release(upstream: u16) -> Result<(), Failure> {
    let doing = || Failure::connection("releasing the streams");
    let mut stream = TcpStream::connect(local(upstream)).await.map_err(doing())?;
    let request = format!(
        "POST {RELEASE_PATH} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(doing())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(doing())?;
    if answer.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(Failure::Measurement { doing: "releasing the streams".to_owned(), problem: answer })
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).expect("no machine counts further than this")
}

//! Other programs, run with a scrubbed environment and against a deadline. Knows how to start one, to
//! read it to its end and to end it; refuses to know what it says.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A scenario takes seconds on a machine that does nothing else. A client that hangs in retries, as
/// the real ones do for minutes, is ended here.
const DEADLINE: Duration = Duration::from_mins(2);

/// What a program printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A variable which `cargo xtask test` sets.
#[expect(clippy::disallowed_methods, reason = "only the environment knows where the clients are installed")]
pub(crate) fn told(name: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| {
        panic!("`{name}` is not set; `cargo xtask test` installs the real clients and says where they are")
    })
}

/// A command that sees none of the developer's environment but where programs are, and writes only
/// into `home`.
pub(crate) fn scrubbed(program: impl AsRef<OsStr>, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", told("PATH")).env("HOME", home).env("TMPDIR", home);
    command.current_dir(home).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that what it starts can be ended with it.
    command.process_group(0).kill_on_drop(true);
    command
}

/// Runs a command to its end.
pub(crate) async fn run(mut command: Command) -> Printed {
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} did not start: {error}"));
    let mut stdout = child.stdout.take().expect("standard output is piped");
    let mut stderr = child.stderr.take().expect("standard error is piped");
    let (mut out, mut complaints) = (Vec::new(), Vec::new());
    let ended = timeout(DEADLINE, async {
        tokio::join!(stdout.read_to_end(&mut out), stderr.read_to_end(&mut complaints), child.wait())
    })
    .await;
    if ended.is_err() {
        end_group(&child);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&out), text(&complaints));
    let (_, _, status) = ended.unwrap_or_else(|_| {
        panic!("it did not end within {DEADLINE:?}: {command:?}\nprinted: {stdout}\ncomplained: {stderr}")
    });
    let status = status.unwrap_or_else(|error| panic!("{command:?} cannot be waited for: {error}"));
    Printed { code: status.code(), stdout, stderr }
}

/// Ends a program and everything that it started.
fn end_group(child: &Child) {
    if let Some(id) = child.id() {
        let group = format!("-{id}");
        let ended = std::process::Command::new("kill").args(["-KILL", "--", &group]).status();
        drop(ended);
    }
}

//! A process that is measured. Knows how to start one and how to end exactly that one; refuses
//! to know what it serves.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpStream;

use crate::bench::measure::{self, Usage};
use crate::clock;
use crate::failure::Failure;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks whether it does.
const LOOK: Duration = Duration::from_millis(20);

/// A running process, ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    ending: Ending,
}

/// How a process is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has no children, and nothing to lose.
    Kill,
    /// It ends its own children first.
    Terminate,
}

impl Running {
    /// Starts a program whose output goes to `log`. What it would keep in the home of its user it keeps beside that.
    pub(crate) fn start(program: &Path, words: &[&str], log: &Path, ending: Ending) -> Result<Self, Failure> {
        let output = File::create(log).map_err(Failure::file("create", log))?;
        let second = output.try_clone().map_err(Failure::file("open", log))?;
        let beside = log.parent().and_then(|folder| std::path::absolute(folder).ok()).unwrap_or_default();
        let mut command = Command::new(program);
        command.args(words).env("XDG_STATE_HOME", beside).stdout(output).stderr(second);
        let child = command.spawn();
        let line = || format!("{} {}", program.display(), words.join(" "));
        let child = child.map_err(|source| Failure::Start { line: line(), source })?;
        Ok(Self { child, ending })
    }

    /// Waits until it listens at an address.
    pub(crate) async fn listens(&mut self, address: SocketAddr, log: &Path) -> Result<(), Failure> {
        let begun = clock::now();
        while TcpStream::connect(address).await.is_err() {
            let ended = self.child.try_wait().map_err(Failure::connection("watching a server"))?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                let problem = format!("it never listened on {address}; it said:\n{said}");
                return Err(Failure::Measurement { doing: "starting a server".to_owned(), problem });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// What it and its children have used so far.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        measure::usage(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to end.
        let _gone = match self.ending {
            Ending::Kill => self.child.kill().is_err(),
            Ending::Terminate => kill_process(Pid::from_child(&self.child), Signal::TERM).is_err(),
        };
        let _status = self.child.wait();
    }
}

/// A port on the loopback interface on which nobody listens at this moment.
pub(crate) fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    Ok(address.map_err(Failure::connection("looking for a free port"))?.port())
}

/// The address of a port on the loopback interface.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

//! The signals that end the relay, and the one that must not. It knows which came; what follows from it is
//! decided by whoever waits.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals, from the moment at which this was made.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// A signal that asks the relay to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// SIGINT, as a terminal sends it.
    Interrupt,
    /// SIGTERM, as a service manager sends it.
    Terminate,
}

impl Signals {
    /// Takes the signals over from the system, which would end the program at once.
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal that asks the relay to end. A hang-up does not: it is what reloads other
    /// programs, and what a terminal sends when it is closed.
    pub(crate) async fn stop(&mut self) -> Stop {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Stop::Interrupt,
                _ = self.terminate.recv() => return Stop::Terminate,
                _ = self.hangup.recv() => {
                    tracing::warn!(
                        target: crate::app::LOG,
                        signal = "SIGHUP",
                        hint = "restart the relay to take the configuration over",
                        "the configuration is not read again in this version; keys from files and commands, \
                         and the certificate, are followed by themselves"
                    );
                }
            }
        }
    }

    /// Waits for the next signal that asks what was started by hand to end. It ends with its terminal.
    pub(crate) async fn over(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

impl Stop {
    /// As operators write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    /// Its number (POSIX).
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

//! A provider and a relay before it, both just started: nothing is learned, every bucket is full.
//! Refuses to know what is played on it.

use std::io;
use std::path::{Path, PathBuf};

use relay_sim::Settings;

use crate::bench::contestant::{CLIENT_KEY, start_configured};
use crate::bench::process::{Running, local};
use crate::failure::Failure;
use crate::soak::pool::crowd::Door;
use crate::soak::pool::foresight::RECORDING;
use crate::soak::pool::keys::{self, Wishes};
use crate::soak::pool::provider::Provider;

/// See the module.
pub(super) struct Stage {
    /// To the relay.
    pub(super) relay: Door,
    /// Past it.
    pub(super) direct: Door,
    pub(super) provider: Provider,
    /// What the relay is asked, without what is said.
    pub(super) recording: PathBuf,
    /// Ended when this is dropped.
    _relay: Running,
}

impl Stage {
    /// The files of its relay are put into a folder of that name, without those of an earlier one. What it is asked it
    /// records there.
    pub(super) async fn open(
        (program, folder, name): (&Path, &Path, &str),
        settings: Settings,
        wishes: Wishes,
    ) -> Result<Self, Failure> {
        let folder = folder.join(name);
        // What a relay has learned it keeps there.
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::file("remove", &folder)(error));
            }
            _ => {}
        }
        std::fs::create_dir_all(&folder).map_err(Failure::file("create", &folder))?;
        let recording = folder.join(RECORDING);
        let provider = Provider::start(settings)?;
        let port = provider.port();
        let configuration = |own| keys::configuration(wishes, own, port);
        let words = ["--record", &recording.to_string_lossy()];
        let (relay, address) = start_configured(program, &words, &folder, configuration).await?;
        let direct = Door::new(local(port), &keys::direct());
        Ok(Self { relay: Door::new(address, CLIENT_KEY), direct, provider, recording, _relay: relay })
    }
}

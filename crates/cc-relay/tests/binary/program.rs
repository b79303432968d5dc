//! Runs the program in a folder of its own. It knows processes, pipes and files; it refuses to know what is
//! right.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// However busy the machine is, what takes longer than this will not come.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A home, and a current folder in it.
pub(crate) struct Sandbox {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// A program that has ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A program that runs. It is killed when the test is done with it.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("cc-relay-").tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("work")).expect("a folder in it");
        Self { folder, variables: Vec::new() }
    }

    /// The same with a variable in the environment.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// A path below the home.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Writes a file below the home, with its folders.
    pub(crate) fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("it is below the home")).expect("its folders");
        fs::write(&path, text).expect("the file");
        path
    }

    /// The text of a file below the home.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The mode of a file or folder below the home.
    pub(crate) fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.path(path)).expect("it is there").permissions().mode() & 0o777
    }

    /// The names in a folder below the home, sorted.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).expect("the folder is there");
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cc-relay"));
        command.args(arguments).current_dir(self.path("work")).env_clear().env("HOME", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// Runs the program to its end. The home is shown as `[HOME]`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().expect("the program runs");
        let home = self.folder.path().display().to_string();
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&home, "[HOME]");
        Ended { code: output.status.code(), stdout: shown(&output.stdout), stderr: shown(&output.stderr) }
    }

    /// The same with its standard output on a disk that is full.
    pub(crate) fn run_on_a_full_disk(&self, arguments: &[&str]) -> Ended {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("this system has one");
        let child = self.command(arguments).stdout(full).stderr(Stdio::piped()).spawn();
        let output = child.and_then(Child::wait_with_output).expect("the program runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Ended { code: output.status.code(), stdout: String::new(), stderr }
    }

    /// Starts the program, and listens to its standard output.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdout(Stdio::piped()).spawn().expect("the program runs");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = sync_channel(1024);
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Running { child, lines, seen: Vec::new() }
    }

    /// Starts `serve` with a configuration of that text, whose port is 0, and waits until it listens.
    pub(crate) fn serve(&self, config: &str) -> (Running, u16) {
        let path = self.write("work/config.yaml", config);
        let mut running = self.start(&["serve", "--config", &path.display().to_string()]);
        let line = running.line("listening");
        (running, port(&line))
    }
}

/// The port in a `listening` line.
pub(crate) fn port(line: &Value) -> u16 {
    let address = line["address"].as_str().expect("the line has an address");
    address.rsplit_once(':').expect("with a port").1.parse().expect("that is a number")
}

impl Ended {
    /// All of it as one text, for a snapshot.
    pub(crate) fn shown(&self) -> String {
        let code = self.code.map_or("by a signal".to_owned(), |code| code.to_string());
        let version = concat!("cc-relay ", env!("CARGO_PKG_VERSION"));
        let text = format!("exit: {code}\n--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr);
        text.replace(version, "cc-relay [VERSION]")
    }
}

impl Running {
    /// Waits for the line of the log with that message; all before it are passed over.
    pub(crate) fn line(&mut self, message: &str) -> Value {
        self.line_where("message", message)
    }

    /// Waits for the line of the log in which a field has that value.
    pub(crate) fn line_where(&mut self, field: &str, text: &str) -> Value {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    let value: Value = serde_json::from_str(&line).unwrap_or_default();
                    self.seen.push(line);
                    if value[field] == text {
                        return value;
                    }
                }
                Err(error) => panic!("no line with {field} `{text}` ({error}) among {:#?}", self.seen),
            }
        }
    }

    /// Sends a signal, as an operator does.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Waits for the end of the program, which is the end of its output.
    pub(crate) fn end(&mut self) -> ExitStatus {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("it does not end ({error}) after {:#?}", self.seen),
            }
        }
        self.child.wait().expect("it has ended")
    }

    /// Every line so far, as one text.
    pub(crate) fn seen(&self) -> String {
        self.seen.join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends bytes to a port of this machine.
pub(crate) fn send(port: u16, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
    stream.write_all(bytes.as_bytes()).expect("it is sent");
    stream
}

/// All that comes until the other side ends.
pub(crate) fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

//! What a process has used: processor time and memory, as the kernel counts them. Knows
//! `/proc` (proc(5)); refuses to know whose process it is.

use std::ops::Sub;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use crate::failure::Failure;
use crate::program::Program;

/// What a process and its children have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// User and system time, since the process began.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes, now. Pages that processes share count in each of them.
    pub(crate) resident: u64,
}

/// The fields of `/proc/<pid>/stat` which are needed, in the kernel's units.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: u32,
    parent: u32,
    /// `rss`, in pages.
    pages: u64,
}

/// A process and its direct children: nginx works in children of its own.
pub(crate) fn usage(pid: u32) -> Result<Usage, Failure> {
    let folder = Path::new("/proc");
    let pids = numbers_in(folder)?;
    // A process may end between the listing and the look; then it is no child to count.
    let children = pids.into_iter().filter_map(|other| read(other).ok()).filter(|stat| stat.parent == pid);
    let page = ask_system("PAGESIZE", &PAGE)?;
    [read(pid)?].into_iter().chain(children).try_fold(Usage::default(), |sum, stat| {
        Ok(Usage { cpu: sum.cpu + cpu(stat.pid)?, resident: sum.resident + stat.pages * page })
    })
}

/// How long the threads of a process have run, which the kernel counts in nanoseconds; the times in `stat` are
/// hundredths of a second.
fn cpu(pid: u32) -> Result<Duration, Failure> {
    let folder = format!("/proc/{pid}/task");
    let threads = numbers_in(Path::new(&folder))?;
    // A thread may have ended since.
    let texts = threads
        .iter()
        .filter_map(|thread| std::fs::read_to_string(format!("{folder}/{thread}/schedstat")).ok());
    let times: Vec<Duration> = texts.filter_map(|text| ran(&text)).collect();
    if times.is_empty() {
        Err(malformed(&folder, "no `schedstat` has a time"))
    } else {
        Ok(times.iter().sum())
    }
}

/// The first field of `schedstat`.
fn ran(text: &str) -> Option<Duration> {
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The entries of a folder that are numbers.
fn numbers_in(folder: &Path) -> Result<Vec<u32>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(Failure::file("list", folder))?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

fn malformed(path: &str, problem: &str) -> Failure {
    Failure::Malformed { path: path.to_owned(), problem: problem.to_owned() }
}

/// How many processes wanted to run, on average over the last minute: what else keeps this
/// machine busy disturbs every measurement.
pub(crate) fn load() -> Result<String, Failure> {
    let path = Path::new("/proc/loadavg");
    let text = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

static PAGE: OnceLock<u64> = OnceLock::new();

/// A constant of this system (sysconf(3)), asked for once.
fn ask_system(name: &str, answer: &OnceLock<u64>) -> Result<u64, Failure> {
    if let Some(known) = answer.get() {
        return Ok(*known);
    }
    let text = Program::new("getconf").arg(name).read()?;
    let number = text.trim().parse().ok().filter(|number| *number > 0);
    let number = number.ok_or_else(|| Failure::Output {
        line: format!("getconf {name}"),
        problem: format!("`{}` is no number", text.trim()),
    })?;
    Ok(*answer.get_or_init(|| number))
}

fn read(pid: u32) -> Result<Stat, Failure> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(Failure::file("read", Path::new(&path)))?;
    parse(&text).ok_or_else(|| malformed(&path, "fields are missing"))
}

fn parse(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, and may itself hold any sign.
    let (name, fields) = text.rsplit_once(')')?;
    let (pid, _) = name.split_once(' ')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Numbered from 1 in proc(5): field 3 (state) is the first one behind the name.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { pid: pid.parse().ok()?, parent: field(4)?.try_into().ok()?, pages: field(24)? })
}

impl Sub for Usage {
    type Output = Duration;

    /// The processor time between two looks.
    fn sub(self, earlier: Self) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "4242 (nginx: a) b) S 17 4242 17 0 -1 4194560 941 0 0 0 250 130 0 0 20 0 1 0 8943 14041088 1544 18446744073709551615 1 1 0";

    #[test]
    fn the_fields_are_counted_behind_the_last_parenthesis() {
        assert_eq!(parse(SAMPLE), Some(Stat { pid: 4242, parent: 17, pages: 1544 }));
    }

    #[test]
    fn a_cut_line_is_no_stat() {
        assert_eq!(parse("4242 (nginx) S 17 4242"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_time_stands_first() {
        assert_eq!(ran("230830442 18702028 471\n"), Some(Duration::from_nanos(230_830_442)));
        assert_eq!(ran(""), None);
    }

    #[test]
    fn this_very_process_uses_memory_and_time() {
        let usage = || usage(std::process::id()).unwrap();
        let before = usage();
        assert!(before.resident > 100_000, "{before:?}");
        // The kernel counts what a thread has used when it looks at it, a few hundred times a second.
        while usage() - before == Duration::ZERO {}
    }

    #[test]
    fn the_difference_of_two_looks_is_time() {
        let at = |milliseconds| Usage { cpu: Duration::from_millis(milliseconds), resident: 1 };
        assert_eq!(at(250) - at(100), Duration::from_millis(150));
    }
}

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
    parent: u32,
    /// `utime + stime`, in ticks.
    ticks: u64,
    /// `rss`, in pages.
    pages: u64,
}

/// A process and its direct children: nginx works in children of its own.
pub(crate) fn usage(pid: u32) -> Result<Usage, Failure> {
    let own = read(pid)?;
    let folder = Path::new("/proc");
    let entries = std::fs::read_dir(folder).map_err(Failure::file("list", folder))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // A process may end between the listing and the look; then it is no child to count.
    let children = pids.filter_map(|other| read(other).ok()).filter(|stat| stat.parent == pid);
    let (ticks, pages) = children
        .fold((own.ticks, own.pages), |(ticks, pages), child| (ticks + child.ticks, pages + child.pages));
    let ticks_per_second = ask_system("CLK_TCK", &TICKS)?;
    let page = ask_system("PAGESIZE", &PAGE)?;
    Ok(Usage { cpu: Duration::from_nanos(ticks * 1_000_000_000 / ticks_per_second), resident: pages * page })
}

/// How many processes wanted to run, on average over the last minute: what else keeps this
/// machine busy disturbs every measurement.
pub(crate) fn load() -> Result<String, Failure> {
    let path = Path::new("/proc/loadavg");
    let text = std::fs::read_to_string(path).map_err(Failure::file("read", path))?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

static TICKS: OnceLock<u64> = OnceLock::new();
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
    parse(&text).ok_or_else(|| Failure::Malformed { path, problem: "fields are missing".to_owned() })
}

fn parse(text: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, and may itself hold any sign.
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    // Numbered from 1 in proc(5): field 3 (state) is the first one behind the name.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat { parent: field(4)?.try_into().ok()?, ticks: field(14)? + field(15)?, pages: field(24)? })
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
        assert_eq!(parse(SAMPLE), Some(Stat { parent: 17, ticks: 380, pages: 1544 }));
    }

    #[test]
    fn a_cut_line_is_no_stat() {
        assert_eq!(parse("4242 (nginx) S 17 4242"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_very_process_uses_memory() {
        let usage = usage(std::process::id()).unwrap();
        assert!(usage.resident > 100_000, "{usage:?}");
    }

    #[test]
    fn the_difference_of_two_looks_is_time() {
        let at = |milliseconds| Usage { cpu: Duration::from_millis(milliseconds), resident: 1 };
        assert_eq!(at(250) - at(100), Duration::from_millis(150));
    }
}

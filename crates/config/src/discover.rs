//! Where a configuration may be: candidates in their order; and where what was learned is kept. It knows names, and opens
//! nothing.

use std::path::{Path, PathBuf};

/// What is known about where to look. Empty texts and paths count as not set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings<'a> {
    /// `--config`.
    pub explicit: Option<&'a Path>,
    /// `CC_RELAY_CONFIG`.
    pub variable: Option<&'a Path>,
    /// The current folder.
    pub current: Option<&'a Path>,
    /// `XDG_CONFIG_HOME`; not looked at unless absolute
    /// (<https://specifications.freedesktop.org/basedir/latest/>).
    pub xdg: Option<&'a Path>,
    /// `HOME`.
    pub home: Option<&'a Path>,
}

/// Where to look for a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Search {
    /// There and nowhere else: somebody named it, so it must exist.
    Named(PathBuf),
    /// The first of these that exists. If none does, the relay runs without a file.
    First(Vec<PathBuf>),
}

/// The names of a configuration in a folder, in their order.
const NAMES: [&str; 3] = ["config.yaml", "config.yml", "config.toml"];

/// Where to look: what was named; else the current folder, the user's, the machine's.
pub fn search(surroundings: Surroundings<'_>) -> Search {
    let set = |path: Option<&Path>| path.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned);
    if let Some(named) = set(surroundings.explicit).or_else(|| set(surroundings.variable)) {
        return Search::Named(named);
    }
    let mut folders = vec![set(surroundings.current).unwrap_or_else(|| PathBuf::from("."))];
    let xdg = set(surroundings.xdg).filter(|path| path.is_absolute());
    // The old program looked below `$HOME/.config` whatever `XDG_CONFIG_HOME` says.
    let home = set(surroundings.home).map(|home| home.join(".config"));
    for folder in [xdg, home].into_iter().flatten() {
        folders.push(folder.join("cc-relay"));
    }
    folders.push(PathBuf::from("/etc/cc-relay"));
    let mut paths = Vec::new();
    for path in folders.iter().flat_map(|folder| NAMES.map(|name| folder.join(name))) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    Search::First(paths)
}

/// The file in which what was learned is kept, unless the configuration names another; none if nobody has a home. A folder
/// that is not absolute counts as not set (<https://specifications.freedesktop.org/basedir/latest/>).
pub fn state(xdg_state_home: Option<&Path>, home: Option<&Path>) -> Option<PathBuf> {
    let absolute = |path: Option<&Path>| path.filter(|path| path.is_absolute()).map(Path::to_owned);
    let home = || absolute(home).map(|home| home.join(".local/state"));
    absolute(xdg_state_home).or_else(home).map(|folder| folder.join("cc-relay/state.db"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(surroundings: Surroundings<'_>) -> Vec<String> {
        match search(surroundings) {
            Search::Named(path) => vec![format!("only {}", path.display())],
            Search::First(paths) => paths.iter().map(|path| path.display().to_string()).collect(),
        }
    }

    #[test]
    fn what_is_named_is_the_only_candidate() {
        let explicit = Some(Path::new("/a/b.yaml"));
        let variable = Some(Path::new("c.toml"));
        let both = Surroundings { explicit, variable, ..Surroundings::default() };
        assert_eq!(first(both), ["only /a/b.yaml"]);
        assert_eq!(first(Surroundings { explicit: None, ..both }), ["only c.toml"]);
        assert_eq!(first(Surroundings { explicit: Some(Path::new("")), ..both }), ["only c.toml"]);
    }

    #[test]
    fn folders_are_searched_from_near_to_far() {
        let surroundings = Surroundings {
            current: Some(Path::new(".")),
            xdg: Some(Path::new("/x")),
            home: Some(Path::new("/h")),
            ..Surroundings::default()
        };
        let expect = [
            "./config.yaml",
            "./config.yml",
            "./config.toml",
            "/x/cc-relay/config.yaml",
            "/x/cc-relay/config.yml",
            "/x/cc-relay/config.toml",
            "/h/.config/cc-relay/config.yaml",
            "/h/.config/cc-relay/config.yml",
            "/h/.config/cc-relay/config.toml",
            "/etc/cc-relay/config.yaml",
            "/etc/cc-relay/config.yml",
            "/etc/cc-relay/config.toml",
        ];
        assert_eq!(first(surroundings), expect);
    }

    #[test]
    fn what_was_learned_is_kept_where_the_desktop_keeps_such_files() {
        let table = [
            (Some("/x"), Some("/h"), Some("/x/cc-relay/state.db")),
            (None, Some("/h"), Some("/h/.local/state/cc-relay/state.db")),
            (Some(""), Some("/h"), Some("/h/.local/state/cc-relay/state.db")),
            (Some("relative"), Some("/h"), Some("/h/.local/state/cc-relay/state.db")),
            (None, Some("relative"), None),
            (None, Some(""), None),
            (None, None, None),
        ];
        for (xdg, home, expect) in table {
            let found = state(xdg.map(Path::new), home.map(Path::new));
            assert_eq!(found, expect.map(PathBuf::from), "{xdg:?} {home:?}");
        }
    }

    #[test]
    fn no_folder_is_searched_twice_and_none_that_is_not_set() {
        let home = Some(Path::new("/h"));
        let same = Surroundings { xdg: Some(Path::new("/h/.config")), home, ..Surroundings::default() };
        let without = Surroundings { xdg: None, ..same };
        let relative = Surroundings { xdg: Some(Path::new("x")), ..same };
        assert_eq!(first(same), first(without));
        assert_eq!(first(relative), first(without));
        assert_eq!(first(without).len(), 9);
        assert_eq!(first(Surroundings { home: Some(Path::new("")), ..without }).len(), 6);
    }
}

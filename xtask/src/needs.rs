//! What the tests need beside Rust and a C compiler. Knows Debian's packages and how to ask for
//! permission; refuses to install anything that is already there.

use crate::failure::Failure;
use crate::program::Program;
use crate::say;
use crate::workshop::Workshop;

/// One need, and the Debian packages which meet it.
struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    is_met: fn(&Workshop) -> bool,
}

/// Node's packages are fetched over TLS, and Debian's node trusts the system's certificates only.
const NEEDS: &[Need] = &[
    Need {
        what: "node",
        packages: &["nodejs", "ca-certificates"],
        is_met: |it| it.find_program("node").is_some(),
    },
    Need { what: "npm", packages: &["npm"], is_met: |it| it.find_program("npm").is_some() },
    Need { what: "python3", packages: &["python3"], is_met: |it| it.find_program("python3").is_some() },
    Need {
        what: "python3 with venv",
        packages: &["python3-venv"],
        is_met: |_| Program::new("python3").args(["-c", "import ensurepip, venv"]).succeeds(),
    },
];

/// How this machine lets us install packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permission {
    Root,
    Sudo,
    None,
}

/// Installs what is missing, or says what somebody with more rights must install.
pub(crate) fn ensure(workshop: &Workshop) -> Result<(), Failure> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.is_met)(workshop)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|need| need.packages).copied().collect();
    let prefix: &[&str] = match permission(workshop) {
        Permission::Root => &[],
        Permission::Sudo => &["sudo", "-n"],
        Permission::None => return Err(absent(&missing, &packages)),
    };
    say::step(&format!("installing {}", packages.join(" ")));
    apt(prefix, &["update"], &[]).run()?;
    apt(prefix, &["install", "--yes", "--no-install-recommends"], &packages).run()?;
    let still: Vec<&Need> = missing.into_iter().filter(|need| !(need.is_met)(workshop)).collect();
    if still.is_empty() { Ok(()) } else { Err(absent(&still, &packages)) }
}

fn permission(workshop: &Workshop) -> Permission {
    if workshop.find_program("apt-get").is_none() {
        Permission::None
    } else if rustix::process::geteuid().is_root() {
        Permission::Root
    } else if Program::new("sudo").args(["-n", "true"]).succeeds() {
        Permission::Sudo
    } else {
        Permission::None
    }
}

fn apt(prefix: &[&str], verb: &[&str], packages: &[&str]) -> Program {
    // `env` stands behind `sudo`, which would otherwise drop the variable.
    let mut words = prefix.iter().chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).chain(verb);
    let first = words.next().expect("the command has at least its own name");
    Program::new(first).args(words).args(packages)
}

fn absent(missing: &[&Need], packages: &[&str]) -> Failure {
    Failure::Missing {
        what: missing.iter().map(|need| need.what).collect(),
        hint: format!("on Debian: apt-get install {}", packages.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_packages_that_bring_it() {
        let failure = absent(&[&NEEDS[1], &NEEDS[3]], &["npm", "python3-venv"]);
        assert_eq!(
            failure.to_string(),
            "missing on this machine: npm, python3 with venv\n  hint: on Debian: apt-get install npm python3-venv"
        );
    }

    #[test]
    fn each_need_names_a_package() {
        assert!(NEEDS.iter().all(|need| !need.packages.is_empty()));
    }
}

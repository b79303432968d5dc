//! What a configuration asks of the machine: files that must be there, or that could be made. All of it is looked at
//! before anything begins, so that all of it is told at once, and like what is wrong with the text itself.
//!
//! It refuses to know what only who serves takes hold of, and what may well come later: ports, and the files of keys.

use relay_config::{Problem, Problems};
use relay_proxy::Certificate;

use crate::app::log;
use crate::find::Found;

/// Looks at everything.
pub(crate) fn look(found: &Found) -> Result<(), Problems> {
    let problems: Vec<Problem> =
        log(found).into_iter().chain(certificate(found)).chain(state(found)).collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems::new(problems).in_file(found.name())) }
}

fn log(found: &Found) -> Option<Problem> {
    let error = log::check(&found.config.log).err()?;
    let what = format!("{} cannot be written: {error}", log::place(&found.config.log.output));
    let hint = "let it name a file that can be written, or write `stdout`";
    Some(found.places.problem("logging.output", what, hint))
}

fn certificate(found: &Found) -> Vec<Problem> {
    let faults = found.config.server.tls.as_ref().map(Certificate::faults).unwrap_or_default();
    let problem = |fault: &relay_proxy::UnusableCertificate| {
        let path =
            fault.option().map_or_else(|| "server.tls".to_owned(), |option| format!("server.tls.{option}"));
        let hint = match fault.option() {
            Some(_) => "let it name a file that holds it in PEM",
            None => "the key must be that of the certificate",
        };
        found.places.problem(&path, relay_telemetry::chain(fault), hint)
    };
    faults.iter().map(problem).collect()
}

/// Of the usual place nobody has said anything that could be wrong: if nothing can be kept there, the relay serves all
/// the same.
fn state(found: &Found) -> Option<Problem> {
    let path = found.config.state.path.as_deref().filter(|_| found.config.state.enabled)?;
    let misplaced = relay_proxy::look_at_place(path).err()?;
    let hint = "let it name a file that is there or could be made, or set `state.enabled: false`";
    Some(found.places.problem("state.path", misplaced.to_string(), hint))
}

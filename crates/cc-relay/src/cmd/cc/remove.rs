//! `cc-relay config cc remove`: takes back what `init` set, and nothing else.

use crate::cc::change::{self, Change, Step};
use crate::cc::files::Files;
use crate::cc::record::Record;
use crate::cli::Invocation;
use crate::report::{self, Exit, Outcome};

/// Take back what `config cc init` set
#[derive(clap::Args)]
pub(crate) struct Remove {}

impl Remove {
    #[expect(clippy::unused_self, reason = "every command of the table is run in the same way")]
    pub(crate) fn run(self, invocation: &Invocation) -> Outcome {
        let files = Files::of(&invocation.environment)?;
        let _lock = files.lock();
        let read = files.read()?;
        let path = files.settings.display();
        let Some(document) = &read.document else {
            report::tell(format_args!("nothing to remove: there is no {path}"));
            // What cannot be put back is kept.
            match read.record.filter(|record| record.replaced().next().is_some()) {
                Some(record) => tell_kept(&files, &record),
                None => files.write_record(None)?,
            }
            return Ok(Exit::Done);
        };
        let change = change::remove(document, read.record.as_ref());
        let settings = change.settings.as_deref();
        if settings.map(str::as_bytes) != read.bytes.as_deref() {
            files.write_settings(&read, settings)?;
        }
        files.write_record(change.record.as_ref())?;
        files.drop_copy(settings)?;
        if change.steps.iter().all(|(_, step)| *step == Step::Gone) {
            report::tell(format_args!("nothing to remove: {path} holds nothing that `cc-relay` set"));
        } else {
            report::tell(path);
            tell_steps(&change);
        }
        if let Some(record) = &change.record {
            tell_kept(&files, record);
        }
        Ok(Exit::Done)
    }
}

fn tell_steps(change: &Change) {
    for (name, step) in &change.steps {
        match step {
            Step::Removed => report::tell(format_args!("  {name} was removed")),
            Step::Restored => report::tell(format_args!("  {name} is your own again")),
            Step::Left => report::tell(format_args!("  {name} is yours by now, and left as it is")),
            Step::Gone | Step::Kept | Step::Set | Step::Replaced => {}
        }
    }
    if change.settings.is_none() {
        report::tell("  nothing else was in it, so the file is gone as well");
    }
}

/// What the user had set, and is not put back because nothing stands in its place.
fn tell_kept(files: &Files, record: &Record) {
    let (names, record) = (record.replaced().collect::<Vec<_>>().join(" and "), files.record.display());
    report::tell(format_args!(
        "your own {names} stays in {record}: `config cc init` and `config cc remove` put it back, or delete that file"
    ));
}

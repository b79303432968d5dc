//! `cc-relay config cc remove`: takes back what `init` set, and nothing else.

use crate::cc::change::{self, Step};
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
            let replaced: Vec<_> = read.record.iter().flat_map(Record::replaced).collect();
            if replaced.is_empty() {
                files.write_record(None)?;
            } else {
                let (names, record) = (replaced.join(" and "), files.record.display());
                report::tell(format_args!(
                    "your own {names} stays in {record}: `config cc init` and `config cc remove` put it back, or \
                     delete that file"
                ));
            }
            return Ok(Exit::Done);
        };
        let change = change::remove(document, read.record.as_ref());
        let settings = change.settings.as_deref();
        if settings.map(str::as_bytes) != read.bytes.as_deref() {
            files.write_settings(&read, settings)?;
        }
        files.write_record(None)?;
        files.drop_copy(settings)?;
        if change.steps.iter().all(|(_, step)| *step == Step::Gone) {
            report::tell(format_args!("nothing to remove: {path} holds nothing that `cc-relay` set"));
            return Ok(Exit::Done);
        }
        report::tell(path);
        for (name, step) in &change.steps {
            match step {
                Step::Removed => report::tell(format_args!("  {name} was removed")),
                Step::Restored => report::tell(format_args!("  {name} is your own again")),
                Step::Left => report::tell(format_args!("  {name} is yours by now, and left as it is")),
                Step::Gone | Step::Kept | Step::Set | Step::Replaced => {}
            }
        }
        if settings.is_none() {
            report::tell("  nothing else was in it, so the file is gone as well");
        }
        Ok(Exit::Done)
    }
}

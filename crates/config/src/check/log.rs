//! What is logged, and where.

use crate::checked::{DebugOptions, Format, Log, Output};
use crate::problem::Findings;
use crate::raw;

pub(super) fn log(raw: &raw::log::Logging, findings: &mut Findings) -> Log {
    let output = match raw.output.value.text.as_str() {
        "" | "stdout" => Output::Stdout,
        "stderr" => Output::Stderr,
        path => {
            if path.starts_with('~') {
                findings
                    .problem(&raw.output.spot, "begins with `~`, which only a shell understands")
                    .hint("write `${HOME}/…`");
            }
            Output::File(path.into())
        }
    };
    let options = &raw.debug_options;
    let preview = usize::try_from(options.max_body_log_size.value.0).unwrap_or(usize::MAX);
    Log {
        level: raw.level.value.0,
        format: if raw.pretty.value.0 { Format::Text } else { raw.format.value.0 },
        output,
        debug: DebugOptions {
            request_body: options.log_request_body.value.0,
            response_headers: options.log_response_headers.value.0,
            tls_metrics: options.log_tls_metrics.value.0,
            max_body: if preview == 0 { DebugOptions::PREVIEW } else { preview },
        },
    }
}

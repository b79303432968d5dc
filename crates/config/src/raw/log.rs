//! `logging`: what is logged, and where, as written.

use crate::checked::{Format, Level};
use crate::raw::leaf::{Choice, Flag, OneOf, Text};
use crate::raw::table::section;
use crate::raw::unit::Size;

section! {
    /// What is logged, and where.
    Logging {
        /// The least important level that is written.
        level: OneOf<Level> = Level::Info;
        /// How a line looks. `auto` is text on a terminal and JSON elsewhere; `console` and `text` are its old names.
        /// `pretty` is text everywhere.
        format: OneOf<Format> = Format::Auto;
        /// Where lines go: `stdout`, `stderr`, or a file that is appended to and created with mode 0600.
        output: Text = "stdout";
        /// The same as `format: pretty`.
        pretty: Flag = false;
        /// What else is logged of a request, at level `debug`.
        debug_options: DebugOptions;
    }
    dead {
        "file" => "write the path of the file as `output`";
    }
}

section! {
    /// What else is logged of a request, at level `debug`.
    DebugOptions {
        /// The beginning of a body, with secrets removed.
        log_request_body: Flag = false;
        /// The headers of the answer.
        log_response_headers: Flag = false;
        /// DNS, connect, TLS and first-byte times.
        log_tls_metrics: Flag = false;
        /// How much of a body; 0 means 1000 bytes.
        max_body_log_size: Size<0, { 1 << 30 }> = crate::checked::DebugOptions::PREVIEW as u64;
    }
}

impl Choice for Level {
    fn words() -> Vec<(&'static str, Self)> {
        vec![("debug", Self::Debug), ("info", Self::Info), ("warn", Self::Warn), ("error", Self::Error)]
    }
}

impl Choice for Format {
    fn words() -> Vec<(&'static str, Self)> {
        vec![
            ("auto", Self::Auto),
            ("json", Self::Json),
            ("console", Self::Auto),
            ("text", Self::Auto),
            ("pretty", Self::Text),
        ]
    }
}

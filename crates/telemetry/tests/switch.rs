//! Which lines are written, and that this can be changed while the program runs. There is one log in a program, so
//! that there is one test here.

use std::sync::Arc;
use std::time::Duration;

use relay_core::{Time, Usage};
use relay_telemetry::happening::{self, End, Finished};
use relay_telemetry::{Format, Level, Settings, Target, init};

fn finish(request_id: &str, status: u16) {
    let finished = Finished {
        request_id,
        client: "alice",
        method: "GET",
        path: "/v1/models",
        model: "",
        provider: "",
        key: "",
        status,
        end: End::Whole,
        attempts: 0,
        met: "",
        waited: Duration::ZERO,
        moved: "",
        first_byte: None,
        ended: Time::EPOCH + Duration::from_millis(1_763_719_322_456),
        duration: Duration::ZERO,
        usage: Usage::ZERO,
        bytes: 0,
        events: 0,
    };
    finished.emit();
}

#[test]
fn the_level_is_switched_for_every_line_and_libraries_are_heard_when_they_warn() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let target = Target::File(file.clone());
    let settings = Settings { level: Level::Warn, format: Format::Text, target };
    let clock = Arc::new(|| Time::EPOCH + Duration::from_millis(1_763_719_322_456));
    let (switch, guard) = init(&settings, clock).unwrap();
    assert!(!relay_telemetry::overhear(|_| ()), "the first start stays");

    for level in [Level::Warn, Level::Error, Level::Info, Level::Debug] {
        switch.set(level);
        finish("good", 200);
        finish("refused", 404);
        finish("failed", 500);
        happening::attempt_failed("3f2a-1", "a", "first", "overloaded", "");
        tracing::info!(target: "relay", "ours");
        tracing::info!(target: "hyper", "theirs");
        tracing::warn!(target: "hyper", "theirs, and bad");
        tracing::trace!(target: "relay", "bytes");
        let _span = tracing::error_span!(target: "relay", "span").entered();
    }
    drop(guard);

    let written = std::fs::read_to_string(file).unwrap();
    let said = written.lines().map(|line| {
        let words = line.strip_prefix("10:02:02 ").unwrap();
        words.split_once(" client=").map_or(words, |(head, _)| head)
    });
    let warn = [
        "WRN -> request finished request_id=refused",
        "ERR -> request finished request_id=failed",
        "WRN -> theirs, and bad",
    ];
    let error = ["ERR -> request finished request_id=failed"];
    let info = [
        "INF -> request finished request_id=good",
        "WRN -> request finished request_id=refused",
        "ERR -> request finished request_id=failed",
        "INF -> ours",
        "WRN -> theirs, and bad",
    ];
    let debug = [
        "INF -> request finished request_id=good",
        "WRN -> request finished request_id=refused",
        "ERR -> request finished request_id=failed",
        "DBG -> attempt failed request_id=3f2a-1 provider=a key_id=first verdict=overloaded detail=\"\"",
        "INF -> ours",
        "WRN -> theirs, and bad",
    ];
    let expect = [&warn[..], &error, &info, &debug].concat();
    assert_eq!(said.collect::<Vec<_>>(), expect);
}

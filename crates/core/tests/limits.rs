//! The laws of limits: what is promised, taken, waited for, learned and shared.

#[path = "limits/bucket.rs"]
mod bucket;
#[path = "limits/stage.rs"]
mod stage;
#[path = "limits/world.rs"]
mod world;

#[path = "limits/admission.rs"]
mod admission;
#[path = "limits/announced.rs"]
mod announced;
#[path = "limits/books.rs"]
mod books;
#[path = "limits/capacity.rs"]
mod capacity;
#[path = "limits/choice.rs"]
mod choice;
#[path = "limits/concurrency.rs"]
mod concurrency;
#[path = "limits/headers.rs"]
mod headers;
#[path = "limits/homes.rs"]
mod homes;
#[path = "limits/lines.rs"]
mod lines;
#[path = "limits/memory.rs"]
mod memory;
#[path = "limits/moments.rs"]
mod moments;
#[path = "limits/ramp.rs"]
mod ramp;
#[path = "limits/reserving.rs"]
mod reserving;
#[path = "limits/sharing.rs"]
mod sharing;
#[path = "limits/turns.rs"]
mod turns;
#[path = "limits/weaknesses.rs"]
mod weaknesses;
#[path = "limits/windows.rs"]
mod windows;

use proptest::prelude::ProptestConfig;

/// How the laws are held: what failed is printed whole, and nothing is written beside the sources.
/// `PROPTEST_CASES` asks for more than the usual number of cases, of which these, being slow, take a part.
fn thorough(part: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { failure_persistence: None, cases: (usual.cases / part).max(1), ..usual }
}

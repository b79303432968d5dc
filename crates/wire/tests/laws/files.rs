//! Every file that a request names is found, wherever it stands.

use proptest::{prop_assert_eq, proptest};
use relay_wire::Call;
use serde_json::value::RawValue;

use crate::json::{self, Pairs};

/// The strings behind every `file_id`, as a parser sees them, once each and in order.
fn named(text: &str, files: &mut Vec<String>) {
    if let Ok(Pairs(members)) = serde_json::from_str(text) {
        for (key, value) in members {
            let file = serde_json::from_str(value.get())
                .ok()
                .filter(|file| key == "file_id" && !files.contains(file));
            files.extend(file);
            named(value.get(), files);
        }
    } else if let Ok(elements) = serde_json::from_str::<Vec<Box<RawValue>>>(text) {
        for element in elements {
            named(element.get(), files);
        }
    }
}

proptest! {
    #[test]
    fn every_file_is_found(document in json::object()) {
        let mut expect = Vec::new();
        named(&document, &mut expect);
        prop_assert_eq!(Call::read(document.as_bytes()).unwrap().files, expect);
    }
}

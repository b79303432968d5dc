//! Google Vertex AI.
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/partner-models/claude>

use crate::adapter::{Account, Adapter, Auth, Facts, Place, Scheme, Setting};

pub(crate) struct Vertex;

impl Adapter for Vertex {
    fn facts(&self) -> &'static Facts {
        &Facts {
            place: Place::Of(&[Setting::GcpProject, Setting::GcpRegion], place),
            models: &[],
            owner: "google",
            first_byte: crate::FIRST_BYTE,
            auth: Auth { scheme: Scheme::Unwritten, is_needed: false },
            offers: &[],
            lacks: |_| &[],
            takes_beta: |_, _| true,
        }
    }
}

/// The worldwide endpoint and those of several regions have hosts of other shapes than those of one region.
fn place(account: &Account) -> String {
    match account.get(Setting::GcpRegion) {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        several @ ("us" | "eu") => format!("https://aiplatform.{several}.rep.googleapis.com"),
        region => format!("https://{region}-aiplatform.googleapis.com"),
    }
}

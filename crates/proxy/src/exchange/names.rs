//! The names in a request's record: who asks, for which model, and who is asked with which key. They stand in one
//! text, one after another as they become known: a text for each would cost every request twice as much.

/// Names, all empty at first.
#[derive(Default, Debug)]
pub(super) struct Names {
    /// Client, model, provider, key.
    text: String,
    /// Where each but the last ends.
    client: usize,
    model: usize,
    provider: usize,
}

impl Names {
    /// Who asks. What was known of the rest is forgotten.
    pub(super) fn set_client(&mut self, client: &str) {
        /// Holds the names that are usual.
        const USUAL: usize = 80;
        self.text.clear();
        self.text.reserve(USUAL);
        self.text.push_str(client);
        self.client = self.text.len();
        (self.model, self.provider) = (self.client, self.client);
    }

    /// What is asked for. Who is asked is forgotten.
    pub(super) fn set_model(&mut self, model: &str) {
        self.text.truncate(self.client);
        self.text.push_str(model);
        self.model = self.text.len();
        self.provider = self.model;
    }

    /// Who is asked, and with which key, in place of whoever was before.
    pub(super) fn set_asked(&mut self, provider: &str, key: &str) {
        self.text.truncate(self.model);
        self.text.push_str(provider);
        self.provider = self.text.len();
        self.text.push_str(key);
    }

    pub(super) fn client(&self) -> &str {
        &self.text[..self.client]
    }

    pub(super) fn model(&self) -> &str {
        &self.text[self.client..self.model]
    }

    pub(super) fn provider(&self) -> &str {
        &self.text[self.model..self.provider]
    }

    pub(super) fn key(&self) -> &str {
        &self.text[self.provider..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &Names) -> [&str; 4] {
        [names.client(), names.model(), names.provider(), names.key()]
    }

    #[test]
    fn each_name_is_known_from_when_it_was_said_until_what_it_hangs_on_changes() {
        let mut names = Names::default();
        assert_eq!(all(&names), [""; 4]);
        names.set_client("straße");
        assert_eq!(all(&names), ["straße", "", "", ""]);
        names.set_model("claude");
        assert_eq!(all(&names), ["straße", "claude", "", ""]);
        names.set_asked("anthropic", "first");
        assert_eq!(all(&names), ["straße", "claude", "anthropic", "first"]);
        names.set_asked("zai", "");
        assert_eq!(all(&names), ["straße", "claude", "zai", ""]);
        names.set_model("");
        assert_eq!(all(&names), ["straße", "", "", ""]);
        names.set_asked("own", "second");
        assert_eq!(all(&names), ["straße", "", "own", "second"]);
        names.set_client("open");
        assert_eq!(all(&names), ["open", "", "", ""]);
    }
}

//! The names of the kinds of provider, as the configuration writes them.

/// A kind of provider: the `type:` of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// `anthropic`: the Anthropic API itself, or anything that speaks as it does.
    Anthropic,
    /// `zai`: Z.AI.
    Zai,
    /// `minimax`: MiniMax.
    MiniMax,
    /// `ollama`: Ollama, local or cloud.
    Ollama,
    /// `bedrock`: AWS Bedrock.
    Bedrock,
    /// `azure`: Microsoft Foundry.
    Azure,
    /// `vertex`: Google Vertex AI.
    Vertex,
}

impl Kind {
    /// All of them, in the order of the book.
    pub const ALL: [Self; 7] =
        [Self::Anthropic, Self::Zai, Self::MiniMax, Self::Ollama, Self::Bedrock, Self::Azure, Self::Vertex];

    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::Zai => "zai",
            Self::MiniMax => "minimax",
            Self::Ollama => "ollama",
            Self::Bedrock => "bedrock",
            Self::Azure => "azure",
            Self::Vertex => "vertex",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

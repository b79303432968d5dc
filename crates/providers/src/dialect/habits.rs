//! In what servers of one dialect differ: told by where they are and by the name of the model, for none of them says it.

/// What one server takes of one model.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Habits {
    /// What it calls the most tokens that an answer may have.
    pub(crate) most: &'static str,
    /// It can be told how much to think.
    pub(crate) effort: bool,
    /// It can be told how to choose among tokens.
    pub(crate) sampling: bool,
    /// What it calls thoughts of its own that it wants to see again, if it does.
    pub(crate) thoughts: Option<&'static str>,
    /// A name for a conversation helps its cache.
    pub(crate) cache_key: bool,
}

/// Models that think, by the beginning of their names, and whether they are told how to choose among tokens: those of OpenAI
/// refuse that. <https://platform.openai.com/docs/guides/reasoning>, <https://ai.google.dev/gemini-api/docs/openai>,
/// <https://docs.x.ai/docs/guides/reasoning>, <https://console.groq.com/docs/reasoning>
const THINKING: [(&str, bool); 10] = [
    ("gpt-oss", true),
    ("gpt-5", false),
    ("gpt-6", false),
    ("o1", false),
    ("o3", false),
    ("o4", false),
    ("codex", false),
    ("gemini-2.5", true),
    ("gemini-3", true),
    ("grok-3-mini", true),
];

/// Hosts, and names of networks at home, whose servers take thoughts back under that name. Others refuse a field that they
/// do not know.
const TAKE_THOUGHTS: [&str; 3] = ["deepseek.com", "moonshot.ai", "moonshot.cn"];

impl Habits {
    /// What the server at that host takes of that model.
    pub(crate) fn of(host: &str, model: &str) -> Self {
        // Where models of many makers are, the maker stands before the name.
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let thinks = THINKING.iter().find(|(start, _)| name.starts_with(start));
        let is_at = |domain: &str| {
            host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
        };
        let is_openai = is_at("openai.com") || is_at("azure.com");
        let refuses_most = is_openai || thinks.is_some_and(|(_, sampling)| !sampling);
        Self {
            most: if refuses_most { "max_completion_tokens" } else { "max_tokens" },
            effort: thinks.is_some(),
            sampling: thinks.is_none_or(|(_, sampling)| *sampling),
            thoughts: (is_home(host) || TAKE_THOUGHTS.into_iter().any(is_at)).then_some("reasoning_content"),
            cache_key: is_openai,
        }
    }
}

/// Is it on this machine or in its own network? vLLM, SGLang, llama.cpp and LM Studio run there.
fn is_home(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    match address {
        Ok(std::net::IpAddr::V4(address)) => {
            address.is_loopback() || address.is_private() || address.is_link_local()
        }
        Ok(std::net::IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
        Err(_) => {
            !host.contains('.')
                || ["local", "internal"].contains(&host.rsplit('.').next().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_differ_by_where_they_are_and_by_their_models() {
        let usual =
            Habits { most: "max_tokens", effort: false, sampling: true, thoughts: None, cache_key: false };
        let openai = Habits { most: "max_completion_tokens", cache_key: true, ..usual };
        let home = Habits { thoughts: Some("reasoning_content"), ..usual };
        let table = [
            ("api.openai.com", "gpt-4.1", openai),
            ("api.openai.com", "gpt-5.6-sol", Habits { effort: true, sampling: false, ..openai }),
            ("me.openai.azure.com", "gpt-4o", openai),
            (
                "openrouter.ai",
                "openai/o3",
                Habits { most: "max_completion_tokens", effort: true, sampling: false, ..usual },
            ),
            ("api.groq.com", "openai/gpt-oss-120b", Habits { effort: true, ..usual }),
            ("api.groq.com", "llama-3.3-70b-versatile", usual),
            ("notopenai.com", "gpt-4o", usual),
            ("generativelanguage.googleapis.com", "gemini-3-pro", Habits { effort: true, ..usual }),
            ("127.0.0.1", "Qwen3", home),
            ("[::1]", "Qwen3", home),
            ("192.168.1.7", "Qwen3", home),
            ("vllm", "Qwen3", home),
            ("gpu.local", "Qwen3", home),
            ("8.8.8.8", "Qwen3", usual),
            ("api.deepseek.com", "deepseek-v4-pro", home),
        ];
        for (host, model, expect) in table {
            assert_eq!(Habits::of(host, model), expect, "{host} {model}");
        }
    }
}

//! Errors of OpenAI's, and of those who speak as it does, in Anthropic's words.

use relay_wire::refusal::{ErrorKind, Refusal};

use crate::cloud;

/// What an error is at Anthropic, and in which words. Clients make a prompt shorter if they are told in the words that they
/// know that it is too long.
pub(crate) fn says(kind: ErrorKind, refusal: &Refusal) -> (ErrorKind, String) {
    let words = refusal.message.clone().unwrap_or_else(|| cloud::plain(kind));
    let told = [refusal.code.as_deref(), refusal.kind.as_deref()];
    let is = |names: &[&str]| told.iter().flatten().any(|told| names.contains(told));
    if is(&["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"]) {
        return (ErrorKind::Billing, words);
    }
    if is(&["context_length_exceeded", "exceed_context_size_error"])
        || TOO_LONG.iter().any(|it| words.contains(it))
    {
        return (ErrorKind::InvalidRequest, too_long(&words));
    }
    (kind, words)
}

/// In which words OpenAI, vLLM and SGLang, xAI, Gemini and Groq say that a prompt is too long.
const TOO_LONG: [&str; 5] = [
    "maximum context length",
    "maximum prompt length",
    "maximum number of tokens allowed",
    "Input tokens exceed",
    "reduce the length of the messages",
];

/// `prompt is too long: 9000 tokens > 8192 maximum`, or that prompt and answer together are, if the words have the numbers.
fn too_long(words: &str) -> String {
    let digits = |c: char| !c.is_ascii_digit();
    let after = |mark: &str| words.split_once(mark)?.1.split(digits).next()?.parse::<u64>().ok();
    let before = |mark: &str| words.split_once(mark)?.0.rsplit(digits).next()?.parse::<u64>().ok();
    let prompt = before(" in the messages").or_else(|| before(" input tokens"));
    let answer = before(" in the completion").or_else(|| after("is too large: "));
    let most = after("maximum context length is ");
    if let (Some(prompt), Some(answer), Some(most)) = (prompt, answer, most)
        && prompt <= most
    {
        return format!(
            "input length and `max_tokens` exceed context limit: {prompt} + {answer} > {most}, decrease input length or `max_tokens` and try again"
        );
    }
    let numbers = words.split(digits).filter_map(|digits| digits.parse().ok());
    let numbers: Vec<u64> = numbers.filter(|number| *number >= 256).collect();
    let (most, has) = (most.or(numbers.iter().min().copied()), prompt.or(numbers.iter().max().copied()));
    match most.zip(has).filter(|(most, has)| most < has) {
        Some((most, has)) => format!("prompt is too long: {has} tokens > {most} maximum"),
        None => format!("prompt is too long: {words}"),
    }
}

/// The same of one that comes under a 200, whose status says nothing.
pub(super) fn says_late(refusal: &Refusal) -> (ErrorKind, String) {
    says(kind_of(refusal), refusal)
}

/// What kind of error that is at Anthropic.
fn kind_of(said: &Refusal) -> ErrorKind {
    let words = [said.kind.as_deref(), said.code.as_deref()];
    let is = |name: &str| words.contains(&Some(name));
    if is("rate_limit_exceeded") || is("rate_limit_error") || is("429") {
        ErrorKind::RateLimit
    } else if is("invalid_request_error") || is("400") {
        ErrorKind::InvalidRequest
    } else if is("overloaded_error") || is("503") || is("529") {
        ErrorKind::Overloaded
    } else {
        ErrorKind::Api
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_clients_know() {
        let table = [
            (
                "insufficient_quota",
                "You exceeded your current quota",
                ErrorKind::Billing,
                "You exceeded your current quota",
            ),
            (
                "context_length_exceeded",
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                ErrorKind::InvalidRequest,
                "prompt is too long: 9000 tokens > 8192 maximum",
            ),
            (
                "400",
                "This model's maximum context length is 4096 tokens. Please reduce the length.",
                ErrorKind::InvalidRequest,
                "prompt is too long: This model's maximum context length is 4096 tokens. Please reduce the length.",
            ),
            (
                "INVALID_ARGUMENT",
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                ErrorKind::InvalidRequest,
                "prompt is too long: 1100000 tokens > 1048576 maximum",
            ),
            (
                "",
                "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
                ErrorKind::InvalidRequest,
                "prompt is too long: 150000 tokens > 131072 maximum",
            ),
            (
                "BadRequestError",
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the messages, 100 in the completion).",
                ErrorKind::InvalidRequest,
                "prompt is too long: 4900 tokens > 4096 maximum",
            ),
            (
                "400",
                "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 15 input tokens (5000 > 4096 - 15).",
                ErrorKind::InvalidRequest,
                "input length and `max_tokens` exceed context limit: 15 + 5000 > 4096, decrease input length or `max_tokens` and try again",
            ),
            ("rate_limit_exceeded", "Rate limit reached", ErrorKind::RateLimit, "Rate limit reached"),
        ];
        for (code, words, kind, expect) in table {
            let refusal = Refusal {
                code: Some(code.to_owned()),
                message: Some(words.to_owned()),
                ..Refusal::default()
            };
            assert_eq!(says(ErrorKind::RateLimit, &refusal), (kind, expect.to_owned()), "{code}");
        }
        assert_eq!(says(ErrorKind::Api, &Refusal::default()), (ErrorKind::Api, "api error".to_owned()));
    }
}

//! Chat Completions of OpenAI, which most others speak as well.
//! <https://platform.openai.com/docs/api-reference/chat>, read 2026-11

mod answer;
mod ask;
mod asked;
mod messages;
mod stream;
mod streamed;

pub(crate) use self::answer::Whole;
pub(crate) use self::ask::request;
pub(crate) use self::asked::Asked;
pub(crate) use self::streamed::Streamed;

//! Estimates tokens from bytes. It knows one ratio and refuses to know any tokenizer.
//!
//! The ratio is 3.5 bytes a token, which is about what English prose and JSON give with current
//! models. What counts for a judge is not the exact number but that it is the same everywhere:
//! in `usage`, in the limits, in the cache and in `count_tokens`.

/// Seven bytes for every two tokens.
const BYTES: u64 = 7;
const TOKENS: u64 = 2;

/// How many tokens this many bytes are, rounded up; 0 only for 0 bytes.
pub fn of_bytes(bytes: u64) -> u64 {
    bytes.saturating_mul(TOKENS).div_ceil(BYTES)
}

/// How many bytes fit into this many tokens, rounded down.
pub fn bytes_within(tokens: u64) -> u64 {
    tokens.saturating_mul(BYTES) / TOKENS
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::{bytes_within, of_bytes};

    proptest! {
        #[test]
        fn what_fits_into_tokens_is_at_most_so_many(tokens in 0_u64..1_000_000_000) {
            prop_assert_eq!(of_bytes(bytes_within(tokens)), tokens);
            prop_assert!(of_bytes(bytes_within(tokens) + 1) > tokens);
        }
    }

    #[test]
    fn nothing_is_no_token_and_one_byte_is_one() {
        assert_eq!((of_bytes(0), of_bytes(1), of_bytes(7), of_bytes(8)), (0, 1, 2, 3));
    }
}

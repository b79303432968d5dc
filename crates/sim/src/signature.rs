//! Seals and checks thinking blocks, as the provider's signatures do.
//!
//! A signature carries, sealed, which model made the block and for which organization, and it
//! covers the text that was shown. Only this simulator's secret makes or recognises one: a block
//! from another vendor, or a changed one, is refused. See "Extended thinking" and "Preserved
//! thinking" in Anthropic's documentation. It refuses to know what follows from a mismatch.

use crate::digest::Digest;

/// Bytes that say nothing, so that a signature is as long as a real one (about 300 characters).
const PADDING: usize = 168;
const HEAD: u8 = 0x12;
const LENGTH: usize = 1 + 8 + 8 + PADDING + 16;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Makes and reads signatures with one secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    secret: Digest,
}

/// What a signature says about its block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin {
    model: u64,
    organization: u64,
}

impl Origin {
    pub(crate) fn new(model: &str, organization: &str) -> Self {
        let of = |name: &str| Digest::seeded(1).with(name.as_bytes()).short();
        Self { model: of(model), organization: of(organization) }
    }

    pub(crate) fn same_model(self, other: Self) -> bool {
        self.model == other.model
    }

    pub(crate) fn same_organization(self, other: Self) -> bool {
        self.organization == other.organization
    }
}

impl Seal {
    pub(crate) fn new(seed: u64) -> Self {
        Self { secret: Digest::seeded(seed ^ 0x5ea1) }
    }

    /// Signs a block as it is shown; `nonce` stands for the reasoning that is not.
    pub(crate) fn sign(self, origin: Origin, shown: &str, nonce: Digest) -> String {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(HEAD);
        bytes.extend(origin.model.to_le_bytes());
        bytes.extend(origin.organization.to_le_bytes());
        let mut dice = nonce.dice();
        while bytes.len() < LENGTH - 16 {
            bytes.extend(dice.roll().to_le_bytes());
        }
        bytes.truncate(LENGTH - 16);
        let code = self.code(&bytes, shown);
        bytes.extend(code);
        encode(&bytes)
    }

    /// Where the block was made, if the signature is ours and belongs to what is shown.
    pub(crate) fn open(self, signature: &str, shown: &str) -> Option<Origin> {
        let bytes = decode(signature).filter(|bytes| bytes.len() == LENGTH && bytes[0] == HEAD)?;
        let (sealed, code) = bytes.split_at(LENGTH - 16);
        let number = |from: usize| sealed[from..].first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        (code == self.code(sealed, shown)).then_some(Origin { model: number(1)?, organization: number(9)? })
    }

    fn code(self, sealed: &[u8], shown: &str) -> [u8; 16] {
        self.secret.with(sealed).with(shown.as_bytes()).value().to_le_bytes()
    }
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .enumerate()
            .fold(0, |group, (place, byte)| group | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            let sextet = (group >> (18 - 6 * place)) & 63;
            let letter = ALPHABET[usize::try_from(sextet).expect("six bits fit")];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// The bytes of padded base64, or nothing if it is not that, to the last character.
fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let unpadded = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(unpadded.len() * 3 / 4);
    let (mut group, mut bits) = (0_u32, 0);
    for letter in unpadded.bytes() {
        let sextet = ALPHABET.iter().position(|known| *known == letter)?;
        group = (group << 6 | u32::try_from(sextet).ok()?) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((group >> bits) & 0xff).ok()?);
        }
    }
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prop_assert_eq, proptest};

    use super::{Origin, Seal, decode, encode};
    use crate::digest::Digest;

    fn signed(shown: &str) -> (Seal, Origin, String) {
        let (seal, origin) = (Seal::new(5), Origin::new("claude-opus-5-5", "acme"));
        (seal, origin, seal.sign(origin, shown, Digest::seeded(9)))
    }

    proptest! {
        #[test]
        fn an_encoding_returns_what_it_was_given(bytes in vec(0_u8.., 0..100)) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn a_signature_says_where_its_block_was_made() {
        let (seal, origin, signature) = signed("because");
        assert_eq!(seal.open(&signature, "because"), Some(origin));
        assert!(signature.len() > 200);
    }

    #[test]
    fn any_changed_letter_any_other_text_and_any_other_secret_breaks_it() {
        let (seal, _, signature) = signed("because");
        assert_eq!(seal.open(&signature, "Because"), None);
        assert_eq!(seal.open(&signature, ""), None);
        assert_eq!(Seal::new(6).open(&signature, "because"), None);
        for place in 0..signature.len() {
            let mut changed = signature.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ascii");
            assert_eq!(seal.open(&changed, "because"), None, "letter {place}");
        }
        for foreign in ["", "EqQBCkgIBRABGAI=", "not base64 at all", "AAAA"] {
            assert_eq!(seal.open(foreign, ""), None, "{foreign}");
        }
    }
}

//! Names of tools, of which OpenAI and others take no more than 64 letters, and Anthropic 128. A longer one is cut, and comes
//! back whole. <https://platform.openai.com/docs/api-reference/chat/create>

use std::borrow::Cow;

use relay_wire::scan::Value;

/// The longest name, in bytes.
const MOST: usize = 64;

/// So many are kept of a longer one: what tells it apart from others that begin alike comes after them.
const KEPT: usize = 55;

/// A name as others can have it.
pub(super) fn outward(name: &str) -> Cow<'_, str> {
    if name.len() <= MOST {
        return Cow::Borrowed(name);
    }
    // FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>: the same everywhere, so that prompts stay in caches.
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
    Cow::Owned(format!("{}_{:08x}", &name[..name.floor_char_boundary(KEPT)], hash >> 32))
}

/// The names that were cut in one request.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// What each was cut to, and what it is, as JSON.
    cut: Vec<(String, Vec<u8>)>,
}

impl Names {
    /// Those of the tools of a request.
    pub(crate) fn of(body: &[u8]) -> Self {
        let tools = Value::read(body).ok().and_then(|body| body.get("tools"));
        let tools = tools.into_iter().flat_map(Value::elements).filter_map(Result::ok);
        let names = tools.filter_map(|tool| tool.get("name")).filter(|name| name.text().len() > MOST);
        let cut = names.filter_map(|name| match outward(&name.as_str()?) {
            Cow::Owned(short) => Some((short, name.text().to_vec())),
            Cow::Borrowed(_) => None,
        });
        Self { cut: cut.collect() }
    }

    /// The name that a call of a tool has, as JSON.
    pub(super) fn inward<'n>(&'n self, name: Value<'n>) -> &'n [u8] {
        let told = if self.cut.is_empty() { None } else { name.as_str() };
        let whole = self.cut.iter().find(|(short, _)| told.as_deref() == Some(short));
        whole.map_or(name.text(), |(_, whole)| whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They went out as they were, and were refused.
    #[test]
    fn long_names_of_tools_are_cut_and_come_back_whole() {
        let long = |end: &str| format!("mcp__{}{end}", "server_".repeat(10));
        let (first, second, short) = (long("first"), long("second"), "s".repeat(MOST));
        let body =
            format!(r#"{{"tools":[{{"name":"{first}"}},{{"name":"{second}"}},{{"name":"{short}"}},{{}}]}}"#);
        let names = Names::of(body.as_bytes());
        for name in [&first, &second, &short] {
            let out = outward(name);
            assert!(out.len() <= MOST && (out == name.as_str()) == (*name == short), "{out}");
            let (out, whole) = (format!("\"{out}\""), format!("\"{name}\""));
            assert_eq!(names.inward(Value::read(out.as_bytes()).unwrap()), whole.as_bytes());
        }
        assert_ne!(outward(&first), outward(&second));
        assert!(outward(&"é".repeat(40)).len() <= MOST);
        let unknown = Value::read(b"\"x\"").unwrap();
        assert_eq!(Names::of(b"{").inward(unknown), b"\"x\"");
    }
}

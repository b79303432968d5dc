//! The page of each provider in the book: there is one, and what it shows loads.

use std::path::{Path, PathBuf};

use relay_config::{Format, load};
use relay_providers::Kind;

fn page(kind: Kind) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/book/providers")
        .join(kind.as_str())
        .with_extension("md")
}

/// What stands in its blocks of YAML.
fn examples(page: &str) -> Vec<&str> {
    let blocks = page.split("```yaml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap_or_default()).collect()
}

#[test]
fn every_provider_has_a_page_whose_examples_load() {
    for kind in Kind::all() {
        let page = std::fs::read_to_string(page(kind)).unwrap_or_default();
        let examples = examples(&page);
        assert!(!examples.is_empty(), "the page of `{}` shows how it is configured", kind.as_str());
        for example in examples {
            let loaded = load(example, Format::Yaml, &|name| Some(format!("value-of-{name}")));
            let loaded = loaded.unwrap_or_else(|problems| panic!("{}: {problems}", kind.as_str()));
            assert!(loaded.notices.is_empty(), "{}: {:?}", kind.as_str(), loaded.notices);
            let provider = &loaded.config.providers[0];
            assert_eq!(provider.kind, kind);
            let usual = kind.facts().place.url(&provider.account);
            let told = usual.is_none_or(|url| page.contains(&url) || !provider.account.0.is_empty());
            assert!(told, "the page of `{}` says where it is", kind.as_str());
        }
    }
}

#[test]
fn there_is_no_page_of_what_is_not_there() {
    let folder = page(Kind::Anthropic);
    let folder = folder.parent().expect("it is in a folder");
    for file in std::fs::read_dir(folder).expect("it is there") {
        let path = file.expect("it can be listed").path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        assert!(Kind::parse(&name).is_some(), "{name}");
    }
}

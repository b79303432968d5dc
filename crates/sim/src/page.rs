//! Cuts lists into pages, as every list of the provider is: `limit`, `after_id`, `before_id`.

use serde_json::{Value, json};

use crate::refusal::Refusal;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 1000;

/// Which part of a list is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Page {
    limit: usize,
    after: Option<String>,
    before: Option<String>,
}

impl Page {
    /// Reads a query string; what it does not know it ignores.
    pub(crate) fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let mut page = Self { limit: DEFAULT_LIMIT, after: None, before: None };
        for (name, value) in query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => page.limit = limit(value)?,
                "after_id" => page.after = Some(value.to_owned()),
                "before_id" => page.before = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(page)
    }

    /// The page of a list whose rows each have an `id`, in the provider's frame.
    pub(crate) fn cut(&self, rows: &[Value]) -> Result<Value, Refusal> {
        let place = |name: &str, id: &Option<String>| match id {
            None => Ok(None),
            Some(id) => match rows.iter().position(|row| row["id"] == json!(id)) {
                Some(place) => Ok(Some(place)),
                None => Err(Refusal::invalid(format!("{name}: `{id}` was not found"))),
            },
        };
        let (range, has_more) = match (place("after_id", &self.after)?, place("before_id", &self.before)?) {
            (Some(_), Some(_)) => {
                return Err(Refusal::invalid("after_id and before_id cannot be used together"));
            }
            (None, Some(end)) => (end.saturating_sub(self.limit)..end, end > self.limit),
            (after, None) => {
                let start = after.map_or(0, |place| place + 1);
                let end = (start + self.limit).min(rows.len());
                (start..end, end < rows.len())
            }
        };
        let data = &rows[range];
        let id = |row: Option<&Value>| row.map_or(Value::Null, |row| row["id"].clone());
        Ok(json!({
            "data": data,
            "has_more": has_more,
            "first_id": id(data.first()),
            "last_id": id(data.last()),
        }))
    }
}

fn limit(value: &str) -> Result<usize, Refusal> {
    match value.parse() {
        Err(_) => Err(Refusal::invalid("limit: Input should be a valid integer")),
        Ok(0) => Err(Refusal::invalid("limit: Input should be greater than or equal to 1")),
        Ok(limit) if limit > MAX_LIMIT => {
            Err(Refusal::invalid(format!("limit: Input should be less than or equal to {MAX_LIMIT}")))
        }
        Ok(limit) => Ok(limit),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};
    use serde_json::{Value, json};

    use super::Page;

    fn rows(number: usize) -> Vec<Value> {
        (0..number).map(|place| json!({"id": format!("id{place}")})).collect()
    }

    fn page(query: &str, number: usize) -> Result<Value, String> {
        Page::read(Some(query)).and_then(|page| page.cut(&rows(number))).map_err(|refusal| refusal.message)
    }

    proptest! {
        /// Following the pages in either direction gives the whole list once.
        #[test]
        fn pages_make_up_the_list(number in 0_usize..60, limit in 1_usize..25) {
            let mut forwards = Vec::new();
            let mut query = format!("limit={limit}");
            loop {
                let page = page(&query, number).expect("a good query");
                forwards.extend(page["data"].as_array().expect("a list").clone());
                if page["has_more"] == json!(false) {
                    break;
                }
                query = format!("limit={limit}&after_id={}", page["last_id"].as_str().expect("an id"));
            }
            prop_assert_eq!(&forwards, &rows(number));

            let mut backwards: Vec<Value> = rows(number).pop().into_iter().collect();
            while let Some(first) = backwards.first().and_then(|row| row["id"].as_str()) {
                let page = page(&format!("limit={limit}&before_id={first}"), number).expect("a good query");
                let data = page["data"].as_array().expect("a list").clone();
                backwards.splice(0..0, data);
                if page["has_more"] == json!(false) {
                    break;
                }
            }
            prop_assert_eq!(backwards, rows(number));
        }
    }

    #[test]
    fn bad_queries_are_refused() {
        for (query, expected) in [
            ("limit=0", "limit: Input should be greater than or equal to 1"),
            ("limit=1001", "limit: Input should be less than or equal to 1000"),
            ("limit=x", "limit: Input should be a valid integer"),
            ("after_id=nobody", "after_id: `nobody` was not found"),
            ("after_id=id0&before_id=id1", "after_id and before_id cannot be used together"),
        ] {
            assert_eq!(page(query, 3), Err(expected.to_owned()), "{query}");
        }
        assert_eq!(page("limit=1000&beta=true", 3).map(|page| page["has_more"].clone()), Ok(json!(false)));
        assert_eq!(
            page("", 0),
            Ok(json!({"data": [], "has_more": false, "first_id": null, "last_id": null}))
        );
    }
}

//! Files and containers, each owned by one organization: for everybody else they do not exist.
//!
//! It keeps what was uploaded in memory and refuses to know who asks: owners are places of
//! organizations in the settings.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    clock::rfc3339,
    multipart::{self, Upload},
    output::Output,
    page::Page,
    refusal::Refusal,
};

/// How long a container lives after it was last used.
const CONTAINER_LIFE: Duration = Duration::from_hours(30 * 24);

/// Everything that was uploaded and not deleted.
#[derive(Debug, Default)]
pub(crate) struct Files {
    files: Vec<File>,
}

/// The containers of code execution.
#[derive(Debug, Default)]
pub(crate) struct Containers {
    containers: Vec<Container>,
}

#[derive(Debug)]
struct File {
    id: String,
    owner: usize,
    created: Duration,
    upload: Upload,
}

#[derive(Debug)]
struct Container {
    id: String,
    owner: usize,
    until: Duration,
}

impl Files {
    /// Keeps an upload: the `file` part of a multipart body, or the whole of any other.
    pub(crate) fn upload(
        &mut self,
        id: String,
        owner: usize,
        content_type: Option<&str>,
        body: &Bytes,
        now: Duration,
    ) -> Result<Output, Refusal> {
        let upload = match content_type.and_then(multipart::boundary) {
            Some(boundary) => {
                multipart::file(body, boundary).ok_or_else(|| Refusal::invalid("file: Field required"))?
            }
            None => Upload {
                filename: "upload".to_owned(),
                content_type: content_type.map(str::to_owned),
                bytes: body.clone(),
            },
        };
        let file = File { id, owner, created: now, upload };
        let described = file.describe();
        self.files.push(file);
        Ok(Output::json(described))
    }

    /// The owner's files, newest first.
    pub(crate) fn list(&self, owner: usize, query: Option<&str>) -> Result<Output, Refusal> {
        let own = self.files.iter().rev().filter(|file| file.owner == owner);
        let rows: Vec<Value> = own.map(File::describe).collect();
        Ok(Output::json(Page::read(query)?.cut(&rows)?))
    }

    /// What is known about a file.
    pub(crate) fn get(&self, owner: usize, id: &str) -> Result<Output, Refusal> {
        Ok(Output::json(self.find(owner, id)?.describe()))
    }

    /// Its bytes.
    pub(crate) fn content(&self, owner: usize, id: &str) -> Result<Output, Refusal> {
        let file = self.find(owner, id)?;
        Ok(Output::bytes(file.content_type(), file.upload.bytes.clone()))
    }

    /// Forgets it.
    pub(crate) fn delete(&mut self, owner: usize, id: &str) -> Result<Output, Refusal> {
        self.find(owner, id)?;
        self.files.retain(|file| file.id != id);
        Ok(Output::json(json!({"id": id, "type": "file_deleted"})))
    }

    /// Whether every file that the messages of a request name is the owner's.
    pub(crate) fn check_named(&self, owner: usize, body: &Value) -> Result<(), Refusal> {
        let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
        let mut blocks: Vec<&Value> =
            messages.filter_map(|message| message.get("content")?.as_array()).flatten().collect();
        while let Some(block) = blocks.pop() {
            for id in [block.get("file_id"), block.pointer("/source/file_id")].into_iter().flatten() {
                self.find(owner, id.as_str().unwrap_or_default())?;
            }
            blocks.extend(block.get("content").and_then(Value::as_array).into_iter().flatten());
        }
        Ok(())
    }

    fn find(&self, owner: usize, id: &str) -> Result<&File, Refusal> {
        let file = self.files.iter().find(|file| file.id == id && file.owner == owner);
        file.ok_or_else(|| Refusal::not_found(format!("File not found: {id}")))
    }
}

impl File {
    fn describe(&self) -> Value {
        json!({
            "type": "file",
            "id": self.id,
            "filename": self.upload.filename,
            "mime_type": self.content_type(),
            "size_bytes": self.upload.bytes.len(),
            "created_at": rfc3339(self.created),
            "downloadable": true,
        })
    }

    fn content_type(&self) -> &str {
        self.upload.content_type.as_deref().unwrap_or("application/octet-stream")
    }
}

impl Containers {
    /// The container of a request that executes code or names one: that one, or a new one.
    pub(crate) fn enter(
        &mut self,
        owner: usize,
        body: &Value,
        new_id: String,
        now: Duration,
    ) -> Result<Option<Value>, Refusal> {
        let named =
            body.get("container").and_then(|named| named.as_str().or_else(|| named.get("id")?.as_str()));
        let until = now + CONTAINER_LIFE;
        let id = match named {
            Some(id) => {
                let own = |container: &&mut Container| container.id == id && container.owner == owner;
                let container =
                    self.containers.iter_mut().find(own).filter(|container| container.until > now);
                let missing = || Refusal::not_found(format!("container: {id} was not found"));
                container.ok_or_else(missing)?.until = until;
                id.to_owned()
            }
            None if executes_code(body) => {
                self.containers.push(Container { id: new_id.clone(), owner, until });
                new_id
            }
            None => return Ok(None),
        };
        Ok(Some(json!({"id": id, "expires_at": rfc3339(until)})))
    }
}

fn executes_code(body: &Value) -> bool {
    let mut tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    let kind = |tool: &Value| {
        tool.get("type").and_then(Value::as_str).is_some_and(|kind| kind.starts_with("code_execution_"))
    };
    tools.any(kind)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::Containers;

    #[test]
    fn a_container_is_its_owners_until_it_expires() {
        let mut containers = Containers::default();
        let code = json!({"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]});
        let named = json!({"container": {"id": "container_1"}});
        let now = Duration::from_secs(1_795_000_000);
        assert_eq!(containers.enter(0, &json!({}), "container_0".into(), now), Ok(None));
        let made =
            containers.enter(0, &code, "container_1".into(), now).expect("it is made").expect("it is there");
        assert_eq!(made["id"], "container_1");
        let day = Duration::from_hours(24);
        assert!(containers.enter(0, &named, String::new(), now + 29 * day).is_ok());
        let refusal =
            containers.enter(1, &named, String::new(), now + 29 * day).expect_err("it is not theirs");
        assert_eq!(refusal.status, 404);
        assert!(containers.enter(0, &named, String::new(), now + 58 * day).is_ok(), "used 29 days before");
        assert!(containers.enter(0, &named, String::new(), now + 90 * day).is_err());
    }
}

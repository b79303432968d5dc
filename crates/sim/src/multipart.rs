//! Finds the file in a `multipart/form-data` body. It knows RFC 7578 as far as uploads go.

use bytes::Bytes;
use memchr::memmem;

/// The part that carries a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Upload {
    pub(crate) filename: String,
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: Bytes,
}

/// The boundary which a `content-type` names, if it is multipart.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let values = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let (_, boundary) = values.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
    Some(boundary.trim().trim_matches('"')).filter(|boundary| !boundary.is_empty())
}

/// The part named `file`.
pub(crate) fn file(body: &Bytes, boundary: &str) -> Option<Upload> {
    let delimiter = format!("--{boundary}");
    let mut at = find(body, delimiter.as_bytes(), 0)? + delimiter.len();
    let between = format!("\r\n{delimiter}");
    while body[at..].starts_with(b"\r\n") {
        let start = at + 2;
        let head_end = find(body, b"\r\n\r\n", start)?;
        let content = head_end + 4;
        let end = find(body, between.as_bytes(), content)?;
        let head = std::str::from_utf8(&body[start..head_end]).ok()?;
        if parameter(head, "name") == Some("file") {
            return Some(Upload {
                filename: parameter(head, "filename").unwrap_or("file").to_owned(),
                content_type: header(head, "content-type").map(str::to_owned),
                bytes: body.slice(content..end),
            });
        }
        at = end + between.len();
    }
    None
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    memmem::find(body.get(from..)?, what).map(|place| from + place)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// A parameter of the part's `content-disposition`.
fn parameter<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let disposition = header(head, "content-disposition")?;
    let mut parameters = disposition.split(';').filter_map(|parameter| parameter.split_once('='));
    parameters.find(|(found, _)| found.trim() == name).map(|(_, value)| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{boundary, file};

    #[test]
    fn the_boundary_is_found_in_a_content_type() {
        assert_eq!(boundary("multipart/form-data; boundary=abc"), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("application/json"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
    }

    #[test]
    fn the_file_is_found_among_other_parts_and_keeps_its_bytes() {
        let body = Bytes::from_static(
            b"--abc\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nuser\r\n\
              --abc\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
              one\r\n--ab\r\ntwo\r\n--abc--\r\n",
        );
        let upload = file(&body, "abc").expect("there is a file");
        assert_eq!((upload.filename.as_str(), upload.content_type.as_deref()), ("a.txt", Some("text/plain")));
        assert_eq!(upload.bytes, "one\r\n--ab\r\ntwo");
    }

    #[test]
    fn an_empty_file_is_a_file_and_a_broken_body_is_none() {
        let empty = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"e\"\r\n\r\n\r\n--x--";
        assert_eq!(file(&Bytes::from_static(empty), "x").map(|upload| upload.bytes.len()), Some(0));
        for broken in [
            "",
            "--x",
            "--x\r\n",
            "--x--\r\n",
            "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nabc",
        ] {
            assert_eq!(file(&Bytes::from_static(broken.as_bytes()), "x"), None, "{broken}");
        }
    }
}

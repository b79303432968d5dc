//! To and from the map that `http` has for headers, which HTTP/2 is spoken with.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::headers::Headers;

impl From<&HeaderMap> for Headers {
    fn from(map: &HeaderMap) -> Self {
        let mut headers = Self::with_room_for(map.len());
        for (name, value) in map {
            headers.push(name.as_str(), value.as_bytes(), value.is_sensitive());
        }
        headers
    }
}

/// Names are in small letters there. What the map cannot hold, which is nothing that was parsed or set here, is left out.
impl From<&Headers> for HeaderMap {
    fn from(headers: &Headers) -> Self {
        let mut map = Self::with_capacity(headers.len());
        for header in headers {
            let name = HeaderName::from_bytes(header.name());
            let value = HeaderValue::from_bytes(header.value());
            if let (Ok(name), Ok(mut value)) = (name, value) {
                value.set_sensitive(header.is_secret());
                map.append(name, value);
            }
        }
        map
    }
}

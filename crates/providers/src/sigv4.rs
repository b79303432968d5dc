//! Signs requests to AWS. It knows what is signed and with which key; it refuses to know where keys come from and what
//! time it is.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningError, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use relay_core::Time;
use relay_headers::{Headers, Value};
use relay_wire::Segments;
use sha2::{Digest, Sha256};

use crate::adapter::Unsupported;
use crate::secret::Secret;

/// What a signature is made with.
pub(crate) struct AccessKey<'a> {
    id: &'a str,
    secret: &'a str,
    /// Of one that is given for a while.
    token: Option<&'a str>,
}

/// What is signed, but for its headers and its body.
pub(crate) struct Scope<'a> {
    /// Scheme, host, path, encoded as it is sent.
    pub(crate) url: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'static str,
}

impl<'a> AccessKey<'a> {
    /// `ID:SECRET`, or `ID:SECRET:TOKEN`. None if it has no such parts, and so is an API key.
    pub(crate) fn read(key: &'a Secret) -> Option<Self> {
        let mut parts = key.expose().splitn(3, ':');
        let (id, secret) = (parts.next()?, parts.next()?);
        let token = parts.next().filter(|token| !token.is_empty());
        Some(Self { id, secret, token }).filter(|key| !key.id.is_empty() && !key.secret.is_empty())
    }

    /// Adds the headers that sign a POST of that body. Of the others only the form of the body is signed, for the rest may
    /// be changed on the way.
    pub(crate) fn sign(
        &self,
        scope: &Scope<'_>,
        headers: &mut Headers,
        body: &Segments,
        now: Time,
    ) -> Result<(), Unsupported> {
        let instructions = self.instructions(scope, headers.text("content-type"), body, now);
        for (name, value) in instructions.map_err(|_| Unsupported::Credential)? {
            let value = Value::new(value.as_bytes()).map_err(|_| Unsupported::Credential)?;
            headers.set_secret(name, value);
        }
        Ok(())
    }

    fn instructions(
        &self,
        scope: &Scope<'_>,
        form: Option<&str>,
        body: &Segments,
        now: Time,
    ) -> Result<Vec<(&'static str, String)>, SigningError> {
        let token = self.token.map(str::to_owned);
        let identity = Credentials::new(self.id, self.secret, token, None, "cc-relay").into();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(now.since_epoch().as_secs());
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(scope.region)
            .name(scope.service)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .expect("every part of it is set");
        let params = SigningParams::from(params);
        let mut digest = Sha256::new();
        body.iter().for_each(|part| digest.update(part));
        let signed = form.map(|form| ("content-type", form)).into_iter();
        let body = SignableBody::Precomputed(hex(&digest.finalize()));
        let request = SignableRequest::new("POST", scope.url, signed, body)?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let (headers, _) = instructions.into_parts();
        Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
    bytes.iter().flat_map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// Of the published test suite of AWS for Signature Version 4 (`post-x-www-form-urlencoded`, `post-vanilla`): its key,
    /// its scope, its moment, and the signatures that it gives.
    #[test]
    fn the_published_vectors_are_signed_as_they_must_be() {
        let key = Secret::new("AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let scope = Scope { url: "https://example.amazonaws.com/", region: "us-east-1", service: "service" };
        // 2015-08-30 12:36:00.
        let now = Time::from_epoch(Duration::from_mins(24_015_636));
        let table = [
            (
                None,
                "",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                Some("application/x-www-form-urlencoded"),
                "Param1=value1",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
        ];
        for (form, body, expect) in table {
            let mut headers = Headers::default();
            headers.add("x-other", Value::fixed("is not signed"));
            if let Some(form) = form {
                headers.add("content-type", Value::fixed(form));
            }
            let body = Segments::from(Bytes::from_static(body.as_bytes()));
            AccessKey::read(&key).unwrap().sign(&scope, &mut headers, &body, now).unwrap();
            assert_eq!(headers.text("x-amz-date"), Some("20150830T123600Z"));
            assert_eq!(headers.text("authorization"), Some(expect));
            assert!(headers.iter().all(|header| header.is_secret() == header.is("authorization") || header.is("x-amz-date")));
        }
    }

    #[test]
    fn a_key_that_is_given_for_a_while_sends_its_token_along() {
        let key = Secret::new("AKID:secret:to:ken");
        let scope = Scope { url: "https://a.example/x%3A0", region: "eu-central-1", service: "bedrock" };
        let mut headers = Headers::default();
        let now = Time::from_epoch(Duration::from_secs(1_000_000_001));
        AccessKey::read(&key).unwrap().sign(&scope, &mut headers, &Segments::default(), now).unwrap();
        assert_eq!(headers.text("x-amz-security-token"), Some("to:ken"));
        let signed = headers.text("authorization").unwrap();
        assert!(signed.contains("SignedHeaders=host;x-amz-date;x-amz-security-token"), "{signed}");
    }

    #[test]
    fn what_is_no_access_key_is_an_api_key() {
        for key in ["bedrock-api-key-YmVk", "ABSKQmVkcm9jaw==", "", ":secret", "id:"] {
            assert!(AccessKey::read(&Secret::new(key)).is_none(), "{key}");
        }
    }
}

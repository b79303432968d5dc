//! One request, top to bottom: what it is for, which script meets it, who asks, what it is
//! answered, and which headers every answer has. What each step means is in the files it names.

use std::{collections::VecDeque, io::Read};

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts, uri::Authority,
};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    batches::View,
    body::{AnswerBody, Broken, Ending, Piece},
    canned,
    clock::http_date,
    entry::Entry,
    fault::respond,
    limiter::Account,
    messages::{self, Caller},
    models::{describe, find},
    output::Output,
    page::Page,
    rate_limits,
    record::Outcome,
    refusal::{Kind, Refusal},
    request,
    route::Route,
    script::{Answers, Fault, Script, Target},
    serve::Line,
    settings::Pace,
    sim::{Sim, State},
};

/// A request with everything that is known about it.
struct Exchange {
    sim: Sim,
    entry: Entry,
    parts: Parts,
    bytes: Bytes,
    /// The body of a call, where it is JSON.
    json: Result<Value, Refusal>,
    pace: Pace,
    /// Who asks, once the credential was found good.
    account: Option<Account>,
    /// The organization whose administrator asks.
    administers: Option<usize>,
}

/// Answers one request, or breaks the connection if a script says so.
pub(crate) async fn answer(
    sim: Sim,
    line: Line,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Broken> {
    let (parts, body) = request.into_parts();
    if let Some(name) = parts.headers.get(canned::HEADER) {
        return from_can(&sim, line, name, body).await;
    }
    let account = sim.shared().directory.recognise(&parts.headers);
    let mut entry = Entry::open(&sim, &line, &parts, account);
    let route = Route::find(&parts.method, parts.uri.path());
    let limit = route.unwrap_or(Route::Messages).body_limit();
    let Some(body) = read(body, limit).await? else {
        let refusal = Refusal::new(Kind::TooLarge, "Request exceeds the maximum size");
        let output = Output::refusal(&refusal, entry.request_id());
        let headers = every_answer(&sim, &entry, None);
        return Ok(respond(output, headers, &Fault::Nothing, sim.settings().pace, entry, line));
    };
    entry.note_body(&body);
    let json = match route {
        Some(Route::Messages | Route::CountTokens | Route::CreateBatch) => {
            decode(&parts.headers, &body, limit).and_then(|bytes| request::parse(&bytes))
        }
        _ => Err(Refusal::invalid("this path takes no JSON")),
    };
    let target = Target {
        key: account.and_then(|account| key_name(&sim, account)),
        path: parts.uri.path(),
        answers: if asks_for_stream(&json) { Answers::Streamed } else { Answers::Whole },
    };
    let now = sim.now();
    let met = sim.state().scripts.take(target, now);
    let script = met.unwrap_or_else(|| Script::new(Fault::Nothing));
    sleep(script.delay).await;
    if script.fault == Fault::Reset {
        line.reset_on_close();
        entry.end(Outcome::Broken);
        return Err(Broken);
    }
    let pace = script.pace.unwrap_or(sim.settings().pace);
    let exchange = Exchange { sim, entry, parts, bytes: body, json, pace, account: None, administers: None };
    Ok(exchange.finish(&script, line).await)
}

impl Exchange {
    async fn finish(mut self, script: &Script, line: Line) -> Response<AnswerBody> {
        let (outcome, account) = match &script.fault {
            Fault::Refuse(refusal) => {
                (Err(refusal.clone()), self.entry.account().filter(|_| refusal.kind != Kind::Authentication))
            }
            Fault::Foreign { status, content_type, body } => {
                let output = Output { status: *status, ..Output::bytes(*content_type, body.clone()) };
                (Ok(output), None)
            }
            _ => (self.serve().await, self.account),
        };
        let mut headers = every_answer(&self.sim, &self.entry, account);
        let organization = self.administers.map(|place| &self.sim.settings().organizations[place].id);
        if let Some(Ok(id)) = organization.map(|id| HeaderValue::from_str(id)) {
            headers.insert(HeaderName::from_static("anthropic-organization-id"), id);
        }
        let output = match outcome {
            Ok(output) => output,
            Err(refusal) => {
                headers.extend(refusal.headers.iter().cloned());
                Output::refusal(&refusal, self.entry.request_id())
            }
        };
        headers.extend(script.headers.iter().cloned());
        respond(output, headers, &script.fault, self.pace, self.entry, line)
    }

    async fn serve(&mut self) -> Result<Output, Refusal> {
        let unknown = || Refusal::not_found("Not found");
        let path = self.parts.uri.path().to_owned();
        let route = Route::find(&self.parts.method, &path).ok_or_else(unknown)?;
        if route == Route::Hello {
            return Ok(Output::nothing());
        }
        let sim = self.sim.clone();
        let headers = self.parts.headers.clone();
        if matches!(route, Route::RateLimits | Route::WorkspaceRateLimits(_)) {
            self.administers = Some(sim.shared().directory.administers(&headers)?);
            request::check_headers(&headers, &sim.settings().denied_betas)?;
            return self.rate_limits(route);
        }
        let account = sim.shared().directory.identify(&headers)?;
        self.account = Some(account);
        let version = request::check_headers(&headers, &sim.settings().denied_betas)?;
        let caller = Caller { account, version, headers: &headers };
        match route {
            Route::Messages => self.message(&caller).await,
            Route::CountTokens => messages::count(&sim, &self.entry, &caller, self.json()?),
            other => self.look_up(other, &caller),
        }
    }

    fn rate_limits(&self, route: Route<'_>) -> Result<Output, Refusal> {
        let (settings, query) = (self.sim.settings(), self.parts.uri.query());
        let place = self.administers.ok_or_else(|| Refusal::not_found("Not found"))?;
        let organization = &settings.organizations[place];
        Ok(Output::json(match route {
            Route::WorkspaceRateLimits(id) => rate_limits::of_workspace(settings, organization, id, query)?,
            _ => rate_limits::of_organization(settings, organization, query),
        }))
    }

    async fn message(&mut self, caller: &Caller<'_>) -> Result<Output, Refusal> {
        let body = self.json.as_ref().map_err(Clone::clone)?;
        let prepared = messages::prepare(&self.sim, &mut self.entry, caller, (body, &self.bytes))?;
        sleep(prepared.time_to_head(self.pace)).await;
        Ok(prepared.begin(&self.sim, &self.entry, self.pace))
    }

    /// Everything that only looks something up, or puts something away.
    fn look_up(&self, route: Route<'_>, caller: &Caller<'_>) -> Result<Output, Refusal> {
        let settings = self.sim.settings();
        let query = self.parts.uri.query();
        let owner = caller.account.organization;
        match route {
            Route::Models => {
                let rows: Vec<Value> = settings.models.iter().map(describe).collect();
                Ok(Output::json(Page::read(query)?.cut(&rows)?))
            }
            Route::Model(id) => match find(&settings.models, id) {
                Some(model) => Ok(Output::json(describe(model))),
                None => Err(Refusal::not_found(format!("model: {id}"))),
            },
            Route::Upload => {
                let content_type = self.header(header::CONTENT_TYPE);
                let (id, now) = (self.sim.next_id("file_"), self.sim.now());
                self.sim.state().files.upload(id, owner, content_type, &self.bytes, now)
            }
            Route::Files => self.sim.state().files.list(owner, query),
            Route::File(id) => self.sim.state().files.get(owner, id),
            Route::FileContent(id) => self.sim.state().files.content(owner, id),
            Route::DeleteFile(id) => self.sim.state().files.delete(owner, id),
            batch => self.batch(batch, caller),
        }
    }

    fn batch(&self, route: Route<'_>, caller: &Caller<'_>) -> Result<Output, Refusal> {
        let shared = self.sim.shared();
        let owner = caller.account.organization;
        let url = shared.settings.public_url.clone().unwrap_or_else(|| self.own_url());
        let view = View { now: self.sim.now(), url: &url };
        let answer =
            |params: &Value| messages::answer_in_batch(shared, caller.account, caller.version, params);
        match route {
            Route::CreateBatch => {
                let id = self.sim.next_id("msgbatch_");
                let (body, duration) = (self.json()?, shared.settings.batch_time);
                self.sim.state().batches.create((id, owner), body, duration, view, answer)
            }
            Route::Batches => self.sim.state().batches.list(owner, self.parts.uri.query(), view),
            Route::Batch(id) => self.sim.state().batches.get(owner, id, view),
            Route::CancelBatch(id) => self.sim.state().batches.cancel(owner, id, view),
            Route::BatchResults(id) => self.sim.state().batches.results(owner, id, view.now, answer),
            _ => Err(Refusal::not_found("Not found")),
        }
    }

    fn json(&self) -> Result<&Value, Refusal> {
        self.json.as_ref().map_err(Clone::clone)
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Where the client believes this provider to be.
    fn own_url(&self) -> String {
        let authority = self.parts.uri.authority().map(Authority::as_str);
        format!("http://{}", authority.or_else(|| self.header(header::HOST)).unwrap_or("localhost"))
    }
}

/// The headers of every answer; those about limits where it is known whose they are.
fn every_answer(sim: &Sim, entry: &Entry, account: Option<Account>) -> HeaderMap {
    let now = sim.now();
    let mut headers = HeaderMap::with_capacity(24);
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::DATE, &http_date(now));
    put(HeaderName::from_static("request-id"), entry.request_id());
    if let Some(account) = account {
        let organization = &sim.settings().organizations[account.organization];
        put(HeaderName::from_static("anthropic-organization-id"), &organization.id);
        let workspace = &organization.workspaces[account.workspace];
        put(HeaderName::from_static("anthropic-workspace-id"), &workspace.id);
        if let Some(class) = entry.class() {
            let State { limiter, .. } = &mut *sim.state();
            for (name, value) in limiter.headers(account, class, now) {
                put(HeaderName::from_static(name), &value);
            }
            for (name, value) in limiter.window_headers(account, class, now) {
                if let Ok(name) = HeaderName::try_from(name) {
                    put(name, &value);
                }
            }
        }
    }
    headers
}

/// The whole body, or nothing if it is larger than `limit`, of which then no byte is kept. It is
/// read to its end all the same, so that the client sees the answer and not a reset.
async fn read(mut body: Incoming, limit: u64) -> Result<Option<Bytes>, Broken> {
    let mut bytes = BytesMut::new();
    let mut good = body.size_hint().lower() <= limit;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Broken)?.into_data() else { continue };
        good = good && (bytes.len() + data.len()) as u64 <= limit;
        if good {
            bytes.extend_from_slice(&data);
        } else {
            bytes = BytesMut::new();
        }
    }
    Ok(good.then(|| bytes.freeze()))
}

/// The bytes of a body that may be compressed.
fn decode(headers: &HeaderMap, body: &Bytes, limit: u64) -> Result<Bytes, Refusal> {
    let encoding = headers.get(header::CONTENT_ENCODING).map_or(&b"identity"[..], HeaderValue::as_bytes);
    match encoding {
        b"identity" => Ok(body.clone()),
        b"gzip" => {
            let mut bytes = Vec::new();
            let read = GzDecoder::new(&body[..]).take(limit + 1).read_to_end(&mut bytes);
            match read {
                Ok(length) if length as u64 <= limit => Ok(bytes.into()),
                Ok(_) => Err(Refusal::new(Kind::TooLarge, "Request exceeds the maximum size")),
                Err(_) => Err(Refusal::invalid("The request body is not valid gzip")),
            }
        }
        _ => Err(Refusal::invalid("content-encoding: only gzip and identity are supported")),
    }
}

fn asks_for_stream(json: &Result<Value, Refusal>) -> bool {
    json.as_ref().is_ok_and(|body| body.get("stream").and_then(Value::as_bool) == Some(true))
}

fn key_name(sim: &Sim, account: Account) -> Option<&str> {
    let organization = sim.settings().organizations.get(account.organization)?;
    let key = organization.workspaces.get(account.workspace)?.keys.get(account.key)?;
    Some(&key.name)
}

/// Reads a body to its end and sends a canned answer.
async fn from_can(
    sim: &Sim,
    line: Line,
    name: &HeaderValue,
    mut body: Incoming,
) -> Result<Response<AnswerBody>, Broken> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Broken)?;
    }
    let can = name.to_str().ok().and_then(|name| sim.shared().canned.take(name));
    let (status, can) = match can {
        Some(can) => (StatusCode::OK, can),
        None => (StatusCode::BAD_REQUEST, canned::Can::mistaken()),
    };
    let pieces = can.pieces.iter().map(|bytes| Piece { bytes: bytes.clone(), ..Piece::default() });
    let body = AnswerBody::new(pieces.collect::<VecDeque<_>>(), Ending::Whole, None, line);
    let body = match can.length {
        Some(length) => body.with_length(length),
        None => body,
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(can.content_type));
    Ok(response)
}

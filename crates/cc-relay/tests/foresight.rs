//! A run before the simulated provider is recorded, and `plan` foresees it from the recording: all on a clock that
//! stands still but where nothing else happens.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use relay_config::Config;
use relay_core::Provider;
use relay_plan::recording::Recorded;
use relay_plan::{Assumed, Dice, Estate, Outcome, Recording, Replay, Setting, Unsaid, World};
use relay_proxy::{Clock, Handle, Parts, Tasks};
use relay_sim::{Limit, Organization, Pace, Settings, Sim};
use relay_telemetry::Recorder;
use relay_testkit::{Client, Kept};
use relay_transport::{Connected, Dial, Dialing, Http2, Origin, Spawner, Timing, Transport, tls};
use tokio::io::duplex;
use tokio::time::{Instant, sleep};

const BURST: Duration = Duration::from_secs(6);

/// What each of four keys has a minute: requests, input and output tokens. Different ones bind.
const RATES: [[u64; 3]; 4] =
    [[60, 60_000, 20_000], [50, 60_000, 5_000], [200, 18_000, 20_000], [80, 60_000, 6_500]];

/// Reaches the simulated provider by pipes.
struct Pipes(Arc<Sim>, Tasks);

impl Dial for Pipes {
    fn dial<'a>(&'a self, _: &'a Origin) -> Dialing<'a> {
        Box::pin(async move {
            let (ours, theirs) = duplex(256 << 10);
            let sim = Arc::clone(&self.0);
            self.1.spawn("upstream", async move { sim.serve(theirs).await });
            Ok(Connected { io: Box::new(ours), timing: Timing::default() })
        })
    }
}

fn provider() -> Arc<Sim> {
    let held = |(key, [requests, input, output]): (usize, &[u64; 3])| {
        let id = format!("key-{key}");
        Organization {
            limit: Limit::per_minute(*requests, *input, *output, BURST),
            ..Organization::open(&id, &[(&id, &format!("sk-ant-api03-{key}"))])
        }
    };
    let pace = Pace {
        first_event: Duration::from_millis(500),
        between_events: Duration::from_millis(100),
        tokens_per_event: 8,
    };
    let organizations = RATES.iter().enumerate().map(held).collect();
    Arc::new(Sim::new(Settings { organizations, pace, ..Settings::default() }))
}

fn config() -> Config {
    let head = "server: { listen: '127.0.0.1:0' }
providers:
  - name: sim
    type: anthropic
    enabled: true
    base_url: http://sim.localhost
    keys:
";
    let key = |(key, [requests, input, output]): (usize, &[u64; 3])| {
        format!(
            "      - {{ key: sk-ant-api03-{key}, rpm_limit: {requests}, itpm_limit: {input}, otpm_limit: {output} }}\n"
        )
    };
    let keys: String = RATES.iter().enumerate().map(key).collect();
    relay_config::load(&[head, &keys].concat(), relay_config::Format::Yaml, &|_| None)
        .expect("it is valid")
        .config
}

async fn relay(sim: Arc<Sim>, recorder: Recorder, tasks: &Tasks) -> Handle {
    let beside = tasks.clone();
    let spawner = Spawner::new({
        let beside = beside.clone();
        move |name, task| beside.spawn(name, task)
    });
    let settings = relay_transport::Settings {
        spawner,
        tls: tls::client(tls::Roots::Bundled).expect("the bundled roots are valid"),
        http2: Http2::Never,
        idle_timeout: Duration::from_mins(1),
        max_idle: 64,
        proxy: None,
    };
    let transport = Transport::new(settings, Arc::new(Pipes(sim, beside)));
    let clock = Arc::new(Clock::start());
    let parts = Parts {
        clock,
        tasks: tasks.clone(),
        workers: None,
        transport,
        recorder: Some(recorder),
        state: None,
    };
    Handle::build(config(), parts).await.expect("it can be served")
}

/// A call of a session, if it is of one.
fn call(session: Option<usize>, tokens: usize) -> Request<Bytes> {
    let words = "word ".repeat(200);
    let body = format!(
        "{{\"model\":\"claude-opus-5-5\",\"max_tokens\":32000,\"stream\":true,\"messages\":[{{\"role\":\"user\",\
         \"content\":\"{words}\\nsim: tokens {tokens}\"}}]}}"
    );
    let mut request = Request::post("/v1/messages")
        .header("host", "relay")
        .header("content-type", "application/json")
        .header("anthropic-version", "2023-06-01");
    if let Some(session) = session {
        request = request.header("x-claude-code-session-id", format!("session-{session}"));
    }
    request.body(Bytes::from(body)).expect("its parts are valid")
}

/// A run before the simulated provider.
struct Stage {
    handle: Handle,
    tasks: Tasks,
    /// Those who ask.
    clients: Tasks,
    kept: Kept,
    recording: relay_telemetry::Guard,
}

/// Where connections are opened.
struct Door {
    handle: Handle,
    tasks: Tasks,
}

impl Door {
    async fn open(self) -> Client {
        let (ours, theirs) = duplex(256 << 10);
        let Self { handle, tasks } = self;
        tasks.spawn("connection", async move { handle.serve(theirs, IpAddr::V4(Ipv4Addr::LOCALHOST)).await });
        Client::new(ours).await
    }
}

impl Stage {
    async fn set() -> Self {
        let kept = Kept::default();
        let recorder = Recorder::into(Box::new(kept.clone()), Clock::start().now());
        let (recorder, recording) = recorder.expect("a thread for the recorder");
        let tasks = Tasks::default();
        let handle = relay(provider(), recorder, &tasks).await;
        Self { handle, tasks, clients: Tasks::default(), kept, recording }
    }

    /// Somebody asks.
    fn client<F: Future<Output = ()> + Send + 'static>(&self, asks: impl FnOnce(Door) -> F) {
        let door = Door { handle: self.handle.clone(), tasks: self.tasks.clone() };
        self.clients.spawn("client", asks(door));
    }

    /// What was recorded, once nobody asks any more.
    async fn recorded(self) -> Recording {
        self.clients.idle().await;
        drop((self.handle, self.recording));
        let recording = Recording::read(&self.kept.bytes()[..]).expect("a recording");
        assert!(recording.bad.is_empty());
        recording
    }
}

fn foreseen(recording: &Recording) -> Outcome {
    let unsaid = |_: &Provider| Unsaid::Unlimited;
    let estate = Estate::of(config().fleet_of_names(), &Assumed::nothing(BURST), &unsaid);
    let replay = Replay::of(recording, "it");
    World::new(Setting::new(&estate, &replay.workload, 0)).play()
}

fn is_answered(call: &Recorded) -> bool {
    call.status == 200 && call.end == "whole"
}

/// Calls a minute that were answered.
fn throughput(recording: &Recording) -> f64 {
    let served = || recording.calls.iter().filter(|call| is_answered(call));
    let begin = recording.calls.iter().map(|call| call.at).min().unwrap_or_default();
    let end = served().map(|call| call.at + call.duration).max().unwrap_or_default();
    let minutes = Duration::from_micros(end - begin).as_secs_f64() / 60.0;
    relay_plan::float(served().count() as u64) / minutes
}

/// How long they waited for their turn on average, in seconds.
fn waited(recording: &Recording) -> f64 {
    let waits = recording.calls.iter().filter(|call| is_answered(call)).map(|call| call.waited);
    let (count, sum) = waits.fold((0, 0), |(count, sum), wait| (count + 1, sum + wait));
    Duration::from_micros(sum).as_secs_f64() / relay_plan::float(count)
}

#[track_caller]
fn is_near(what: &str, foreseen: f64, was: f64, part: f64) {
    assert!((foreseen / was - 1.0).abs() < part, "{what}: {foreseen:.2} is foreseen, and it was {was:.2}");
}

/// Sessions ask, read, pause and ask again; who is refused comes back when he was told to.
#[tokio::test(start_paused = true)]
async fn sessions_that_were_recorded_are_foreseen_to_a_twentieth() {
    let stage = Stage::set().await;
    let until = Instant::now() + Duration::from_mins(4);
    for session in 0..36_usize {
        stage.client(move |door| async move {
            sleep(Duration::from_millis(150) * u32::try_from(session).unwrap_or_default()).await;
            let mut client = door.open().await;
            let mut turns = 0;
            while Instant::now() < until {
                let answer = client.send(call(Some(session), 60 + (session * 7 + turns * 13) % 80)).await;
                let wait = answer.header("retry-after").and_then(|wait| wait.parse().ok()).unwrap_or(3);
                sleep(Duration::from_secs(wait)).await;
                turns += 1;
            }
        });
    }
    let recording = stage.recorded().await;
    let outcome = foreseen(&recording);
    assert!(recording.calls.len() > 500, "{} calls", recording.calls.len());
    is_near("calls a minute", outcome.throughput(), throughput(&recording), 0.05);
}

/// Half as many calls again as four keys carry, whatever becomes of those before.
#[tokio::test(start_paused = true)]
async fn an_overload_that_was_recorded_is_foreseen_to_a_twentieth() {
    let stage = Stage::set().await;
    // The keys carry about 230 calls a minute.
    let every = Duration::from_mins(1) / 345;
    let mut dice = Dice::seeded(7);
    let mut after = Duration::ZERO;
    while after < Duration::from_mins(4) {
        let tokens = 60 + usize::try_from(dice.below(80)).unwrap_or_default();
        stage.client(move |door| async move {
            sleep(after).await;
            door.open().await.send(call(None, tokens)).await;
        });
        after += dice.pause(every);
    }
    let recording = stage.recorded().await;
    let outcome = foreseen(&recording);
    // Who has waited for 15 s has got the head of a stream, and hears it there.
    let refused = recording.calls.iter().filter(|call| call.status == 429 || call.end == "error").count();
    assert!(refused > 200, "{refused} of {}", recording.calls.len());
    is_near("calls a minute", outcome.throughput(), throughput(&recording), 0.05);
    is_near("refused", relay_plan::float(outcome.all().refused), relay_plan::float(refused as u64), 0.05);
    is_near("seconds waited", outcome.waits.all.mean().as_secs_f64(), waited(&recording), 0.05);
    assert_eq!(outcome.all().given_up, outcome.all().refused, "nobody was seen to come back");
}

//! A real process, a real journal, and an abort at every point where the process could end: before and after each write, before and after each effect. Then it
//! is opened again and finishes. The verifier and the device live in files, so that they outlive the process.

use citytap_rekey::agent::{Agent, Clock};
use citytap_rekey::backends::{Backend, BackendSpec, Capability, Refusal};
use citytap_rekey::evidence::{Evidence, Reach, Use, Witness};
use citytap_rekey::journal::{Journal, Settings};
use citytap_rekey::rotation::{Approval, Class, Input, Outcome, Plan, Procedure, Rotation, State};
use citytap_rekey::secrets::{Alphabet, Bound, Profile, Sealed, Sealing, Secret};
use citytap_rekey::slot::{AcceptSet, Effecting, Generation, RotationId, Slot};
use citytap_rekey::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const START: i64 = 1_800_000_000_000_000_000;

/// What is outside of the process.
#[derive(Default, Serialize, Deserialize)]
struct Outside {
    accepts: BTreeMap<u32, Vec<u8>>,
    gone: BTreeSet<Vec<u8>>,
    device: Vec<u8>,
    generation: u32,
    session: u64,
    seen: Vec<Evidence>,
    deliveries: u32,
    wrong: Option<String>,
}

struct Files(PathBuf, Mutex<()>, Arc<FileClock>);

impl Files {
    fn change<T>(&self, change: impl FnOnce(&mut Outside) -> T) -> T {
        let _one = self.1.lock().expect("the lock");
        let mut outside = read(&self.0);
        let value = change(&mut outside);
        if !outside.accepts.values().any(|secret| *secret == outside.device) {
            outside.wrong.get_or_insert_with(|| format!("the device with generation {} is locked out", outside.generation));
        }
        let begun = self.0.with_extension("new");
        std::fs::write(&begun, serde_json::to_vec(&outside).expect("data")).expect("a file");
        std::fs::rename(&begun, &self.0).expect("a file");
        value
    }
}

fn read(path: &Path) -> Outside {
    std::fs::read(path).map_or_else(
        |_| Outside {
            accepts: BTreeMap::from([(1, b"default".to_vec())]),
            device: b"default".to_vec(),
            generation: 1,
            ..Outside::default()
        },
        |bytes| serde_json::from_slice(&bytes).expect("data"),
    )
}

static SPEC: BackendSpec = BackendSpec {
    name: "files",
    verifies: "a device in a file",
    procedures: &[Procedure::SharedSecretReplacement],
    documents: &[],
    unproven: "",
    concurrency: 2,
    open: |_, _| Err(Refusal::new("only for tests", "none")),
};

impl Backend for Files {
    fn spec(&self) -> &'static BackendSpec {
        &SPEC
    }

    fn preflight(&self) -> Result<(), Refusal> {
        Ok(())
    }

    fn capability(&self, _: &Slot) -> Result<Capability, Refusal> {
        Err(Refusal::new("not asked for here", "none"))
    }

    fn profile(&self, _: &Slot) -> Option<Profile> {
        Some(Profile { length: 16..=16, alphabet: Alphabet::Bytes })
    }

    fn accept(&self, _: &Slot, generation: Generation, secret: Option<&Secret>, _: Effecting) -> Outcome {
        let secret = secret.map(|secret| secret.expose().to_vec()).unwrap_or_default();
        self.change(|outside| {
            if outside.gone.contains(&secret) {
                outside.wrong = Some("a retired secret is accepted again".to_owned());
            }
            outside.accepts.entry(generation.0).or_insert(secret);
        });
        Outcome::Done
    }

    fn deliver(&self, _: &Slot, _: Generation, to: Generation, secret: Option<&Secret>, _: Effecting) -> Outcome {
        let secret = secret.map(|secret| secret.expose().to_vec()).unwrap_or_default();
        let at = self.2.wall();
        self.change(|outside| {
            if outside.gone.contains(&secret) {
                outside.wrong = Some("a retired secret is sent again".to_owned());
            }
            outside.deliveries += 1;
            outside.device = secret;
            outside.generation = to.0;
            outside.session += 1;
            outside.seen.push(Evidence::Acknowledged { generation: to, at });
            outside.seen.push(Evidence::Restarted { at: at.plus(Span::seconds(2)) });
        });
        Outcome::Done
    }

    fn read_back(&self, _: &Slot) -> Result<AcceptSet, Refusal> {
        Ok(AcceptSet::of(read(&self.0).accepts.keys().map(|generation| Generation(*generation))))
    }

    fn evidence(&self, _: &Slot, since: Timestamp) -> Result<Vec<Evidence>, Refusal> {
        let at = self.2.wall();
        Ok(self.change(|outside| {
            let (generation, session) = (Generation(outside.generation), outside.session);
            outside.session += 1;
            outside.seen.push(Evidence::Used(Use { generation, session, at, by: Witness::Verifier, reach: Reach::Data }));
            outside.seen.iter().filter(|evidence| evidence.at() >= since).copied().collect()
        }))
    }

    fn retire(&self, _: &Slot, generation: Generation, _: Effecting) -> Outcome {
        self.change(|outside| {
            let gone = outside.accepts.remove(&generation.0);
            outside.gone.extend(gone);
        });
        Outcome::Done
    }

    fn quarantine(&self, _: &Slot, _: Option<Timestamp>, _: Effecting) -> Outcome {
        Outcome::Done
    }

    fn leave(&self, _: &Slot, _: Effecting) -> Outcome {
        Outcome::Done
    }
}

/// A clock that goes on by a turn, across processes.
struct FileClock(AtomicI64, PathBuf);

impl FileClock {
    fn open(folder: &Path) -> Self {
        let path = folder.join("clock");
        let now = std::fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(START);
        Self(AtomicI64::new(now), path)
    }

    fn passes(&self, by: Span) {
        let now = self.0.fetch_add(by.0, Ordering::SeqCst) + by.0;
        std::fs::write(&self.1, now.to_string()).expect("a file");
    }
}

impl Clock for FileClock {
    fn wall(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Span {
        Span(self.0.load(Ordering::SeqCst) - START)
    }
}

/// Not for keeping secrets: the tests look at what is kept, not at who can read it.
struct Open;

impl Sealing for Open {
    fn make(&self, _: &Profile, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        let mut secret = vec![0; 16];
        getrandom::fill(&mut secret).map_err(|error| Refusal::new(error.to_string(), "none"))?;
        self.seal(&Secret::new(secret), bound)
    }

    fn seal(&self, secret: &Secret, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        Ok(Sealed([&bound.generation.0.to_be_bytes(), secret.expose()].concat()))
    }

    fn open(&self, sealed: &Sealed, bound: Bound<'_>) -> Result<Secret, Refusal> {
        match sealed.0.split_first_chunk::<4>() {
            Some((generation, secret)) if u32::from_be_bytes(*generation) == bound.generation.0 => {
                Ok(Secret::new(secret.to_vec()))
            }
            _ => Err(Refusal::new("sealed for another place", "none")),
        }
    }
}

fn plan() -> Plan {
    Plan {
        id: RotationId(0),
        slot: Slot::new("files", "dev1").expect("a slot"),
        device: "dev1".to_owned(),
        behind: None,
        class: Class::Overlap,
        procedure: Procedure::SharedSecretReplacement,
        holds_both: true,
        from: Generation(1),
        to: Generation(2),
        accepted: AcceptSet::of([Generation(1)]),
        keep: BTreeSet::new(),
        reporting: Span::seconds(40),
        polls: Span::ZERO,
        settles: Span::seconds(30),
        outage: Span::ZERO,
        grace: Span::seconds(80),
        approvals: 1,
        retire_approvals: 1,
    }
}

/// What the child does: opens the journal, goes on where it was, ends when the rotation has ended.
fn lives(folder: &Path, copies: bool, end_at: usize) {
    let passed = AtomicUsize::new(0);
    let at: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(move |_| {
        if passed.fetch_add(1, Ordering::SeqCst) + 1 == end_at {
            std::process::abort();
        }
    });
    let settings = Settings { copies, at: Some(at) };
    let clock = Arc::new(FileClock::open(folder));
    let journal = Arc::new(Journal::open(&folder.join("journal"), Arc::new(Open), settings).expect("the journal opens"));
    let backend: Arc<dyn Backend> = Arc::new(Files(folder.join("outside"), Mutex::new(()), Arc::clone(&clock)));
    let mut agent = Agent::new(Arc::clone(&journal), [backend], Arc::clone(&clock) as Arc<dyn Clock>, Box::new(|_, _| {}))
        .expect("the agent starts");
    if journal.rotations().expect("rotations").is_empty() {
        agent.adopt(journal.begin(plan(), clock.wall()).expect("it begins"));
    }
    let ask = agent.requests();
    for turn in 0..600 {
        let Some(rotation) = journal.rotations().expect("rotations").into_iter().next() else {
            panic!("the rotation is forgotten")
        };
        if rotation.state().is_end() {
            return;
        }
        if copies && turn % 3 == 0 {
            let version = journal.copy(&folder.join("copy.new")).expect("a copy");
            std::fs::rename(folder.join("copy.new"), folder.join("copy")).expect("a file");
            journal.copied(version).expect("kept");
        }
        person(&rotation, &ask);
        agent.turn(Duration::from_millis(1));
        while !agent.is_idle() {
            agent.turn(Duration::from_millis(5));
        }
        clock.passes(Span::seconds(10));
    }
    panic!("no end: {:?}", journal.rotations());
}

fn person(rotation: &Rotation, ask: &impl Fn(citytap_rekey::agent::Request)) {
    let id = rotation.plan.id;
    let ask = |input| ask(citytap_rekey::agent::Request { rotation: id, input });
    match rotation.state() {
        State::Planned => ask(Input::Approved { by: "ada".to_owned(), what: Approval::Rotate }),
        State::Grace => ask(Input::Approved { by: "ada".to_owned(), what: Approval::Retire }),
        State::Held => ask(Input::Continue),
        _ => {}
    }
}

/// The test that a child is told to run: in the child it is the life that is ended, not the test.
const CHILD: &str = "killed_at_every_point_it_goes_on_and_finishes";

/// Lives as a child, in the process that is one.
fn is_child() -> bool {
    let Ok(folder) = std::env::var("CITYTAP_TEST_FOLDER") else { return false };
    let end_at = std::env::var("CITYTAP_TEST_END_AT").ok().and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
    lives(Path::new(&folder), std::env::var("CITYTAP_TEST_COPIES").is_ok(), end_at);
    true
}

/// Whether the child came to the end of its rotation.
fn run(folder: &Path, copies: bool, end_at: Option<usize>) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", CHILD, "--nocapture"]).env("CITYTAP_TEST_FOLDER", folder);
    if let Some(end_at) = end_at {
        command.env("CITYTAP_TEST_END_AT", end_at.to_string());
    }
    if copies {
        command.env("CITYTAP_TEST_COPIES", "1");
    }
    let output = command.output().expect("the child starts");
    let aborted = std::os::unix::process::ExitStatusExt::signal(&output.status) == Some(6);
    assert!(output.status.success() || aborted && end_at.is_some(), "{}", String::from_utf8_lossy(&output.stderr));
    !aborted
}

fn finished(folder: &Path) {
    let outside = read(&folder.join("outside"));
    assert_eq!(outside.wrong, None);
    assert_eq!(
        outside.accepts.keys().copied().collect::<Vec<_>>(),
        [outside.generation],
        "the old one is gone, the new one is in use"
    );
    let secret = outside.accepts.get(&outside.generation).expect("accepted");
    assert!(*secret == outside.device && outside.gone.contains(b"default".as_slice()));
}

#[test]
fn killed_at_every_point_it_goes_on_and_finishes() {
    if is_child() {
        return;
    }
    let mut points = 0;
    for end_at in 1.. {
        let folder = tempfile::tempdir().expect("a folder");
        if run(folder.path(), false, Some(end_at)) {
            break;
        }
        points = end_at;
        assert!(run(folder.path(), false, None));
        finished(folder.path());
    }
    println!("{points} points");
    assert!(points > 30, "only {points} points: the process does not reach its writes and effects");
}

#[test]
fn killed_again_and_again_it_finishes() {
    for stride in [3, 4, 5, 7] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut lives = 0;
        while !run(folder.path(), false, Some(stride + lives / 10)) {
            lives += 1;
            assert!(lives < 400, "it does not get on");
        }
        finished(folder.path());
    }
}

#[test]
fn lost_at_every_point_it_is_restored_from_its_copy_and_finishes() {
    let mut restored = 0;
    for end_at in (1..).step_by(2) {
        let folder = tempfile::tempdir().expect("a folder");
        if run(folder.path(), true, Some(end_at)) {
            break;
        }
        let (journal, copy) = (folder.path().join("journal"), folder.path().join("copy"));
        if !copy.exists() {
            continue;
        }
        std::fs::remove_file(&journal).expect("the host is lost");
        Journal::restore(&copy, &journal, FileClock::open(folder.path()).wall()).expect("it is restored");
        if Journal::open(&journal, Arc::new(Open), Settings::default())
            .expect("it opens")
            .rotations()
            .expect("rotations")
            .is_empty()
        {
            continue;
        }
        restored += 1;
        assert!(run(folder.path(), true, None));
        let outside = read(&folder.path().join("outside"));
        assert_eq!(outside.wrong, None, "lost at point {end_at}");
        assert!(outside.accepts.values().any(|secret| *secret == outside.device));
    }
    println!("{restored} restores");
    assert!(restored > 20, "only {restored} restores");
}

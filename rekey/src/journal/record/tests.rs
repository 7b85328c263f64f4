use super::*;
use crate::backends::Refusal;
use crate::rotation::{Approval, Class, Procedure};
use crate::secrets::Alphabet;
use crate::time::Span;
use redb::StorageBackend;
use std::io;
use std::path::PathBuf;

/// Keeps secrets as they are; the tests look at what is kept.
struct Open;

impl Sealing for Open {
    fn make(&self, _: &Profile, bound: Bound<'_>) -> Result<Sealed, Refusal> {
        Ok(Sealed(format!("{} {}", bound.slot, bound.generation).into_bytes()))
    }

    fn seal(&self, secret: &Secret, _: Bound<'_>) -> Result<Sealed, Refusal> {
        Ok(Sealed(secret.expose().to_vec()))
    }

    fn open(&self, sealed: &Sealed, _: Bound<'_>) -> Result<Secret, Refusal> {
        Ok(Secret::new(sealed.0.clone()))
    }
}

const NOW: Timestamp = Timestamp(1_800_000_000_000_000_000);
const PROFILE: Profile = Profile { length: 16..=16, alphabet: Alphabet::Bytes };

fn slot(name: &str) -> Slot {
    Slot::new("mosquitto", name).unwrap()
}

fn plan(name: &str) -> Plan {
    Plan {
        id: RotationId(0),
        slot: slot(name),
        device: name.to_owned(),
        behind: None,
        class: Class::Overlap,
        procedure: Procedure::SharedSecretReplacement,
        holds_both: true,
        from: Generation(1),
        to: Generation(2),
        accepted: AcceptSet::of([Generation(1)]),
        keep: BTreeSet::new(),
        reporting: Span::seconds(60),
        polls: Span::ZERO,
        settles: Span::ZERO,
        outage: Span::ZERO,
        grace: Span::hours(1),
        approvals: 1,
        retire_approvals: 0,
    }
}

fn open(path: &Path, copies: bool) -> Journal {
    Journal::open(path, Arc::new(Open), Settings { copies, at: None }).unwrap()
}

fn used(generation: u32, session: u64, seconds: i64) -> Evidence {
    let at = NOW.plus(Span::seconds(seconds));
    Evidence::Used(Use { generation: Generation(generation), session, at, by: Witness::Verifier, reach: Reach::Authenticated })
}

#[test]
fn what_was_kept_is_there_after_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let rotation = {
        let journal = Arc::new(open(&path, false));
        let rotation = journal.begin(plan("dev1"), NOW).unwrap();
        journal.stage(&slot("dev1"), Generation(2), rotation.plan.id, Some(&PROFILE)).unwrap();
        journal.enter(&slot("dev1"), Generation(1), &Secret::new(b"default".to_vec())).unwrap();
        journal.ledger("mosquitto").saw(&slot("dev1"), &[used(1, 7, 5), used(2, 8, 9)]).unwrap();
        journal.ledger("mosquitto").put(&[(b"counter".to_vec(), Some(vec![9]))]).unwrap();
        rotation
    };
    let journal = Arc::new(open(&path, false));
    assert_eq!(journal.rotations().unwrap(), [rotation]);
    assert!(journal.secret(&slot("dev1"), Generation(2)).unwrap().unwrap().same(b"mosquitto/dev1 generation 2"));
    assert!(journal.secret(&slot("dev1"), Generation(1)).unwrap().unwrap().same(b"default"));
    let ledger = journal.ledger("mosquitto");
    assert_eq!(ledger.seen(&slot("dev1"), NOW.plus(Span::seconds(6))).unwrap(), [used(2, 8, 9)]);
    assert_eq!(ledger.get(b"counter").unwrap(), Some((Epoch(0), vec![9])));
    assert_eq!(journal.ledger("join_server").get(b"counter").unwrap(), None, "each backend has its own");
    assert_eq!(ledger.slots().unwrap(), [(slot("dev1"), AcceptSet::of([Generation(1)]))]);
    assert_eq!(journal.next_generation(&slot("dev1")).unwrap(), Generation(3));
}

#[test]
fn a_second_opening_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let _first = open(&path, false);
    let error = Journal::open(&path, Arc::new(Open), Settings::default()).err().unwrap().to_string();
    assert!(error.contains("another process has it open"), "{error}");
}

#[test]
fn a_device_has_one_open_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal"), false);
    journal.begin(plan("dev1"), NOW).unwrap();
    assert!(matches!(journal.begin(plan("dev1"), NOW), Err(BeginError::Conflict(_))));
    journal.begin(plan("dev2"), NOW).unwrap();
}

#[test]
fn a_secret_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal"), false);
    let first = slot("dev1");
    journal.enter(&first, Generation(2), &Secret::new(b"made before".to_vec())).unwrap();
    journal.stage(&first, Generation(2), RotationId(1), Some(&PROFILE)).unwrap();
    assert!(journal.secret(&first, Generation(2)).unwrap().unwrap().same(b"made before"));
}

#[test]
fn evidence_of_a_slot_is_bounded_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(open(&folder.path().join("journal"), false));
    let ledger = journal.ledger("mosquitto");
    for session in 0..200 {
        ledger.saw(&slot("dev1"), &[used(1, session, i64::try_from(session).unwrap())]).unwrap();
    }
    let seen = ledger.seen(&slot("dev1"), NOW).unwrap();
    assert!(seen.len() <= EVIDENCE_MAX && seen.contains(&used(1, 199, 199)), "{}", seen.len());
    assert_eq!(journal.shed(), 200 - seen.len() as u64);
}

#[test]
fn a_key_waits_for_the_copy_and_a_retirement_too() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&folder.path().join("journal"), true);
    let rotation = journal.begin(plan("dev1"), NOW).unwrap();
    journal.stage(&slot("dev1"), Generation(2), rotation.plan.id, Some(&PROFILE)).unwrap();
    let deliver = Effect::Deliver { from: Generation(1), to: Generation(2) };
    journal.record(&rotation, &Input::Tick, &[(Step(3), deliver.clone())], NOW).unwrap();
    assert!(!journal.covers(&rotation, Step(3), &deliver).unwrap());
    let version = journal.copy(&folder.path().join("copy")).unwrap();
    assert!(!journal.covers(&rotation, Step(3), &deliver).unwrap(), "a copy beside the journal is lost with it");
    journal.copied(version).unwrap();
    assert!(journal.covers(&rotation, Step(3), &deliver).unwrap());
    let retire = Effect::Retire { generation: Generation(1) };
    journal.record(&rotation, &Input::Tick, &[(Step(9), retire.clone())], NOW).unwrap();
    assert!(!journal.covers(&rotation, Step(9), &retire).unwrap());
    journal.copied(journal.copy(&folder.path().join("copy")).unwrap()).unwrap();
    assert!(journal.covers(&rotation, Step(9), &retire).unwrap());
}

#[test]
fn a_restored_journal_distrusts_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let (path, copy, new) = (folder.path().join("journal"), folder.path().join("copy"), folder.path().join("restored"));
    {
        let journal = Arc::new(open(&path, true));
        let rotation = journal.begin(plan("dev1"), NOW).unwrap();
        let (rotation, effects) = step(&rotation, &Input::Approved { by: "ada".to_owned(), what: Approval::Rotate }, NOW);
        journal.record(&rotation, &Input::Tick, &effects, NOW).unwrap();
        journal.stage(&slot("dev1"), Generation(2), rotation.plan.id, Some(&PROFILE)).unwrap();
        journal.drop_accepted(&slot("dev2"), Generation(1)).unwrap();
        journal.ledger("join_server").put(&[(b"JoinNonce".to_vec(), Some(vec![7]))]).unwrap();
        journal.copy(&copy).unwrap();
        assert!(Journal::restore(&copy, &path, NOW).is_err(), "a journal that is there is not written over");
    }
    let error = Journal::open(&copy, Arc::new(Open), Settings::default()).err().unwrap().to_string();
    assert!(error.contains("it is a copy"), "{error}");
    Journal::restore(&copy, &new, NOW).unwrap();
    let journal = Arc::new(open(&new, true));
    assert_eq!(journal.epoch(), Epoch(1));
    assert_eq!(journal.rotations().unwrap().first().map(Rotation::state), Some(crate::rotation::State::Held));
    let both = AcceptSet::of([Generation(1), Generation(2)]);
    assert_eq!(journal.accepted(&slot("dev1")).unwrap(), both, "the device may hold what was staged");
    assert_eq!(journal.accepted(&slot("dev2")).unwrap(), AcceptSet::default(), "what was retired stays so");
    assert!(journal.next_generation(&slot("dev1")).unwrap() > Generation(2 + RESTORE_GAP - 1));
    let ledger = journal.ledger("join_server");
    assert_eq!(ledger.get(b"JoinNonce").unwrap(), Some((Epoch(0), vec![7])));
    assert_eq!(ledger.epoch(), Epoch(1), "so the counter jumps");
    assert!(Journal::restore(&new, &folder.path().join("again"), NOW).is_err(), "only a copy is restored");
}

/// A disk with so much room, beside which the ballast takes its own.
#[derive(Debug, Clone)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: Arc<AtomicU64>,
    ballast: PathBuf,
}

impl Disk {
    fn fits(&self, end: u64) -> io::Result<()> {
        let ballast = std::fs::metadata(&self.ballast).map_or(0, |file| file.len());
        if end + ballast > self.room.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&bytes[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut bytes = self.bytes.lock().unwrap();
        if len > bytes.len() as u64 {
            self.fits(len)?;
        }
        bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.bytes.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_before_an_effect_and_an_outcome_still_fits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let ballast = folder.path().join("journal.ballast");
    let disk = Disk { bytes: Arc::default(), room: Arc::new(AtomicU64::new(u64::MAX)), ballast: ballast.clone() };
    let copy = disk.clone();
    let store = Store::with(&path, Box::new(move || redb::Builder::new().create_with_backend(copy.clone()))).unwrap();
    let journal = Arc::new(Journal::over(store, Arc::new(Open), Settings::default()).unwrap());
    let rotation = journal.begin(plan("dev1"), NOW).unwrap();
    let accept = Effect::Accept { generation: Generation(2) };
    journal.record(&rotation, &Input::Tick, &[(Step(1), accept)], NOW).unwrap();
    let full = disk.bytes.lock().unwrap().len() as u64 + std::fs::metadata(&ballast).unwrap().len();
    disk.room.store(full, Ordering::SeqCst);
    // Others fill the disk up to its last page; the write that finds it so takes the ballast.
    let ledger = journal.ledger("mosquitto");
    let mut count = 0u32;
    while ballast.exists() {
        ledger.put(&[(count.to_be_bytes().to_vec(), Some(vec![7; 4000]))]).unwrap();
        count += 1;
        assert!(count < 10_000, "the disk is never full");
    }
    let outcome = Input::Outcome { step: Step(1), outcome: Outcome::Done };
    journal.record(&rotation, &outcome, &[], NOW).unwrap();
    let history = journal.history(rotation.plan.id).unwrap();
    assert_eq!(history.first().and_then(|(_, entry)| entry.outcome.clone()), Some((NOW, Outcome::Done)));
    // Filled up for good: an error, and what was kept before is there.
    let failed = (0..10_000u32).find_map(|n| ledger.put(&[((n + 100_000).to_be_bytes().to_vec(), Some(vec![7; 4000]))]).err());
    let error = failed.unwrap().to_string();
    assert!(error.contains("make room"), "{error}");
    assert_eq!(journal.rotations().unwrap().len(), 1);
    // Room again: it goes on without being started anew.
    disk.room.store(u64::MAX, Ordering::SeqCst);
    journal.ready().unwrap();
    journal.record(&rotation, &Input::Tick, &[], NOW).unwrap();
}

#[test]
fn writes_of_many_threads_all_last() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    {
        let journal = Arc::new(open(&path, false));
        std::thread::scope(|scope| {
            for thread in 0..8u8 {
                let ledger = journal.ledger("join_server");
                scope.spawn(move || (0..50u8).for_each(|n| ledger.put(&[(vec![thread, n], Some(vec![n]))]).unwrap()));
            }
        });
    }
    let ledger = Arc::new(open(&path, false)).ledger("join_server");
    assert!((0..8u8).all(|thread| (0..50u8).all(|n| ledger.get(&[thread, n]).unwrap() == Some((Epoch(0), vec![n])))));
}

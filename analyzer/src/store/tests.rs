use super::city::City;
use super::in_memory::InMemory;
use super::on_disk::OnDisk;
use super::record::seal;
use super::*;
use std::path::Path;

/// What every backend must do; `reopen` closes a store and opens it again.
fn conforms(mut store: Box<dyn Store>, reopen: &dyn Fn(Box<dyn Store>) -> Box<dyn Store>) {
    let all = |store: &dyn Store, tree| {
        let mut entries = Vec::new();
        store.each(tree, &mut |key, value| entries.push((key.to_vec(), value.to_vec()))).unwrap();
        entries
    };
    assert_eq!(store.get(Tree::Devices, b"a").unwrap(), None);
    assert!(all(store.as_ref(), Tree::Devices).is_empty());
    store.remove(Tree::Devices, b"a").unwrap();

    store.put(Tree::Devices, b"b", b"2").unwrap();
    store.put(Tree::Devices, b"a", b"1").unwrap();
    store.put(Tree::Devices, &[0xff, 0], b"").unwrap();
    store.put(Tree::Devices, b"", b"no key").unwrap();
    store.put(Tree::Findings, b"a", b"another tree").unwrap();
    store.put(Tree::Devices, b"a", b"changed").unwrap();
    store.put(Tree::Devices, b"gone", b"x").unwrap();
    store.remove(Tree::Devices, b"gone").unwrap();
    let large = vec![7; 300_000];
    store.put(Tree::Runs, b"large", &large).unwrap();
    store.flush().unwrap();
    store = reopen(store);

    let wanted = [(&b""[..], &b"no key"[..]), (b"a", b"changed"), (b"b", b"2"), (&[0xff, 0], b"")];
    let wanted: Vec<_> = wanted.iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(all(store.as_ref(), Tree::Devices), wanted);
    assert_eq!(all(store.as_ref(), Tree::Findings), [(b"a".to_vec(), b"another tree".to_vec())]);
    assert_eq!(store.get(Tree::Devices, b"a").unwrap().as_deref(), Some(&b"changed"[..]));
    assert_eq!(store.get(Tree::Devices, b"gone").unwrap(), None);
    assert_eq!(store.get(Tree::Runs, b"large").unwrap(), Some(large));
    assert!(store.size().unwrap() > 0);
}

#[test]
fn the_store_in_memory_does_what_a_store_must() {
    conforms(Box::<InMemory>::default(), &|store| store);
}

#[test]
fn the_store_on_disk_does_what_a_store_must() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let reopen = |store| {
        drop(store);
        Box::new(OnDisk::open(&path).unwrap()) as Box<dyn Store>
    };
    conforms(Box::new(OnDisk::open_or_make(&path).unwrap()), &reopen);
}

#[test]
fn a_store_in_use_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let _first = OnDisk::open_or_make(folder.path()).unwrap();
    let error = OnDisk::open(folder.path()).err().unwrap();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(error.to_string().contains("in use by another citytap"), "{error}");
}

#[test]
fn a_folder_with_other_things_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("holiday.jpg"), "x").unwrap();
    assert!(matches!(OnDisk::open_or_make(folder.path()), Err(StoreError::Foreign(_))));
    assert!(matches!(OnDisk::open(folder.path()), Err(StoreError::Foreign(_))));
    assert!(matches!(OnDisk::open_or_make(&folder.path().join("holiday.jpg")), Err(StoreError::Foreign(_))));
    assert!(matches!(OnDisk::open(&folder.path().join("none")), Err(StoreError::Missing(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_store_of_a_newer_program_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    drop(OnDisk::open_or_make(folder.path()).unwrap());
    std::fs::write(folder.path().join("store.json"), r#"{"citytap_store":2,"engine":"other","created_by":"9.9"}"#).unwrap();
    let error = OnDisk::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("version 2, made by citytap 9.9") && error.contains("use the newer program"), "{error}");

    let mut store = InMemory::default();
    let about = serde_json::json!({ "store_version": 2, "site": "city", "created_by": "9.9", "owner": "replay" });
    store.put(Tree::Meta, b"about", &seal(Tree::Meta, b"about", &about)).unwrap();
    let read = City::read(Path::new("s"), Box::new(store), None, 1 << 20);
    assert!(matches!(read, Err(StoreError::Newer { version: 2, .. })));
}

fn device(id: u64) -> serde_json::Value {
    serde_json::json!({
        "id": format!("{id:016x}"), "site": "city", "identities": [],
        "first_seen": "1970-01-01T00:00:00.000000Z", "last_seen": "1970-01-01T00:00:00.000000Z",
        "messages": 3, "packets": 5, "bytes": 7, "provisional": false,
    })
}

#[test]
fn a_damaged_record_is_named_and_passed_over() {
    let mut store = InMemory::default();
    for id in 1..=3_u64 {
        let key = id.to_be_bytes();
        let mut sealed = seal(Tree::Devices, &key, &device(id));
        if id == 2 {
            sealed[20] ^= 1;
        }
        store.put(Tree::Devices, &key, &sealed).unwrap();
    }
    let city = City::read(Path::new("s"), Box::new(store), Some("city"), 1 << 20).unwrap();
    assert_eq!(city.contents().devices.len(), 2);
    let (named, count) = city.damaged();
    assert_eq!(count, 1);
    assert_eq!((named[0].tree, named[0].key.as_str()), (Tree::Devices, "0000000000000002"));
    assert!(named[0].what.contains("checksum"), "{}", named[0].what);
}

#[test]
fn a_store_keeps_its_digest_key() {
    let read = |store| City::read(Path::new("s"), store, Some("harbour"), 1 << 20).unwrap();
    let first = read(Box::<InMemory>::default());
    assert_eq!(first.about().site, "harbour");
    let store = first.into_store();
    let key = store.get(Tree::Meta, b"digest_key").unwrap().unwrap();
    let store = read(store).into_store();
    assert_eq!(store.get(Tree::Meta, b"digest_key").unwrap().unwrap(), key);
    let other = read(Box::<InMemory>::default()).into_store();
    assert_ne!(other.get(Tree::Meta, b"digest_key").unwrap().unwrap(), key);
}

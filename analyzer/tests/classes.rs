//! Devices counted by class are of the classes that they are shown with: the count goes by outlines, the view concludes everything.

use citytap_analyzer::engine::{Setup, replay};
use citytap_sensor::capture::Merge;
use std::path::{Path, PathBuf};

/// Files of captures in a folder and those below it.
fn captures(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).expect("is readable").map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            captures(&path, found);
        } else if name.contains(".pcap") || name.contains(".cap") {
            found.push(path);
        }
    }
}

#[test]
fn an_outline_has_the_class_that_its_device_is_shown_with() {
    let mut found = Vec::new();
    captures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcaps"), &mut found);
    match std::env::var_os("CITYTAP_CAPTURES").filter(|top| !top.is_empty()) {
        Some(folder) => captures(Path::new(&folder), &mut found),
        None => eprintln!("CITYTAP_CAPTURES is not set: pcaps/ alone was replayed"),
    }
    let mut classed = 0;
    // Many captures at once too: only then do outlines repeat themselves.
    let together = vec![found.clone()];
    for captures in found.into_iter().map(|path| vec![path]).chain(together) {
        let mut source = Merge::open(&captures, Default::default());
        let report = replay(&mut source, &Setup::default()).expect("is readable");
        let shown: Vec<Option<String>> = report.inventory.devices().map(|device| device.class.map(|class| class.id)).collect();
        let counted = report.inventory.classes();
        assert_eq!(shown.len(), counted.len(), "{captures:?}");
        for ((device, shown), counted) in report.inventory.devices().zip(&shown).zip(counted) {
            assert_eq!(shown.as_deref(), *counted, "{:?} of {captures:?}", device.identities.first());
        }
        classed += counted.iter().flatten().count();
    }
    assert!(classed > 100, "{classed}");
}

//! Captures to test with.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace")
}

/// A capture of `pcaps/`.
#[derive(Clone, Debug)]
pub struct Case {
    /// `<protocol>/<case>`, and the file where it is not the case's `capture`.
    pub name: String,
    /// Its folder, with `case.toml`.
    pub folder: PathBuf,
    /// Its capture.
    pub capture: PathBuf,
    /// Name of the capture without its endings.
    pub stem: String,
}

/// All captures of the cases in `pcaps/`, by name. A folder with a `case.toml` is a case; it has a `capture`, and may have others.
pub fn cases() -> Vec<Case> {
    let top = root().join("pcaps");
    let mut cases = Vec::new();
    for protocol in folders(&top) {
        for folder in folders(&protocol).into_iter().filter(|folder| folder.join("case.toml").exists()) {
            let captures: Vec<PathBuf> = files(&folder).into_iter().filter(|file| is_capture(file)).collect();
            assert!(captures.iter().any(|file| stem(file) == "capture"), "{} has no capture", folder.display());
            for capture in captures {
                let (case, stem) = (folder.strip_prefix(&top).expect("below pcaps").to_string_lossy(), stem(&capture));
                let name = if stem == "capture" { case.into_owned() } else { format!("{case}/{stem}") };
                cases.push(Case { name, capture, stem, folder: folder.clone() });
            }
        }
    }
    assert!(!cases.is_empty(), "pcaps/ holds no case");
    cases
}

fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split_once('.').map_or(name.as_ref(), |(stem, _)| stem).to_owned()
}

/// The captures below the folder that `CITYTAP_CAPTURES` names; `None`, and a line that says so, where it names none.
pub fn shared() -> Option<(PathBuf, Vec<PathBuf>)> {
    let Some(top) = std::env::var_os("CITYTAP_CAPTURES").filter(|top| !top.is_empty()).map(PathBuf::from) else {
        eprintln!("CITYTAP_CAPTURES is not set: nothing but pcaps/ was checked");
        return None;
    };
    let captures: Vec<PathBuf> = walk(&top).into_iter().filter(|file| is_capture(file)).collect();
    assert!(!captures.is_empty(), "CITYTAP_CAPTURES names {}, which holds no capture", top.display());
    Some((top, captures))
}

/// All files below a folder, sorted.
pub fn walk(top: &Path) -> Vec<PathBuf> {
    let mut found = files(top);
    folders(top).iter().for_each(|folder| found.extend(walk(folder)));
    found
}

/// The folders in a folder, sorted.
pub fn folders(top: &Path) -> Vec<PathBuf> {
    entries(top, Path::is_dir)
}

/// The files in a folder, sorted.
pub fn files(top: &Path) -> Vec<PathBuf> {
    entries(top, Path::is_file)
}

fn entries(top: &Path, wanted: fn(&Path) -> bool) -> Vec<PathBuf> {
    let listed = fs::read_dir(top).unwrap_or_else(|error| panic!("{}: {error}", top.display()));
    let mut found: Vec<PathBuf> =
        listed.map(|entry| entry.expect("a readable folder").path()).filter(|path| wanted(path)).collect();
    found.sort();
    found
}

fn is_capture(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let plain = name.trim_end_matches(".zst").trim_end_matches(".gz");
    [".pcap", ".pcapng", ".cap"].iter().any(|end| plain.ends_with(end))
}

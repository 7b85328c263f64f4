//! Reads a person's rule files from files and folders. What cannot be read in a folder is a problem of its own and costs no other file.

use super::problem::Problem;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes of a rule file that are read: the longest of ours has a hundredth of it.
pub const FILE_BYTES: usize = 1 << 20;

/// Folders in folders that are looked into.
const DEPTH: usize = 8;

/// Bytes of rules in all: a thousand long files have less.
const BYTES: usize = 64 << 20;

/// A file of rules, by the name that problems give it.
pub struct File<'t> {
    /// As the person knows it.
    pub name: &'t str,
    /// What it holds.
    pub text: &'t str,
    /// Whether it is a person's own, rather than one that comes with the program.
    pub own: bool,
}

/// A file or folder of rules that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read rules from {path}: {error}")]
pub struct ReadError {
    path: String,
    error: std::io::Error,
}

/// Texts by the names of their files, and what could not be read.
#[derive(Default)]
pub(super) struct Texts {
    pub(super) files: Vec<(String, String)>,
    pub(super) problems: Vec<Problem>,
    bytes: usize,
}

/// Reads files, and the .yml and .yaml files of folders.
///
/// # Errors
/// One of `paths` itself that cannot be read.
pub(super) fn read(paths: &[PathBuf]) -> Result<Texts, ReadError> {
    let mut texts = Texts::default();
    for path in paths {
        let wrong = |error| ReadError { path: path.display().to_string(), error };
        if fs::metadata(path).map_err(wrong)?.is_dir() {
            fs::read_dir(path).map_err(wrong)?;
            texts.folder(path, DEPTH);
        } else {
            fs::File::open(path).map_err(wrong)?;
            texts.file(path);
        }
    }
    Ok(texts)
}

impl Texts {
    fn problem(&mut self, path: &Path, line: usize, text: String) {
        self.problems.push(Problem { file: path.display().to_string(), line, column: 1, text });
    }

    /// Links to folders are not followed, so none is read twice. Files whose name begins with a dot belong to editors.
    fn folder(&mut self, path: &Path, depth: usize) {
        let entries = match fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
            Ok(entries) => entries,
            Err(error) => return self.problem(path, 1, format!("the folder cannot be read: {error}")),
        };
        let mut inside: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
        inside.sort();
        for path in inside {
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            let is_folder = fs::symlink_metadata(&path).is_ok_and(|is| is.is_dir());
            let is_rule = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
            match (hidden, is_folder) {
                (true, _) => {}
                (_, true) if depth == 0 => self.problem(&path, 1, format!("folders more than {DEPTH} deep are not looked into")),
                (_, true) => self.folder(&path, depth - 1),
                _ if is_rule => self.file(&path),
                _ => {}
            }
        }
    }

    fn file(&mut self, path: &Path) {
        if !fs::metadata(path).is_ok_and(|is| is.is_file()) {
            return self.problem(path, 1, "this is no file that can be read".into());
        }
        // A longer file is refused, so that no more of it is needed.
        let mut bytes = Vec::new();
        let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES as u64 + 1).read_to_end(&mut bytes));
        if let Err(error) = read {
            return self.problem(path, 1, format!("the file cannot be read: {error}"));
        }
        self.bytes += bytes.len();
        if self.bytes > BYTES {
            return self.problem(path, 1, format!("there are more than {} MB of rules: this file is left out", BYTES >> 20));
        }
        match String::from_utf8(bytes) {
            Ok(text) => self.files.push((path.display().to_string(), text)),
            Err(error) => {
                let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
                self.problem(path, line, "the file is not UTF-8: save it as UTF-8".into());
            }
        }
    }
}

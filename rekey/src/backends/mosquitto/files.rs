//! Replacing a file that another program reads, so that it finds the old text or the new one and never half of one.

use crate::backends::Refusal;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Replaces a file: a new one beside it, flushed, with the owner, group and mode of the old one (`mode` where there is none yet), renamed over it, the folder
/// flushed.
///
/// # Errors
/// The folder cannot be written; the old file is then as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Refusal> {
    let written = try_replace(path, bytes, mode);
    written.map_err(|error| {
        let remedy = "let the user of citytap-rekey write that folder, and see that the disk has room";
        Refusal::new(format!("{} cannot be replaced: {error}", path.display()), remedy)
    })
}

fn try_replace(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let new = beside(&path, "citytap-new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let old = fs::metadata(&path).ok();
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        if let Some(old) = &old {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        let mode = old.as_ref().map_or(mode, |old| old.mode() & 0o7777);
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&new, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new); // What is left over is ours and not read by anybody.
        return written;
    }
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// The path with an ending added to its name.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Whether files can be made in the folder of `path`.
///
/// # Errors
/// They cannot.
pub fn check_writable(path: &Path) -> Result<(), Refusal> {
    let probe = beside(path, "citytap-probe");
    let made = OpenOptions::new().write(true).create(true).truncate(true).open(&probe).and_then(|_| fs::remove_file(&probe));
    made.map_err(|error| {
        let remedy = "let the users of citytap-rekey and of the broker write that folder: it must hold a new file for a moment";
        Refusal::new(format!("the folder of {} cannot be written: {error}", path.display()), remedy)
    })
}

/// Reads a file; one that is not there is empty.
///
/// # Errors
/// It cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| {
            Refusal::new(format!("{} cannot be read: {error}", path.display()), "let the user of citytap-rekey read it")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_link_are_kept_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("passwords"), folder.path().join("link"));
        fs::write(&file, "old").and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o640))).expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        replace(&link, b"new", 0o600).expect("replaced");
        assert_eq!(fs::read(&file).expect("read"), b"new");
        assert_eq!(fs::metadata(&file).expect("there").mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 2);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_with_a_remedy() {
        let refusal = replace(Path::new("/nowhere/at/all"), b"", 0o600).expect_err("no folder");
        assert!(refusal.cause.contains("/nowhere/at/all") && !refusal.remedy.is_empty());
    }
}

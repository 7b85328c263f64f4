//! The folders that a run writes to, and whether the account that it becomes can.

use super::privileges::Account;
use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::Path;

/// Makes a folder for the account alone, as root, where there is none. One that is there is left as it is.
///
/// # Errors
/// What the file system answers, with the folder.
pub fn make(folder: &Path, account: &Account) -> Result<(), String> {
    if folder.exists() {
        return Ok(());
    }
    let failed = |error: std::io::Error| format!("cannot make the folder {}: {error}", folder.display());
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(error)),
        _ => {}
    }
    chown(folder, Some(account.uid()), Some(account.gid())).map_err(failed)
}

/// Sees that a file can be made in a folder. To be called as the account.
///
/// # Errors
/// What is wrong, and what to do.
pub fn check(folder: &Path, account: &Account) -> Result<(), String> {
    let probe = folder.join(format!(".citytap-{}", std::process::id()));
    let tried = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    tried.map_err(|error| {
        let (name, shown) = (&account.name, folder.display());
        let remedy = match error.kind() {
            ErrorKind::PermissionDenied => format!(
                "give it to that user (chown -R {name} {shown}), see that the user may enter the folders above it, or name another user (--user)"
            ),
            ErrorKind::NotFound => "make it, or name another".into(),
            ErrorKind::StorageFull => "make room on its disk".into(),
            _ => "see that its disk is well and can be written".into(),
        };
        format!("the user {name} cannot write in {shown} ({error}); {remedy}")
    })
}

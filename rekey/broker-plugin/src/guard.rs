//! Judges a login by the accept-set file, which it reads again when it was replaced, and tells the use.

use crate::accepts::{Accepts, Judgement};
use crate::uses::{MAX_DATAGRAM, OTHER, Told};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest accept-set file that is read, in bytes: 100,000 entries. Reading it holds up the broker.
const MAX_FILE: u64 = 32 << 20;

/// Sessions whose messages are told of; beyond, it is not told that their data flows.
const MAX_SESSIONS: usize = 100_000;
/// Nanoseconds between two words about the same session's data: a device stays logged in for weeks, and that it goes on must be seen all the same.
const RETELL: i64 = 10_000_000_000;
/// Uses kept while nobody listens: one for each user, generation and reach, so twice the entries of the longest file would fit.
const MAX_KEPT: usize = 200_000;

/// What makes two states of a file different: inode, length, and time of change with nanoseconds.
type Version = (u64, u64, i64, i64);

/// The plugin's state.
pub struct Guard {
    file: PathBuf,
    read: Option<Version>,
    accepts: Accepts,
    uses: Option<Uses>,
}

struct Uses {
    path: PathBuf,
    socket: UnixDatagram,
    started: i64,
    logins: u64,
    dropped: u64,
    /// By client identifier: who logged in, and when it was last told that they published.
    sessions: HashMap<String, (Told, Option<i64>)>,
    /// By user, generation and reach: the latest that could not be sent.
    kept: BTreeMap<(String, u32, bool), Told>,
}

/// What the broker should do with a login, and what to write into its log.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Accepted; else the next plugin decides.
    pub accepted: bool,
    /// For the broker's log. Never a password.
    pub log: Option<String>,
}

impl Guard {
    /// Takes the accept-set's file, which need not be there yet, and the path of the socket on which uses are told.
    pub fn new(file: PathBuf, uses: Option<PathBuf>) -> Self {
        let uses = uses.and_then(|path| {
            let socket = UnixDatagram::unbound().ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(Uses { path, socket, started: now(), logins: 0, dropped: 0, sessions: HashMap::new(), kept: BTreeMap::new() })
        });
        Self { file, read: None, accepts: Accepts::default(), uses }
    }

    /// Reads the file again if it was replaced; says what came of it, for the broker's log. Kept as it was if the file is missing or broken.
    pub fn refresh(&mut self) -> Option<String> {
        let shown = self.file.display();
        let version = fs::metadata(&self.file).ok().map(|found| (found.ino(), found.len(), found.mtime(), found.mtime_nsec()));
        if version == self.read {
            return None;
        }
        self.read = version;
        let Some((_, length, ..)) = version else {
            return Some(format!("citytap: {shown} is gone; going on with what it said last"));
        };
        if length > MAX_FILE {
            return Some(format!("citytap: {shown} is longer than {MAX_FILE} bytes; going on with what it said last"));
        }
        let parsed = fs::read_to_string(&self.file).map_err(|error| error.to_string()).and_then(|text| Accepts::parse(&text));
        match parsed {
            Ok(accepts) => {
                self.accepts = accepts;
                Some(format!("citytap: {shown} read, {} credentials staged", self.accepts.entries().count()))
            }
            Err(why) => Some(format!("citytap: {shown}: {why}; going on with what it said last")),
        }
    }

    /// Judges a login and tells the use.
    pub fn judge(&mut self, user: &str, password: &[u8], client_id: Option<&str>, address: Option<&str>) -> Verdict {
        match self.accepts.judge(user, password, client_id) {
            Judgement::Unknown => Verdict { accepted: false, log: None },
            Judgement::Other => {
                self.tell(user, OTHER, client_id, address);
                Verdict { accepted: false, log: None }
            }
            Judgement::Generation(generation) => {
                self.tell(user, generation, client_id, address);
                Verdict { accepted: true, log: Some(format!("citytap: {} used generation {generation}", user.escape_default())) }
            }
        }
    }

    fn tell(&mut self, user: &str, generation: u32, client_id: Option<&str>, address: Option<&str>) {
        let Some(uses) = &mut self.uses else { return };
        uses.logins += 1;
        let (user, address) = (user.to_owned(), address.map(str::to_owned));
        let told = Told {
            user,
            generation,
            at: now(),
            started: uses.started,
            login: uses.logins,
            data: false,
            address,
            dropped: uses.dropped,
        };
        if let Some(id) = client_id
            && (uses.sessions.len() < MAX_SESSIONS || uses.sessions.contains_key(id))
        {
            uses.sessions.insert(id.to_owned(), (told.clone(), None));
        }
        uses.tell(told);
    }

    /// The client published: tells so, at most once in [`RETELL`]. Called for every message of the broker, so it is quick for clients that are not staged.
    pub fn published(&mut self, client_id: &str) {
        let Some(uses) = &mut self.uses else { return };
        let Some((login, last)) = uses.sessions.get_mut(client_id) else { return };
        let at = now();
        if last.is_none_or(|last| at.saturating_sub(last) >= RETELL) {
            *last = Some(at);
            let told = Told { at, data: true, dropped: uses.dropped, ..login.clone() };
            uses.tell(told);
        }
    }

    /// The client is gone: its messages are no longer looked for.
    pub fn gone(&mut self, client_id: &str) {
        self.uses.iter_mut().for_each(|uses| drop(uses.sessions.remove(client_id)));
    }

    /// Time went on: tells what was kept, if somebody listens again.
    pub fn tick(&mut self) {
        self.uses.iter_mut().for_each(Uses::tell_kept);
    }
}

impl Uses {
    fn tell(&mut self, told: Told) {
        self.tell_kept();
        if !self.kept.is_empty() || !self.send(&told) {
            self.keep(told);
        }
    }

    fn keep(&mut self, told: Told) {
        let key = (told.user.clone(), told.generation, told.data);
        if self.kept.len() < MAX_KEPT || self.kept.contains_key(&key) {
            self.kept.insert(key, told);
        } else {
            self.dropped += 1;
        }
    }

    fn tell_kept(&mut self) {
        while let Some((key, told)) = self.kept.pop_first() {
            if !self.send(&told) {
                self.kept.insert(key, told);
                return;
            }
        }
    }

    /// Whether it is with the listener, or can never be.
    fn send(&mut self, told: &Told) -> bool {
        let line = told.to_line();
        if line.len() > MAX_DATAGRAM {
            self.dropped += 1;
            return true;
        }
        self.socket.send_to(line.as_bytes(), &self.path).is_ok()
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accepts::Entry;
    use std::path::Path;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("citytap-plugin-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
        fn stage(&self, passwords: &[(u32, &str)]) -> PathBuf {
            let mut accepts = Accepts::default();
            for (generation, password) in passwords {
                accepts.insert(Entry::new("lamp", *generation, password.as_bytes(), b"salt")).expect("room");
            }
            self.write(&accepts.to_text())
        }
        fn write(&self, text: &str) -> PathBuf {
            let (new, path) = (self.0.join("new"), self.0.join("accepts"));
            fs::write(&new, text).and_then(|()| fs::rename(&new, &path)).expect("written");
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn accepted(guard: &mut Guard, password: &str) -> bool {
        guard.refresh();
        guard.judge("lamp", password.as_bytes(), None, None).accepted
    }

    #[test]
    fn a_replaced_file_is_read_again_and_a_broken_one_is_not_believed() {
        let folder = Folder::new("reread");
        let mut guard = Guard::new(folder.0.join("accepts"), None);
        assert!(!accepted(&mut guard, "old"), "no file yet: everything is deferred");
        folder.stage(&[(1, "old"), (2, "new")]);
        assert!(accepted(&mut guard, "old") && accepted(&mut guard, "new"));
        folder.write("{\"user\":\"lamp\"");
        assert!(guard.refresh().is_some_and(|line| line.contains("cut short")));
        assert!(accepted(&mut guard, "old") && accepted(&mut guard, "new"));
        fs::remove_file(folder.0.join("accepts")).expect("removed");
        assert!(accepted(&mut guard, "new"), "a file that is gone retires nothing");
        folder.stage(&[(2, "new")]);
        assert!(!accepted(&mut guard, "old") && accepted(&mut guard, "new"));
    }

    #[test]
    fn uses_are_told_and_kept_while_nobody_listens() {
        let folder = Folder::new("uses");
        folder.stage(&[(2, "new")]);
        let path = folder.0.join("uses");
        let mut guard = Guard::new(folder.0.join("accepts"), Some(path.clone()));
        assert!(accepted(&mut guard, "new") && accepted(&mut guard, "new"), "nobody listens yet");
        let listener = UnixDatagram::bind(&path).expect("bound");
        guard.tick();
        let verdict = guard.judge("lamp", b"something else", Some("c1"), Some("10.0.0.7"));
        assert!(!verdict.accepted, "the next plugin decides");
        guard.published("c1");
        guard.published("c1");
        guard.gone("c1");
        let told = [receive(&listener), receive(&listener), receive(&listener)];
        assert_eq!((told[0].generation, told[0].login), (2, 2), "the latest of two that were kept");
        assert_eq!((told[1].generation, told[1].data, told[1].address.as_deref()), (OTHER, false, Some("10.0.0.7")));
        assert_eq!((told[2].generation, told[2].data, told[2].login), (OTHER, true, 3));
        assert!(!format!("{told:?}").contains("something"));
        for _ in 0..2000 {
            accepted(&mut guard, "new");
        }
        assert_eq!(guard.uses.map(|uses| (uses.kept.len(), uses.logins)), Some((1, 2003)), "a full socket holds nobody up");
    }

    fn receive(listener: &UnixDatagram) -> Told {
        let mut room = [0; MAX_DATAGRAM];
        let length = listener.recv(&mut room).expect("a datagram");
        Told::parse(&room[..length]).expect("JSON")
    }

    #[test]
    fn a_user_who_is_not_staged_is_deferred_in_silence() {
        let folder = Folder::new("silent");
        let mut guard = Guard::new(folder.stage(&[(1, "old")]), None);
        guard.refresh();
        assert_eq!(guard.judge("other", b"old", None, None), Verdict { accepted: false, log: None });
        assert!(Path::new(&guard.file).exists());
    }
}

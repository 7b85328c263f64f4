//! The two text files of Mosquitto that hold credentials: `password_file` (`user:$7$rounds$salt$digest`, PBKDF2-HMAC-SHA512, mosquitto_passwd of 2.0) and
//! `psk_file` (`identity:hex key`). Reading, and the text after one change; lines of others, comments and order stay as they are.

use crate::secrets::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha512;
use zeroize::Zeroizing;

/// Rounds that are written: those of mosquitto_passwd 2.0.
const ITERATIONS: u32 = 101;
/// The most rounds that are computed for one look at the file.
const MAX_ITERATIONS: u32 = 1_000_000;

/// The text of such a file. It may hold keys in clear (psk_file), so it is wiped when dropped.
pub struct Lines(Zeroizing<String>);

impl Lines {
    /// Takes a file's bytes; what is no UTF-8 is not a file of these.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        String::from_utf8(bytes).ok().map(|text| Self(Zeroizing::new(text)))
    }

    /// The bytes to write.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// What stands behind a name.
    fn of(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    /// Whether a name stands there.
    pub fn has(&self, name: &str) -> bool {
        self.of(name).is_some()
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.split_once(':')?.0))
    }

    /// The file with this behind the name, in the name's place or at the end; `None` takes the line out.
    pub fn with(&self, name: &str, value: Option<&str>) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() + name.len() + value.map_or(0, str::len) + 3));
        let mut put = value;
        for line in self.0.lines() {
            let is_it = line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
            match put.take_if(|_| is_it) {
                Some(value) => push(&mut text, &[name, ":", value]),
                None if is_it => {}
                None => push(&mut text, &[line]),
            }
        }
        if let Some(value) = put {
            push(&mut text, &[name, ":", value]);
        }
        Self(text)
    }

    /// Whether `password` is what a password_file holds for the name.
    pub fn holds_password(&self, name: &str, password: &Secret) -> bool {
        let parts: Vec<&str> = self.of(name).unwrap_or_default().split('$').collect();
        let ["", "7", rounds, salt, digest] = parts[..] else { return false };
        let (Ok(rounds), Ok(salt), Ok(wanted)) = (rounds.parse::<u32>(), STANDARD.decode(salt), STANDARD.decode(digest)) else {
            return false;
        };
        let mut found = vec![0; wanted.len()];
        pbkdf2::pbkdf2_hmac::<Sha512>(password.expose(), &salt, rounds.clamp(1, MAX_ITERATIONS), &mut found);
        !wanted.is_empty() && Secret::new(found).same(&wanted)
    }

    /// Whether `key` (hex digits) is what a psk_file holds for the identity.
    pub fn holds_key(&self, identity: &str, key: &Secret) -> bool {
        let found = self.of(identity).map(|hex| hex.trim().to_ascii_lowercase()).unwrap_or_default();
        !found.is_empty() && Secret::new(key.expose().to_ascii_lowercase()).same(found.as_bytes())
    }
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

/// What stands behind a user in a password_file, with `salt` from the operating system.
pub fn password_entry(password: &Secret, salt: &[u8]) -> String {
    let digest = pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.expose(), salt, ITERATIONS);
    format!("$7${ITERATIONS}${}${}", STANDARD.encode(salt), STANDARD.encode(digest))
}

/// Whether a name can stand in such a file.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([':', '\n', '\r']) && !name.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines {
        Lines::new(text.as_bytes().to_vec()).expect("UTF-8")
    }

    #[test]
    fn one_line_changes_and_the_others_stay() {
        let before = lines("# by hand\ndev1:aa\ndev10:bb\n");
        assert_eq!(before.with("dev1", Some("cc")).bytes(), b"# by hand\ndev1:cc\ndev10:bb\n");
        assert_eq!(before.with("dev2", Some("cc")).bytes(), b"# by hand\ndev1:aa\ndev10:bb\ndev2:cc\n");
        assert_eq!(before.with("dev1", None).bytes(), b"# by hand\ndev10:bb\n");
        assert_eq!(lines("a:1\na:2\n").with("a", Some("3")).bytes(), b"a:3\n", "a name stands there once");
        assert_eq!(before.names().collect::<Vec<_>>(), ["dev1", "dev10"]);
    }

    #[test]
    fn a_password_is_recognised_in_what_mosquitto_passwd_wrote() {
        // mosquitto_passwd -b of Debian's 2.0.11, password "admin".
        let made = lines(
            "dev1:$7$101$mKOKx5FJDWdoa/Ox$6aJgAhhsj9ilSz0/df6pqAuH4ndQhnDEDnYvqutB7nSYNpZWDBg7uzC/DtMR3c8BgzOxJ8EvVL/7TMPuZ0ymxg==\n",
        );
        assert!(made.holds_password("dev1", &Secret::new(b"admin".to_vec())));
        assert!(!made.holds_password("dev1", &Secret::new(b"admin2".to_vec())));
        let own = lines("").with("dev1", Some(&password_entry(&Secret::new(b"new".to_vec()), &[9; 12])));
        assert!(own.holds_password("dev1", &Secret::new(b"new".to_vec())));
    }

    #[test]
    fn a_key_is_recognised_in_either_case() {
        let file = lines("dev1:00FFaa\n");
        assert!(
            file.holds_key("dev1", &Secret::new(b"00ffaa".to_vec())) && !file.holds_key("dev1", &Secret::new(b"00ffab".to_vec()))
        );
        assert!(!file.holds_key("dev2", &Secret::new(Vec::new())));
    }
}

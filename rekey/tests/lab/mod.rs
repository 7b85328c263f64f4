//! A real mosquitto on loopback in a folder of its own, a journal in memory, and clients. What is missing on the machine fails the test with the remedy.
#![allow(dead_code)] // Each test file uses its part.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use citytap_rekey::backends::mosquitto::client::{Client, ClientError, Endpoint};
use citytap_rekey::backends::mosquitto::packets::Level;
use citytap_rekey::backends::{Backend, named};
use citytap_rekey::evidence::{Evidence, Reach, Use};
use citytap_rekey::journal::{Change, Epoch, JournalError, Ledger};
use citytap_rekey::secrets::Secret;
use citytap_rekey::slot::{AcceptSet, Effecting, Generation, RotationId, Slot, Step};
use citytap_rekey::time::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

pub const ADMIN: &str = "rekey";
pub const ADMIN_PASSWORD: &str = "AdminPasswordOfTheTests";
/// Below this folder is another mosquitto than the one that is installed: `dpkg -x` of its package.
const ELSEWHERE: &str = "CITYTAP_MOSQUITTO";

/// A journal in memory that answers as the real one must.
#[derive(Default)]
pub struct Memory(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    secrets: BTreeMap<(Slot, Generation), Vec<u8>>,
    accepted: BTreeMap<Slot, AcceptSet>,
    seen: BTreeMap<Slot, Vec<Evidence>>,
    kept: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Memory {
    pub fn enter(&self, slot: &Slot, generation: u32, secret: &str) {
        self.0.lock().unwrap().secrets.insert((slot.clone(), Generation(generation)), secret.as_bytes().to_vec());
    }
    /// What the agent does before and after an accept or a retirement.
    pub fn set_accepted(&self, slot: &Slot, generations: &[u32]) {
        let set = AcceptSet::of(generations.iter().map(|it| Generation(*it)));
        self.0.lock().unwrap().accepted.insert(slot.clone(), set);
    }
}

impl Ledger for Memory {
    fn secret(&self, slot: &Slot, generation: Generation) -> Result<Option<Secret>, JournalError> {
        Ok(self.0.lock().unwrap().secrets.get(&(slot.clone(), generation)).map(|bytes| Secret::new(bytes.clone())))
    }
    fn accepted(&self, slot: &Slot) -> Result<AcceptSet, JournalError> {
        Ok(self.0.lock().unwrap().accepted.get(slot).cloned().unwrap_or_default())
    }
    fn slots(&self) -> Result<Vec<(Slot, AcceptSet)>, JournalError> {
        Ok(self.0.lock().unwrap().accepted.clone().into_iter().collect())
    }
    fn saw(&self, slot: &Slot, evidence: &[Evidence]) -> Result<(), JournalError> {
        self.0.lock().unwrap().seen.entry(slot.clone()).or_default().extend(evidence);
        Ok(())
    }
    fn seen(&self, slot: &Slot, since: Timestamp) -> Result<Vec<Evidence>, JournalError> {
        let mut seen = self.0.lock().unwrap().seen.get(slot).cloned().unwrap_or_default();
        seen.retain(|it| it.at() >= since);
        seen.sort();
        Ok(seen)
    }
    fn get(&self, key: &[u8]) -> Result<Option<(Epoch, Vec<u8>)>, JournalError> {
        Ok(self.0.lock().unwrap().kept.get(key).map(|bytes| (Epoch(0), bytes.clone())))
    }
    fn put(&self, changes: &[Change]) -> Result<(), JournalError> {
        let mut kept = self.0.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => drop(kept.kept.insert(key.clone(), value.clone())),
                None => drop(kept.kept.remove(key)),
            }
        }
        Ok(())
    }
    fn epoch(&self) -> Epoch {
        Epoch(0)
    }
}

/// A program that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn installed(path: &str) -> PathBuf {
    let top = std::env::var_os(ELSEWHERE).unwrap_or_else(|| "/".into());
    Path::new(&top).join(path)
}

const DYNSEC: &str = "usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so";

fn program() -> PathBuf {
    installed("usr/sbin/mosquitto")
}

/// What the broker is configured with besides its log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum With {
    /// Our plugin, then dynamic security.
    Plugin,
    /// The wrong order.
    PluginAfter,
    /// As `Plugin`, and the broker gives up root for the user mosquitto, as Debian has it.
    PluginUnprivileged,
    /// Dynamic security alone.
    DynamicSecurity,
    /// A password_file.
    PasswordFile,
    /// A psk_file.
    PskFile,
    /// Dynamic security, over TLS.
    Tls,
}

pub struct Lab {
    pub folder: tempfile::TempDir,
    pub port: u16,
    pub psk_port: u16,
    pub with: With,
    pub ledger: Arc<Memory>,
    broker: Mutex<Option<Running>>,
}

pub fn slot(name: &str) -> Slot {
    Slot::new("mosquitto", name).expect("a slot")
}

pub fn by(step: u32) -> Effecting {
    Effecting { rotation: RotationId(1), step: Step(step) }
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// The plugin, built by cargo once.
pub fn plugin() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", "citytap-broker-plugin", "--message-format", "json"]).current_dir(root);
        let output = command.output().expect("cargo starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let path = text.split('"').find(|part| part.ends_with("libcitytap_broker_plugin.so"));
        assert!(output.status.success(), "the broker plugin does not build: {}", String::from_utf8_lossy(&output.stderr));
        PathBuf::from(path.expect("cargo tells where the plugin is"))
    })
}

fn client(user: &str, password: &str, role: &str) -> serde_json::Value {
    let salt = b"twelve bytes";
    let digest = pbkdf2::pbkdf2_hmac_array::<sha2::Sha512, 64>(password.as_bytes(), salt, 101);
    json!({"username": user, "roles": [{"rolename": role}], "password": STANDARD.encode(digest), "salt": STANDARD.encode(salt), "iterations": 101})
}

fn acls(topics: &[&str]) -> serde_json::Value {
    let types = ["publishClientSend", "publishClientReceive", "subscribePattern"];
    let all = topics.iter().flat_map(|topic| types.map(|acltype| json!({"acltype": acltype, "topic": topic, "allow": true})));
    all.collect()
}

/// What dynamic-security.json says at the start: the administrator, and devices with these passwords.
pub fn dynamic_security(devices: &[(&str, &str)]) -> String {
    let mut clients = vec![client(ADMIN, ADMIN_PASSWORD, "admin")];
    clients.extend(devices.iter().map(|(user, password)| client(user, password, "device")));
    let admin = acls(&["$CONTROL/dynamic-security/#", "$SYS/#", "#"]);
    json!({
        "defaultACLAccess": {"publishClientSend": false, "publishClientReceive": true, "subscribe": false, "unsubscribe": true},
        "clients": clients, "groups": [],
        "roles": [
            {"rolename": "admin", "acls": admin},
            {"rolename": "device", "acls": acls(&["city/#", "citytap/rekey/#"])},
            {"rolename": "by-name", "acls": acls(&["own/%u/#"])},
        ],
    })
    .to_string()
}

impl Lab {
    pub fn start(with: With, devices: &[(&str, &str)]) -> Self {
        assert!(program().exists(), "mosquitto is not installed: apt-get install mosquitto (make lab does)");
        let folder = tempfile::tempdir().expect("a folder");
        let lab =
            Self { folder, port: free_port(), psk_port: free_port(), with, ledger: Arc::default(), broker: Mutex::default() };
        let write = |name: &str, text: &str| fs::write(lab.path(name), text).expect("written");
        write("admin-password", &format!("{ADMIN_PASSWORD}\n"));
        fs::set_permissions(lab.path("admin-password"), fs::Permissions::from_mode(0o600)).expect("closed");
        write("dynamic-security.json", &dynamic_security(devices));
        let entry = |user: &str, password: &str| {
            use citytap_rekey::backends::mosquitto::passwords::password_entry;
            format!("{user}:{}\n", password_entry(&secret(password), b"twelve bytes"))
        };
        let passwords: String =
            devices.iter().chain([&(ADMIN, ADMIN_PASSWORD)]).map(|(user, password)| entry(user, password)).collect();
        write("passwords", &passwords);
        write("psk", &devices.iter().map(|(user, key)| format!("{user}:{key}\n")).collect::<String>());
        devices.iter().for_each(|(user, _)| lab.ledger.set_accepted(&slot(user), &[1]));
        lab.configure();
        if with == With::PluginUnprivileged {
            let files = [lab.folder.path().to_owned(), lab.path("dynamic-security.json")];
            let done = Command::new("chown").arg("mosquitto:mosquitto").args(files).status().expect("chown");
            assert!(done.success(), "this test needs root and the user mosquitto");
        }
        lab
    }

    /// Starts it, and lets the broker's journal know the devices' passwords.
    pub fn started(with: With, devices: &[(&str, &str)]) -> Self {
        let lab = Self::start(with, devices);
        devices.iter().for_each(|(user, password)| lab.ledger.enter(&slot(user), 1, password));
        lab.run();
        lab
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self) {
        let at = |name: &str| self.path(name).display().to_string();
        let mut lines = vec![
            "per_listener_settings false".to_owned(),
            format!("user {}", if self.with == With::PluginUnprivileged { "mosquitto" } else { "root" }),
            "allow_anonymous false".to_owned(),
            "log_type all".to_owned(),
            format!("log_dest file {}", at("log")),
            format!("pid_file {}", at("pid")),
            format!("listener {} 127.0.0.1", self.port),
        ];
        let ours = [
            format!("plugin {}", plugin().display()),
            format!("plugin_opt_accepts {}", at("accepts")),
            format!("plugin_opt_uses {}", at("uses")),
        ];
        let theirs = [
            format!("plugin {}", installed(DYNSEC).display()),
            format!("plugin_opt_config_file {}", at("dynamic-security.json")),
        ];
        match self.with {
            With::Plugin | With::PluginUnprivileged => lines.extend(ours.into_iter().chain(theirs)),
            With::PluginAfter => lines.extend(theirs.into_iter().chain(ours)),
            With::DynamicSecurity => lines.extend(theirs),
            With::Tls => {
                lines.extend([format!("certfile {}", at("broker.crt")), format!("keyfile {}", at("broker.key"))]);
                lines.extend(theirs);
            }
            With::PasswordFile => lines.push(format!("password_file {}", at("passwords"))),
            With::PskFile => {
                lines.push(format!("password_file {}", at("passwords")));
                lines.push(format!("listener {} 127.0.0.1", self.psk_port));
                lines.extend([
                    format!("psk_file {}", at("psk")),
                    "psk_hint city".to_owned(),
                    "use_identity_as_username true".to_owned(),
                ]);
            }
        }
        fs::write(self.path("mosquitto.conf"), lines.join("\n") + "\n").expect("written");
    }

    /// Starts the broker; one that runs is killed first.
    pub fn run(&self) {
        self.stop();
        let child = Command::new(program())
            .args(["-c".as_ref(), self.path("mosquitto.conf").as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        *self.broker.lock().unwrap() = Some(Running(child.expect("mosquitto starts")));
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < until, "mosquitto does not listen: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9: what was not saved is lost.
    pub fn stop(&self) {
        *self.broker.lock().unwrap() = None;
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    pub fn broker_pid(&self) -> u32 {
        self.broker.lock().unwrap().as_ref().expect("it runs").0.id()
    }

    /// The configuration's part; `more` is added, such as `devices.dev1.delivery = "tasmota"`.
    pub fn table(&self, way: &str, more: &str) -> toml::Table {
        self.table_through(self.port, way, more)
    }

    pub fn table_through(&self, port: u16, way: &str, more: &str) -> toml::Table {
        let at = |name: &str| self.path(name).display().to_string();
        let mut text = format!(
            "broker = \"127.0.0.1:{port}\"\nadmin = \"{ADMIN}\"\nadmin_password_file = \"{}\"\nlog_file = \"{}\"\npid_file = \"{}\"\n\
             accept_unsafe_saving = true\ndefault.way = \"{way}\"\npassword_file = \"{}\"\npsk_file = \"{}\"\n",
            at("admin-password"),
            at("log"),
            at("pid"),
            at("passwords"),
            at("psk")
        );
        if !matches!(self.with, With::PasswordFile | With::PskFile) {
            text += &format!("dynamic_security_file = \"{}\"\n", at("dynamic-security.json"));
        }
        if matches!(self.with, With::Plugin | With::PluginAfter | With::PluginUnprivileged) {
            text += &format!("accepts_file = \"{}\"\nuses_socket = \"{}\"\n", at("accepts"), at("uses"));
        }
        (text + more).parse().expect("TOML")
    }

    pub fn backend(&self, way: &str, more: &str) -> Arc<dyn Backend> {
        let spec = named("mosquitto").expect("in the table");
        (spec.open)(&self.table(way, more), self.ledger.clone()).unwrap_or_else(|refusal| panic!("{refusal}"))
    }

    /// Enters a generation and has it accepted, as the agent does.
    pub fn accept(
        &self,
        backend: &dyn Backend,
        slot: &Slot,
        generation: u32,
        password: &str,
    ) -> citytap_rekey::rotation::Outcome {
        self.ledger.enter(slot, generation, password);
        let outcome = backend.accept(slot, Generation(generation), Some(&secret(password)), by(1));
        if outcome == citytap_rekey::rotation::Outcome::Done {
            let mut set = self.ledger.accepted(slot).unwrap();
            set.generations.insert(Generation(generation));
            self.ledger.0.lock().unwrap().accepted.insert(slot.clone(), set);
        }
        outcome
    }

    /// As the agent does: the journal first, then the verifier.
    pub fn retire(&self, backend: &dyn Backend, slot: &Slot, generation: u32) -> citytap_rekey::rotation::Outcome {
        let mut set = self.ledger.accepted(slot).unwrap();
        set.generations.remove(&Generation(generation));
        self.ledger.0.lock().unwrap().accepted.insert(slot.clone(), set);
        backend.retire(slot, Generation(generation), by(9))
    }

    pub fn connect(&self, id: &str, user: &str, password: &str) -> Result<Client, ClientError> {
        let endpoint = Endpoint { address: format!("127.0.0.1:{}", self.port), tls: None, level: Level::V5 };
        Client::connect(&endpoint, id, Some((user, &secret(password))))
    }

    /// Whether the broker lets this login in; anything but yes and no fails the test.
    pub fn lets_in(&self, user: &str, password: &str) -> bool {
        match self.connect(&format!("test-{user}"), user, password) {
            Ok(client) => {
                client.close();
                true
            }
            Err(ClientError::Refused { .. }) => false,
            Err(error) => panic!("{error}: {}", self.log()),
        }
    }
}

/// The uses among evidence: generation and whether data flowed.
pub fn uses(evidence: &[Evidence]) -> Vec<(u32, bool)> {
    let used = evidence.iter().filter_map(|it| {
        if let Evidence::Used(Use { generation, reach, .. }) = it { Some((generation.0, *reach == Reach::Data)) } else { None }
    });
    used.collect()
}

pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "after 10 s still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! The invariants of the README's map, held against the source itself. What breaks one for a good reason stands in a list here, with the reason;
//! an entry that is no longer needed fails too, so the lists only shrink.

use citytap_sensor::protocols::DECODERS;
use citytap_tests::cases::{cases, folders, root, walk};
use citytap_tests::golden;
use citytap_tests::run::run_one;
use citytap_tests::source::{Source, has_word, sources};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the product compiles below these folders.
fn product(folders: &[&str]) -> Vec<Source> {
    sources()
        .into_iter()
        .filter(|source| !source.is_test() && folders.iter().any(|folder| source.path.starts_with(folder)))
        .collect()
}

/// Fails where something was found that is not excused, or excused and not found.
fn settle(what: &str, found: Vec<String>, excused: &[(&str, &str)]) {
    let is_excused = |line: &&String| excused.iter().any(|(part, _)| line.contains(part));
    let bad: Vec<&String> = found.iter().filter(|line| !is_excused(line)).collect();
    assert!(bad.is_empty(), "{what}:\n{}", bad.iter().map(|line| format!("  {line}\n")).collect::<String>());
    let stale: Vec<&str> =
        excused.iter().map(|(part, _)| *part).filter(|part| !found.iter().any(|line| line.contains(part))).collect();
    assert!(stale.is_empty(), "{what}: excused and no longer there: {stale:?}");
}

fn words(folders: &[&str], words: &[&str]) -> Vec<String> {
    product(folders).iter().flat_map(|source| source.lines_with_word(words)).collect()
}

/// Rooms that judge at packet time.
const TIMELESS: &[&str] = &[
    "sensor/src",
    "analyzer/src/keys",
    "analyzer/src/inventory",
    "analyzer/src/rules",
    "analyzer/src/detectors",
    "analyzer/src/findings",
    "rekey/src/rotation",
];

#[test]
fn no_clock() {
    let found = words(TIMELESS, &["SystemTime", "Instant", "Utc", "Local", "OffsetDateTime"]);
    settle("a clock where packet time rules", found, &[]);
}

#[test]
fn no_randomness() {
    let found = words(TIMELESS, &["rand", "getrandom", "thread_rng", "OsRng", "RandomState"]);
    settle("randomness that is not an input", found, &[]);
}

#[test]
fn unsafe_only_in_capture_and_the_broker_plugin() {
    let elsewhere =
        |line: &String| !line.starts_with("sensor/src/capture/") && !line.starts_with("rekey/broker-plugin/src/broker.rs:");
    let found = words(&["sensor", "analyzer", "rekey", "signing", "tests"], &["unsafe"]).into_iter().filter(elsewhere).collect();
    settle("unsafe outside sensor/src/capture and the broker plugin's C interface", found, &[]);
}

#[test]
fn decoders_do_not_panic() {
    let mut found = Vec::new();
    for source in product(&["sensor/src/protocols", "sensor/src/stream.rs"]) {
        for (line, number) in source.code.lines().zip(1..) {
            let calls = [".unwrap()", ".expect(", "panic!(", "unreachable!(", ".unwrap_err(", ".copy_from_slice("];
            let asserts = ["assert!(", "assert_eq!("].iter().any(|call| has_word(line, call.trim_end_matches('(')))
                && !line.contains("debug_assert");
            if calls.iter().any(|call| line.contains(call)) || asserts && !line.contains("const") || indexes(line) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    settle("decoders that could panic (use Reader, get, split_at_checked)", found, PANICS);
}

const PANICS: &[(&str, &str)] = &[
    ("direction.index()]", "an array of two, one for each direction"),
    ("assert!(wire.", "the bodies of fuzz targets"),
    ("table[byte] = crc", "computed by the compiler"),
    ("room.copy_from_slice(bytes)", "the room was taken with the length of the bytes"),
];

/// Whether a line takes something by position: `[` right after a name, a call or another index.
fn indexes(line: &str) -> bool {
    let before = line.match_indices('[').filter(|(at, _)| !line[*at..].starts_with("[..]"));
    let before = before.filter_map(|(at, _)| line[..at].chars().next_back());
    !line.trim_start().starts_with("#[") && before.into_iter().any(|c| c.is_alphanumeric() || matches!(c, '_' | ')' | ']' | '?'))
}

#[test]
fn sensor_does_not_transmit() {
    let calls =
        ["UdpSocket", "TcpStream", "TcpListener", "UnixStream", "UnixDatagram", "sendto", "sendmsg", "sendpacket", "inject"];
    settle("a path that could transmit", words(&["sensor"], &calls), &[]);
}

#[test]
fn sensor_has_no_heavy_dependencies() {
    let manifest = fs::read_to_string(root().join("sensor/Cargo.toml")).expect("a manifest");
    let table: toml::Table = manifest.parse().expect("TOML");
    let has = table["dependencies"].as_table().expect("a table");
    let banned =
        ["tokio", "async-std", "rustls", "native-tls", "hyper", "axum", "reqwest", "sled", "redb", "rusqlite", "mio", "socket2"];
    let found: Vec<String> =
        has.keys().filter(|name| banned.contains(&name.as_str()) || name.starts_with("citytap")).cloned().collect();
    settle("TLS, HTTP, async, databases or another room in sensor", found, &[]);
}

#[test]
fn sensor_prints_nothing() {
    let macros = |line: &&String| ["println!", "eprintln!", "print!", "eprint!"].iter().any(|name| line.contains(name));
    let found = words(&["sensor/src"], &["println", "eprintln", "print", "eprint"]).iter().filter(macros).cloned().collect();
    settle("printing in a library", found, &[]);
}

/// Families share grammar and identity kinds; state and decoders they do not.
#[test]
fn no_decoder_calls_another() {
    let mut found = Vec::new();
    for source in product(&["sensor/src/protocols/"]) {
        let Some((own, _)) = source.path.trim_start_matches("sensor/src/protocols/").split_once('/') else { continue };
        let others = || DECODERS.iter().map(|spec| spec.name).filter(|name| *name != own);
        for (line, number) in source.code.lines().zip(1..) {
            let knows = |name: &str| ["SPEC", "session"].iter().any(|part| line.contains(&format!("{name}::{part}")));
            if line.contains(".create)(") || others().any(knows) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    let family = [("tls::session::", "DTLS is the TLS handshake in datagrams: one grammar, one state")];
    settle("a decoder that runs another (use Cx::forward)", found, &family);
}

#[test]
fn sensor_judges_nothing() {
    let mut found = Vec::new();
    for source in product(&["sensor/src"]) {
        let lines = source.product.lines().zip(1..).filter(|(line, _)| line.to_lowercase().contains("severity"));
        found.extend(lines.map(|(line, number)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    settle("severity below rules, detectors and signatures", found, &[]);
}

/// Rooms that serve all protocols alike.
const NEUTRAL: &[&str] = &["inventory", "findings", "store", "sinks", "export", "web"];

#[test]
fn neutral_rooms_name_no_protocol() {
    let rooms: Vec<String> = NEUTRAL.iter().map(|room| format!("analyzer/src/{room}")).collect();
    let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for source in product(&rooms) {
        for (line, number) in source.product.lines().zip(1..) {
            if DECODERS.iter().any(|spec| names_protocol(line, spec.name)) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    settle("a protocol's name where none belongs", found, NAMED);
}

/// Whether the words of a line, split as in `mqtt_client` and `MqttClient`, contain a protocol's name.
fn names_protocol(line: &str, name: &str) -> bool {
    let mut split = String::new();
    for (at, c) in line.char_indices() {
        let after_lower = line[..at].chars().next_back().is_some_and(|before| before.is_lowercase());
        if c.is_uppercase() && after_lower || !c.is_alphanumeric() {
            split.push(' ');
        }
        split.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    let words: Vec<&str> = split.split_whitespace().collect();
    let wanted: Vec<&str> = name.split('_').collect();
    words.windows(wanted.len()).any(|window| window == wanted)
}

const NAMED: &[(&str, &str)] = &[];

#[test]
fn decoders_are_the_folders() {
    let table: BTreeSet<String> = DECODERS.iter().map(|spec| spec.name.to_owned()).collect();
    let found = folders(&root().join("sensor/src/protocols"));
    let found: BTreeSet<String> =
        found.iter().map(|folder| folder.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    assert_eq!(table, found, "DECODERS on the left, folders of sensor/src/protocols on the right");
}

#[test]
fn sinks_are_the_folders() {
    let table: BTreeSet<String> = citytap_analyzer::sinks::SINKS.iter().map(|spec| spec.name.to_owned()).collect();
    let found = folders(&root().join("analyzer/src/sinks"));
    let found: BTreeSet<String> =
        found.iter().map(|folder| folder.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    assert_eq!(table, found, "SINKS on the left, folders of analyzer/src/sinks on the right");
}

#[test]
fn files_stay_readable() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path)).filter(|(lines, _)| *lines > 800);
    settle("files over 800 lines", long.map(|(lines, path)| format!("{path}: {lines}")).collect(), &[]);
}

#[test]
fn no_test_is_skipped() {
    let marks = [concat!("#[", "ignore"), concat!("#[", "should_panic")];
    let found =
        sources().into_iter().filter(|source| marks.iter().any(|mark| source.code.contains(mark))).map(|source| source.path);
    settle("tests that are skipped or expect any panic", found.collect(), &[]);
}

#[test]
fn no_paths_of_a_machine() {
    // Put together here, so that this file does not contain them.
    let homes = ["work", "root", "farm", "home"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for file in written() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (line, number) in text.lines().zip(1..) {
            if homes.iter().any(|home| line.contains(home.as_str())) {
                found.push(format!("{}:{number}: {}", relative(&file), line.trim()));
            }
        }
    }
    settle("paths of somebody's machine", found, &[]);
}

/// Files that people wrote: no data, no build results.
fn written() -> Vec<std::path::PathBuf> {
    let ends = ["rs", "toml", "md", "sh", "py", "yml", "yaml", "js", "json", "service", "conf", "tsv"];
    let skipped = ["target", ".git", "bench", "demo", "node_modules", ".venv"];
    let mut files: Vec<_> = folders(root())
        .into_iter()
        .filter(|folder| !skipped.contains(&folder.file_name().unwrap_or_default().to_string_lossy().as_ref()))
        .flat_map(|folder| walk(&folder))
        .filter(|file| !relative(file).contains("/target/"))
        .filter(|file| file.extension().is_some_and(|end| ends.contains(&end.to_string_lossy().as_ref())))
        .collect();
    files.extend(["Makefile", "README.md", "Cargo.toml", "deny.toml", ".ci/run"].map(|name| root().join(name)));
    files
}

fn relative(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).to_string_lossy().into_owned()
}

#[test]
fn limits_have_reasons() {
    let text = fs::read_to_string(root().join("sensor/src/limits.rs")).expect("the shared bounds");
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with("pub const")) {
        let doc: usize = lines[..at].iter().rev().take_while(|line| line.starts_with("///")).map(|line| line.len()).sum();
        if doc < 40 {
            found.push((*line).to_owned());
        }
    }
    settle("bounds without a reason", found, &[]);
}

/// Anomaly codes that neither a capture of `pcaps/` nor a test of the sensor shows. The list may only shrink.
#[test]
fn anomalies_are_shown() {
    let captured: BTreeSet<&str> =
        cases().iter().flat_map(|case| run_one(&case.capture).seen).flat_map(|seen| seen.anomalies).collect();
    let sources: Vec<Source> = sources().into_iter().filter(|source| source.path.starts_with("sensor/")).collect();
    let mut text = String::from("# Anomaly codes that no capture of pcaps/ and no test of the sensor shows. May only shrink.\n");
    for spec in DECODERS {
        let folder = format!("sensor/src/protocols/{}/", spec.name);
        let own: Vec<&Source> = sources.iter().filter(|source| source.path.starts_with(&folder)).collect();
        let tests: String = own.iter().map(|source| tests_of(source)).collect();
        for code in spec.anomalies.iter().filter(|code| !captured.contains(code.name)) {
            let constant = own.iter().find_map(|source| constant(&source.text, code.name)).unwrap_or(code.name);
            if !tests.contains(code.name) && !has_word(&tests, constant) {
                let _ = writeln!(text, "{}", code.name);
            }
        }
    }
    let file = root().join("tests/goldens/anomalies_unshown.txt");
    let before = fs::read_to_string(&file).unwrap_or_default();
    let known: BTreeSet<&str> = before.lines().collect();
    let new: Vec<&str> = text.lines().filter(|line| !before.is_empty() && !known.contains(line)).collect();
    assert!(new.is_empty(), "these need a capture or a test that shows them: {new:?}");
    golden::settle(golden::check(&file, &text).err().into_iter().collect());
}

/// What of a file is compiled for tests alone.
fn tests_of(source: &Source) -> &str {
    if source.is_test() { &source.text } else { source.text.get(source.product.len()..).unwrap_or_default() }
}

/// The constant that is declared with a name: `CRC = "modbus.crc"`.
fn constant<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (before, _) = text.split_once(&format!(" = \"{name}\""))?;
    before.split_whitespace().last()
}

/// The licences of all dependencies are on the list of `deny.toml`, and all come from crates.io. cargo-deny checks more where it is installed.
#[test]
fn licences() {
    let deny: toml::Table = fs::read_to_string(root().join("deny.toml")).expect("deny.toml").parse().expect("TOML");
    let allowed: Vec<&str> =
        deny["licenses"]["allow"].as_array().expect("a list").iter().filter_map(toml::Value::as_str).collect();
    let banned: Vec<&str> =
        deny["bans"]["deny"].as_array().expect("a list").iter().filter_map(|ban| ban["crate"].as_str()).collect();
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments =
        ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", "x86_64-unknown-linux-gnu"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !satisfied(licence, &allowed) {
            found.push(format!("{name}: licence '{licence}'"));
        }
        if package["source"].as_str().is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index") {
            found.push(format!("{name}: not from crates.io"));
        }
        if banned.contains(&name) {
            found.push(format!("{name}: banned by deny.toml"));
        }
    }
    settle("dependencies that must not be", found, &[]);
}

/// Whether one of the alternatives of an SPDX expression is allowed in all its parts.
fn satisfied(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    expression.split(" OR ").any(|alternative| alternative.split(" AND ").all(|part| allowed.contains(&part.trim())))
}

#[test]
fn readme_and_ci_name_the_commands() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let ci = fs::read_to_string(root().join(".ci/run")).expect("what CI runs");
    assert!(readme.contains("make demo") && readme.contains("make test") && ci.contains("make test"));
    for spec in DECODERS {
        assert!(!spec.title.is_empty());
    }
}

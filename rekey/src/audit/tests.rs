use super::*;
use crate::time::Timestamp;
use citytap_signing::Signer;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

fn signer(path: &Path) -> Signer {
    let key = path.with_extension("pem");
    if !key.exists() {
        Signer::make().unwrap().write(&key).unwrap();
    }
    Signer::read(&key).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1_000_000_000)
}

/// A log of three flushes with several events each.
fn written(path: &Path) -> Vec<String> {
    let mut log = Log::open(path, signer(path), at(0)).unwrap();
    for round in 0..3_i64 {
        for device in 0..3_i64 {
            log.append(&Event::new("accepted").with("slot", format!("mosquitto/dev{device}")).with("round", round), at(round))
                .unwrap();
        }
        log.sync(at(round)).unwrap();
    }
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn judge(lines: &[String], path: &Path, kept: &[Checkpoint]) -> Result<Verified, Broken> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    verify(text.as_bytes(), &signer(path).verifier(), kept)
}

#[test]
fn a_log_as_written_stands_and_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let lines = written(&path);
    // begun and its checkpoint, then three times three events and a checkpoint.
    assert_eq!(lines.len(), 14);
    let stands = judge(&lines, &path, &[]).unwrap();
    assert_eq!((stands.lines, stands.checkpoints, stands.agreed), (14, 4, 0));
    let mut log = Log::open(&path, signer(&path), at(9)).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 14, "opening adds nothing");
    let kept = log.checkpoint();
    log.append(&Event::new("retired").with("hash", "a name of ours"), at(10)).unwrap();
    drop(log);
    let text = fs::read(&path).unwrap();
    let error = verify(text.as_slice(), &signer(&path).verifier(), &[]).unwrap_err();
    assert_eq!(error.line, 15, "{error}");
    Log::open(&path, signer(&path), at(11)).unwrap();
    let text = fs::read(&path).unwrap();
    let stands = verify(text.as_slice(), &signer(&path).verifier(), &[kept]).unwrap();
    assert_eq!((stands.lines, stands.agreed), (16, 1));
}

#[test]
fn a_line_torn_by_a_crash_is_taken_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let lines = written(&path);
    fs::write(&path, format!("{}\n{{\"n\":15,\"at\":\"20", lines.join("\n"))).unwrap();
    Log::open(&path, signer(&path), at(9)).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"event\":\"torn_line_removed\",\"bytes\":16"), "{text}");
    assert_eq!(verify(text.as_bytes(), &signer(&path).verifier(), &[]).unwrap().lines, 16);
}

#[test]
fn a_log_with_a_broken_end_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let mut lines = written(&path);
    lines[13] = lines[13].replace("checkpoint", "checkpoinT");
    let text = lines.join("\n") + "\n";
    fs::write(&path, &text).unwrap();
    let error = Log::open(&path, signer(&path), at(9)).err().unwrap().to_string();
    assert!(error.contains("line 14") && error.contains("Keep the file as evidence"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_log_made_anew_by_whoever_lacks_the_key_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let [path, forged] = ["audit.jsonl", "forged.jsonl"].map(|name| folder.path().join(name));
    written(&path);
    let lines = written(&forged);
    let error = judge(&lines, &path, &[]).unwrap_err();
    assert!(error.line == 2 && error.what.contains("another key"), "{error}");
}

#[test]
fn a_cut_at_the_end_shows_against_a_checkpoint_kept_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let lines = written(&path);
    let kept = Log::open(&path, signer(&path), at(9)).unwrap().checkpoint();
    assert_eq!(judge(&lines, &path, std::slice::from_ref(&kept)).unwrap().agreed, 1);
    // The ten lines up to the third checkpoint are a good log by themselves.
    let cut = &lines[..10];
    assert!(judge(cut, &path, &[]).is_ok());
    let error = judge(cut, &path, std::slice::from_ref(&kept)).unwrap_err();
    assert_eq!((error.line, error.what.as_str()), (11, "the end is missing: a checkpoint from elsewhere knew line 14"));
    // A log begun anew under the same key is another log.
    let other = folder.path().join("other.jsonl");
    fs::copy(path.with_extension("pem"), other.with_extension("pem")).unwrap();
    let lines = written(&other);
    assert!(judge(&lines, &path, &[]).is_ok());
    assert!(judge(&lines, &path, std::slice::from_ref(&kept)).unwrap_err().what.contains("began anew"));
    let forged = Checkpoint { n: 3, ..kept };
    assert!(judge(&lines, &path, &[forged]).unwrap_err().what.contains("proves nothing"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever is done to one byte or one line of the file, except a cut at a checkpoint, is found, at that line or where the chain
    /// first shows it.
    #[test]
    fn any_mutation_is_found_and_named(kind in 0..6_u8, one: prop::sample::Index, two: prop::sample::Index, byte: u8) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let lines = written(&path);
        let (i, j) = (one.index(lines.len()), two.index(lines.len()));
        let mut changed = lines.clone();
        let mut named = None;
        match kind {
            0 => {
                let mut bytes = changed[i].clone().into_bytes();
                let place = two.index(bytes.len());
                prop_assume!(bytes[place] != byte && byte.is_ascii() && byte != b'\n');
                bytes[place] = byte;
                changed[i] = String::from_utf8(bytes).unwrap();
                named = Some(i + 1);
            }
            1 => { changed.remove(i); prop_assume!(i + 1 < lines.len()); named = Some(i + 1); }
            2 => { prop_assume!(i != j); changed.swap(i, j); named = Some(i.min(j) + 1); }
            3 => { let line = changed[i].clone(); changed.insert(j, line); }
            // An edit by somebody who makes the chain anew, without the key.
            4 => {
                let mut prev = if i == 0 { NOTHING.to_owned() } else { hash_in(&changed[i - 1]) };
                for line in &mut changed[i..] {
                    let body = line.rsplit_once(",\"hash\":").unwrap().0.replace("dev", "eve");
                    let body = format!("{}\"prev\":\"{prev}\"", body.split_once("\"prev\":").unwrap().0);
                    prev = hash_of(&body);
                    *line = format!("{body},\"hash\":\"{prev}\"}}");
                }
                prop_assume!(changed != lines);
            }
            _ => {
                changed.truncate(i);
                // A cut right after a checkpoint is what checkpoints from elsewhere are for.
                prop_assume!(!changed.last().is_some_and(|line| line.contains("\"event\":\"checkpoint\"")));
            }
        }
        let found = judge(&changed, &path, &[]);
        prop_assert!(found.is_err(), "kind {kind} at {i}, {j}: {found:?}");
        if let Some(line) = named {
            let error = found.unwrap_err();
            prop_assert_eq!(error.line, line as u64, "{}", error);
        }
    }

    #[test]
    fn any_bytes_are_refused_and_nothing_panics(bytes: Vec<u8>) {
        let key = Signer::make().unwrap().verifier();
        prop_assert!(verify(bytes.as_slice(), &key, &[]).is_err());
    }
}

fn hash_in(line: &str) -> String {
    line.rsplit_once(",\"hash\":\"").unwrap().1.trim_end_matches("\"}").to_owned()
}

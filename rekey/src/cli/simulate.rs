//! `citytap-rekey simulate`: a made-up town with default passwords, and every command that replaces them, run and shown.

use super::{Answer, DONE, FAILED, Stop, print};
use crate::backends::simulated::{Device, write_devices};
use crate::findings::import::{KIND, VERSION};
use crate::journal::{Journal, Settings};
use crate::secrets::Secret;
use crate::secrets::key_source::{KeySource, make_in_file};
use crate::slot::{Generation, Slot};
use crate::words::moment;
use citytap_signing::Signer;
use citytap_signing::file::signed;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Make a made-up town whose devices have the default password, then replace it, showing each command. Nothing leaves this machine.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey simulate --folder town\n  citytap-rekey simulate --folder town --prepare-only    then type the commands yourself"
)]
pub struct Simulate {
    /// A new folder for it.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=500))]
    devices: u16,
    /// The password that they have.
    #[arg(skip = "admin")]
    password: &'static str,
    /// Only make the town.
    #[arg(long)]
    prepare_only: bool,
}

const POLICY: &str = "\
# A policy for a made-up town: everything is quick. See deploy/policy.toml for one that is not.
[run]
dry_run = false
[devices]
include = [\"simulated/*\"]
[canary]
stages = [\"1\", \"all\"]
soak = \"2s\"
[grace]
intervals = 2
at_least = \"3s\"
[[approver]]
name = \"Ada\"
key = \"ada.pem.pub\"
[[approver]]
name = \"Bo\"
key = \"bo.pem.pub\"
[[map]]
identity = \"mqtt_client\"
slot = \"simulated/{}\"
";

impl Simulate {
    /// Runs the command.
    pub fn run(self) -> Answer {
        self.make()?;
        let folder = self.folder.as_path();
        let program =
            std::env::current_exe().map_err(|error| Stop::file(format!("this program does not find itself: {error}")))?;
        let config = folder.join("rekey.toml");
        let at = |name: &str| folder.join(name).display().to_string();
        let (plan, findings, results) = (at("plan.json"), at("findings.jsonl"), at("results.jsonl"));
        let (ada, bo) = (at("ada.pem"), at("bo.pem"));
        let steps: [&[&str]; 9] = [
            &["findings", "import", &findings],
            &["readiness"],
            &["plan", "--out", &plan],
            &["approve", &plan, "--key", &ada, "--also", "retire"],
            &["approve", &plan, "--key", &bo, "--also", "retire"],
            &["run", "--plan", &plan, "--until-done"],
            &["status", "--all"],
            &["results", "--out", &results],
            &["audit", "verify"],
        ];
        let typed = |step: &[&str]| format!("citytap-rekey --config {} {}", config.display(), step.join(" "));
        if self.prepare_only {
            let lines: Vec<String> = steps.iter().map(|step| format!("  {}\n", typed(step))).collect();
            print(&format!("The town is in {}. Next:\n{}", folder.display(), lines.concat()))?;
            return Ok(DONE);
        }
        for step in steps {
            print(&format!("\n$ {}\n", typed(step)))?;
            let status = Command::new(&program).arg("--config").arg(&config).args(step).stdin(Stdio::null()).status();
            let status = status.map_err(|error| Stop::file(format!("{}: {error}", program.display())))?;
            if !status.success() {
                print(&format!(
                    "\nThat ended with {}.\n",
                    status.code().map_or("a signal".into(), |code| format!("exit code {code}"))
                ))?;
                return Ok(FAILED);
            }
        }
        print(&format!(
            "\nEvery device has a password of its own now, and the old one is refused. In {}: {} for `citytap findings close`, audit.jsonl is the log.\n",
            folder.display(),
            "results.jsonl"
        ))?;
        Ok(DONE)
    }

    fn make(&self) -> Result<(), Stop> {
        let folder = self.folder.as_path();
        let io = |error: std::io::Error| Stop::file(format!("cannot make {}: {error}", folder.display()));
        if folder.exists() {
            return Err(Stop::refused(format!("{} is there already; give a new folder", folder.display())));
        }
        std::fs::create_dir_all(folder).map_err(io)?;
        let folder = folder.canonicalize().map_err(io)?;
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(io)?;
        let state = folder.join("state");
        std::fs::create_dir(&state).map_err(io)?;
        std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(io)?;
        let signers: Vec<Signer> = ["rekey.pem", "citytap.pem", "ada.pem", "bo.pem"]
            .iter()
            .map(|name| {
                let signer = Signer::make()?;
                signer.write(&folder.join(name))?;
                Ok(signer)
            })
            .collect::<Result<_, citytap_signing::SigningError>>()
            .map_err(Stop::file)?;
        make_in_file(&folder.join("sealing.key")).map_err(Stop::file)?;
        let config = format!(
            "[state]\nfolder = \"state\"\n[sealing]\nkey = \"file:sealing.key\"\n[signing]\nkey = \"rekey.pem\"\n[policy]\nfile = \"policy.toml\"\n\
             [findings]\nkey = \"citytap.pem.pub\"\n[simulated]\nfolder = {:?}\n",
            folder.display().to_string()
        );
        std::fs::write(folder.join("rekey.toml"), config).map_err(io)?;
        std::fs::write(folder.join("policy.toml"), POLICY).map_err(io)?;
        let names: Vec<String> = (1..=self.devices).map(|number| format!("lamp-{number}")).collect();
        let device =
            |name: &String| (name.clone(), Device { password: self.password.to_owned(), reports: 0, starts: 1, refused: 0 });
        write_devices(&folder, &names.iter().map(device).collect::<BTreeMap<_, _>>()).map_err(io)?;
        self.enter(&folder, &state, &names)?;
        let citytap = signers.get(1).ok_or_else(|| Stop::file("no key"))?;
        std::fs::write(folder.join("findings.jsonl"), findings(&names, citytap)).map_err(io)
    }

    /// The verifier of the town knows the default password of each device.
    fn enter(&self, folder: &Path, state: &Path, names: &[String]) -> Result<(), Stop> {
        let keys = Arc::new(KeySource::File(folder.join("sealing.key")).open(state).map_err(Stop::file)?);
        let journal = Journal::open(&state.join(super::host::JOURNAL), keys, Settings::default()).map_err(Stop::file)?;
        for name in names {
            let slot = Slot::new("simulated", name).map_err(Stop::refused)?;
            journal.enter(&slot, Generation::FIRST, &Secret::new(self.password.as_bytes().to_vec())).map_err(Stop::file)?;
        }
        Ok(())
    }
}

/// What citytap would have found.
fn findings(names: &[String], citytap: &Signer) -> Vec<u8> {
    let now = moment(super::now());
    let header = json!({"kind": KIND, "version": VERSION, "site": "made-up town", "made": now, "as_of": now});
    let line = |(number, name): (usize, &String)| {
        json!({"finding": {
            "id": format!("{number:016x}"), "check": "default-password-used", "matter": "default_credential", "severity": "high", "confidence": "seen",
            "message": "It logged in with a default user name and password.", "device": format!("{:016x}", number + 1000),
            "identities": [{"kind": "mqtt_client", "value": name}], "last_seen": now, "count": 1, "evidence": [],
        }})
    };
    let lines: Vec<serde_json::Value> = names.iter().enumerate().map(line).collect();
    signed(citytap, &header, &lines)
}

//! `citytap-rekey doctor`: what stands in the way of working safely, and what to do about it.

use super::host::{AUDIT, Host, read};
use super::{Answer, DONE, FAILED, Stop, print};
use crate::agent::{Guarded, SystemClock};
use crate::audit::verify;
use crate::secrets::process::Shortcomings;
use citytap_signing::{Signer, Verifier, public_path};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

/// Look for what stands in the way of working safely. Changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  citytap-rekey doctor")]
pub struct Doctor {}

impl Doctor {
    /// Runs the command.
    pub fn run(self, path: &Path, short: &Shortcomings) -> Answer {
        let (config, policy) = read(path)?;
        let (mut text, mut bad) = (String::new(), 0);
        let mut line = |good: bool, what: &str| {
            bad += usize::from(!good);
            text.push_str(&format!("{} {what}\n", if good { "  ok " } else { "  MIND" }));
        };
        line(true, &format!("the configuration {} and the policy {} are read", path.display(), config.policy.display()));
        line(
            true,
            if policy.dry_run {
                "dry run: nothing will be sent ([run] dry_run)"
            } else {
                "not a dry run: approved plans are carried out"
            },
        );
        match std::fs::metadata(&config.folder) {
            Ok(meta) if meta.mode() & 0o077 == 0 => {
                line(true, &format!("the folder {} is its owner's alone", config.folder.display()))
            }
            Ok(meta) => line(
                false,
                &format!(
                    "the folder {} may be read by others (mode {:04o}): chmod 700 it",
                    config.folder.display(),
                    meta.mode() & 0o7777
                ),
            ),
            Err(error) => line(false, &format!("the folder {}: {error}", config.folder.display())),
        }
        match Signer::read(&config.signing) {
            Ok(signer) => line(true, &format!("the signing key {} is read", signer.verifier().id())),
            Err(error) => line(false, &error.to_string()),
        }
        for what in &short.0 {
            line(false, what);
        }
        let people = policy.approvers.len();
        line(
            people >= policy.approvals.retire as usize,
            &format!("{people} people may approve, and retirement needs {}", policy.approvals.retire),
        );
        if config.findings_key.is_none() {
            line(false, "no key of citytap's is trusted ([findings] key): findings cannot be taken");
        }
        match Host::open(path) {
            Ok(host) => {
                line(true, &format!("the sealing key {} comes from {}", host.keys.id(), host.config.sealing.describe()));
                line(host.journal.ready().is_ok(), "the journal opens and has room for the outcomes of what is begun");
                for (name, why) in &host.unopened {
                    line(false, &format!("[{name}] {why}"));
                }
                for (name, backend) in &host.backends {
                    match backend.preflight() {
                        Ok(()) => line(true, &format!("[{name}] is ready")),
                        Err(refusal) => line(false, &format!("[{name}] {refusal}")),
                    }
                }
                let last = host.journal.last_time().map_err(Stop::file)?;
                let clock = Guarded::new(Arc::new(SystemClock::start()), last);
                line(clock.is_trusted(), clock.doubt().unwrap_or("the clock agrees with the journal"));
            }
            Err(stop) => line(false, &stop.text),
        }
        let log = config.folder.join(AUDIT);
        match (std::fs::read(&log), Verifier::read(&public_path(&config.signing))) {
            (Ok(bytes), Ok(key)) => match verify(bytes.as_slice(), &key, &[]) {
                Ok(stands) => line(true, &format!("the audit log stands, {} lines", stands.lines)),
                Err(broken) => line(false, &format!("{}:{}: {}", log.display(), broken.line, broken.what)),
            },
            (Err(_), _) => line(true, "there is no audit log yet"),
            (_, Err(error)) => line(false, &error.to_string()),
        }
        print(&text)?;
        Ok(if bad == 0 { DONE } else { FAILED })
    }
}

//! `citytap-rekey keys | sealing`: the module's own keys.

use super::host::open_journal;
use super::{Answer, DONE, Stop, now, print};
use crate::audit::{Event, Log};
use crate::config::Config;
use crate::secrets::key_source::{self, KeySource};
use crate::words::counted;
use citytap_signing::{Signer, public_path};
use std::path::{Path, PathBuf};

/// Make an Ed25519 key pair: to sign the audit log and results, or for a person who approves.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey keys make --out /etc/citytap-rekey/rekey.pem\n  citytap-rekey keys make --out ada.pem    each person on their own machine"
)]
pub struct Keys {
    #[command(subcommand)]
    what: KeysWhat,
}

#[derive(clap::Subcommand)]
enum KeysWhat {
    /// Make one: FILE for its owner alone, FILE.pub for everybody.
    Make {
        /// Where to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// Make the sealing key, or replace it.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap-rekey sealing make --file /etc/citytap-rekey/sealing.key\n  citytap-rekey sealing make --passphrase\n  \
    citytap-rekey sealing rotate\n\nWith a TPM (systemd 250 or newer):\n  citytap-rekey sealing make --file sealing.key\n  \
    systemd-creds encrypt --with-key=tpm2 --name=sealing-key sealing.key /etc/citytap-rekey/sealing-key.cred && shred -u sealing.key"
)]
pub struct Sealing {
    #[command(subcommand)]
    what: SealingWhat,
}

#[derive(clap::Subcommand)]
enum SealingWhat {
    /// Make a key, in a file or of a passphrase.
    Make {
        /// The file.
        #[arg(long, value_name = "FILE", required_unless_present = "passphrase")]
        file: Option<PathBuf>,
        /// A passphrase, typed at the terminal or read from --fd.
        #[arg(long, conflicts_with = "file")]
        passphrase: bool,
        /// Read the passphrase from this file descriptor.
        #[arg(long, value_name = "N", requires = "passphrase")]
        fd: Option<u32>,
    },
    /// Seal every secret anew under the first key of the source. With a file, a new first key is made and the old ones go when all is sealed.
    Rotate,
}

impl Keys {
    /// Runs the command.
    pub fn run(self) -> Answer {
        let KeysWhat::Make { out } = self.what;
        let signer = Signer::make().map_err(Stop::file)?;
        signer.write(&out).map_err(Stop::file)?;
        print(&format!(
            "Key {} is in {}, its public half in {}\n",
            signer.verifier().id(),
            out.display(),
            public_path(&out).display()
        ))?;
        Ok(DONE)
    }
}

impl Sealing {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        match self.what {
            SealingWhat::Make { file: Some(file), .. } => {
                if file.exists() {
                    return Err(Stop::refused(format!(
                        "{} is there already; `citytap-rekey sealing rotate` replaces a key",
                        file.display()
                    )));
                }
                key_source::make_in_file(&file).map_err(Stop::file)?;
                print(&format!(
                    "A sealing key is in {}. Keep a copy of it where the journal's copies are not: without it they open nothing\n",
                    file.display()
                ))?;
            }
            SealingWhat::Make { fd, .. } => {
                let config = Config::read(config).map_err(Stop::file)?;
                key_source::make_passphrase(&config.folder, fd).map_err(Stop::refused)?;
                print("The passphrase is set. Without it the journal's copies open nothing\n")?;
            }
            SealingWhat::Rotate => rotate(config)?,
        }
        Ok(DONE)
    }
}

fn rotate(config: &Path) -> Result<(), Stop> {
    let config = Config::read(config).map_err(Stop::file)?;
    // Opened first: a source that does not open must not get a new key in front.
    drop(open_journal(&config)?);
    match &config.sealing {
        KeySource::File(path) => key_source::make_in_file(path).map_err(Stop::file)?,
        KeySource::Systemd(_) => {}
        KeySource::Passphrase(_) => {
            return Err(Stop::refused(
                "a passphrase is not replaced in place: write file: or systemd: as the source of the sealing key and put that key in, or make copies \
                 under a new folder",
            ));
        }
    }
    let (keys, journal) = open_journal(&config)?;
    let again = |sealed: &_, bound: crate::secrets::Bound<'_>| {
        keys.reseal(sealed, bound).map_err(|error| crate::backends::Refusal::new(error.to_string(), "nothing was changed"))
    };
    let secrets = journal.reseal(&again).map_err(Stop::file)?;
    let pairings = super::findings::reseal_pairings(&config, &keys)?;
    let signer = Signer::read(&config.signing).map_err(Stop::file)?;
    let mut log = Log::open(&config.folder.join(super::host::AUDIT), signer, now()).map_err(Stop::refused)?;
    let event = Event::new("sealing_key_replaced").with("key", keys.id()).with("secrets", secrets).with("pairings", pairings);
    log.append(&event, now()).and_then(|()| log.sync(now())).map_err(Stop::refused)?;
    if let KeySource::File(path) = &config.sealing {
        key_source::keep_first_in_file(path).map_err(Stop::file)?;
    }
    let old =
        if matches!(config.sealing, KeySource::Systemd(_)) { "; remove the older keys from the credential now" } else { "" };
    print(&format!("{} sealed anew under the key {}{old}\n", counted(secrets + pairings, "secret", "secrets"), keys.id()))
}

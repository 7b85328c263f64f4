//! `citytap keys`: keys of this program's own: one to sign with, one to share with the module that replaces keys.

use super::out::open_store;
use super::{DONE, Failure};
use crate::store::credentials::key_for_pairing;
use citytap_signing::{Signer, public_path, write_private};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// First line of a pairing file.
const PAIRING: &str = "citytap credential digest key 1";

/// Make a key to sign exports with, or pair a store with citytap-rekey.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap keys make --out citytap.pem\n  citytap export rekey --store demo --sign citytap.pem --out findings.jsonl\n  \
    citytap keys pair --store demo --out pairing.key"
)]
pub struct Keys {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make an Ed25519 key pair: FILE for this program alone, FILE.pub for whoever checks what it signs.
    Make {
        /// Where the private key goes, in PEM, for its owner alone.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write the key under which a store digests credentials, for citytap-rekey on the gateway. Whoever has it can try guesses against this
    /// store's digests: carry it on a medium that you wipe.
    Pair {
        /// The store's folder; else CITYTAP_STORE says it, else it is ./citytap-store.
        #[arg(long, value_name = "DIR")]
        store: Option<PathBuf>,
        /// Where it goes, for its owner alone.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Keys {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        match self.what {
            What::Make { out } => {
                let signer = Signer::make()?;
                signer.write(&out)?;
                eprintln!(
                    "citytap: key {} is in {}, its public half in {}",
                    signer.verifier().id(),
                    out.display(),
                    public_path(&out).display()
                );
            }
            What::Pair { store, out } => {
                let mut city = open_store(store)?;
                let key = city.digest_key()?.ok_or("the store's digest key is damaged; replay the captures into a new store")?;
                let hex = key_for_pairing(&key);
                let text = Zeroizing::new(format!("{PAIRING}\nsite {}\n{}\n", city.about().site, *hex));
                write_private(&out, text.as_bytes()).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
                eprintln!(
                    "citytap: the pairing key is in {}; give it to `citytap-rekey pair` on the gateway, then delete the file",
                    out.display()
                );
            }
        }
        Ok(DONE)
    }
}

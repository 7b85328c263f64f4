//! `citytap-rekey audit`: the log verified, exported, and its checkpoint carried away.

use super::host::{AUDIT, read, text_of, write};
use super::{Answer, DONE, FAILED, Stop, now, print};
use crate::audit::{Checkpoint, Log, verify};
use crate::config::Config;
use crate::words::counted;
use citytap_signing::{Signer, Verifier, public_path};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Verify the audit log, export it, or carry a checkpoint away.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap-rekey audit verify\n  citytap-rekey audit verify --checkpoint last-week.json\n  \
    citytap-rekey audit verify --file audit.jsonl --key rekey.pem.pub    on another machine\n  \
    citytap-rekey audit checkpoint --out checkpoint.json                 keep it elsewhere\n  citytap-rekey audit export --out audit.jsonl")]
pub struct Audit {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Find any edit, cut or move, and name its line. A cut at the end shows only against a checkpoint that was kept elsewhere.
    Verify {
        /// Checkpoints that were kept elsewhere.
        #[arg(long, value_name = "FILE")]
        checkpoint: Vec<PathBuf>,
        /// The log; else the one of the configuration.
        #[arg(long, value_name = "FILE", requires = "key")]
        file: Option<PathBuf>,
        /// The public key that it must be signed with; else that of the configuration.
        #[arg(long, value_name = "KEY")]
        key: Option<PathBuf>,
    },
    /// Write the log, JSON Lines, where it stands the test.
    Export {
        /// Where to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write a signed checkpoint, to be kept on another machine. No other citytap-rekey may be at work.
    Checkpoint {
        /// Where to.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Audit {
    /// Runs the command.
    pub fn run(self, config: &Path) -> Answer {
        match self.what {
            What::Verify { checkpoint, file, key } => {
                let (file, key) = match (file, key) {
                    (Some(file), Some(key)) => (file, key),
                    (_, key) => {
                        let config = Config::read(config).map_err(Stop::file)?;
                        (config.folder.join(AUDIT), key.unwrap_or_else(|| public_path(&config.signing)))
                    }
                };
                let read = |path: &PathBuf| {
                    serde_json::from_str::<Checkpoint>(&text_of(path)?)
                        .map_err(|_| Stop::refused(format!("{} is no checkpoint", path.display())))
                };
                let kept: Vec<Checkpoint> = checkpoint.iter().map(read).collect::<Result<_, _>>()?;
                let key = Verifier::read(&key).map_err(Stop::file)?;
                judge(&file, &key, &kept)
            }
            What::Export { out } => {
                let (config, _) = super::host::read(config)?;
                let key = Verifier::read(&public_path(&config.signing)).map_err(Stop::file)?;
                let file = config.folder.join(AUDIT);
                let text = text_of(&file)?;
                let stands = verify(text.as_bytes(), &key, &[]);
                // An auditor must get what there is, and be told.
                write(&out, text.as_bytes())?;
                match stands {
                    Ok(stands) => print(&format!("{} in {}\n", counted(stands.lines as usize, "line", "lines"), out.display()))
                        .map(|()| DONE),
                    Err(broken) => {
                        Err(Stop::refused(format!("{} was written, but the log does not stand: {broken}", out.display())))
                    }
                }
            }
            What::Checkpoint { out } => {
                let (config, _) = read(config)?;
                // The journal's lock keeps a second writer away from the log.
                let _journal = super::host::open_journal(&config)?;
                let signer = Signer::read(&config.signing).map_err(Stop::file)?;
                let log = Log::open(&config.folder.join(AUDIT), signer, now()).map_err(Stop::refused)?;
                let checkpoint = log.checkpoint();
                write(&out, &serde_json::to_vec_pretty(&checkpoint).unwrap_or_default())?;
                print(&format!("The log has {} lines; keep {} on another machine\n", checkpoint.n, out.display()))?;
                Ok(DONE)
            }
        }
    }
}

fn judge(file: &Path, key: &Verifier, kept: &[Checkpoint]) -> Answer {
    let opened = File::open(file).map_err(|error| Stop::file(format!("cannot read {}: {error}", file.display())))?;
    match verify(BufReader::new(opened), key, kept) {
        Ok(stands) => {
            let agreed = match (kept.len(), stands.agreed) {
                (0, _) => "; a cut at the end shows only against a checkpoint from elsewhere (--checkpoint)".to_owned(),
                (_, agreed) => {
                    format!(", and agrees with {}", counted(agreed, "checkpoint from elsewhere", "checkpoints from elsewhere"))
                }
            };
            print(&format!(
                "{} stands: {} with {} of key {}{agreed}\n",
                file.display(),
                counted(stands.lines as usize, "line", "lines"),
                counted(stands.checkpoints as usize, "checkpoint", "checkpoints"),
                key.id()
            ))?;
            Ok(DONE)
        }
        Err(broken) => {
            eprintln!("citytap-rekey: {}:{}: {}", file.display(), broken.line, broken.what);
            Ok(FAILED)
        }
    }
}

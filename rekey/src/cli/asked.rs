//! Questions to the `run` that has the journal: one process at a time has it, and a service has it always. So a command that needs it asks the service by a
//! file in the module's folder, which only its owner can write into, and the service answers by another.

use super::host::{Host, write};
use super::{Answer, Arguments, Command, Stop, now, print};
use crate::config::Config;
use clap::Parser;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer is waited for: a plan of ten thousand devices is read back meanwhile.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a command says, and how it ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// What it prints.
    pub text: String,
    /// Its exit code.
    pub code: u8,
}

impl Said {
    /// This, and it is done.
    pub fn done(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: super::DONE }
    }
}

/// A question.
#[derive(Serialize, Deserialize)]
struct Question {
    arguments: Vec<String>,
    /// Where names of files begin.
    folder: PathBuf,
}

/// Runs a command with all that is open, here or in the `run` that has it.
pub fn ask(config: &Path, answer: impl FnOnce(&Host) -> Result<Said, Stop>) -> Answer {
    let said = match Host::open(config) {
        Ok(host) => answer(&host)?,
        Err(stop) if stop.text.contains("another process has it open") => ask_running(config)?,
        Err(stop) => return Err(stop),
    };
    print(&said.text)?;
    Ok(said.code)
}

fn folder(config: &Config) -> PathBuf {
    config.folder.join("questions")
}

/// Asks the `run` that has the journal.
pub fn ask_running(config: &Path) -> Result<Said, Stop> {
    let config = Config::read(config).map_err(Stop::file)?;
    let folder = folder(&config);
    let io = |error: std::io::Error| Stop::file(format!("cannot write {}: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(io)?;
    let question = Question { arguments: std::env::args().skip(1).collect(), folder: std::env::current_dir().map_err(io)? };
    let asked = folder.join(format!("{:020}-{}.json", now().0, std::process::id()));
    write(&asked, &serde_json::to_vec(&question).unwrap_or_default())?;
    let answered = asked.with_extension("answer");
    let begun = std::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(bytes) = std::fs::read(&answered) {
            let _ = std::fs::remove_file(&answered);
            return serde_json::from_slice(&bytes).map_err(Stop::file);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let _ = std::fs::remove_file(&asked);
    Err(Stop::file(
        "another citytap-rekey has the journal and does not answer; if it is no `citytap-rekey run`, wait until it has ended",
    ))
}

/// Answers the questions that wait. What is not answered by a running service says so.
pub fn answer(host: &Host, mut other: impl FnMut(Command, &Path) -> Result<Said, Stop>) {
    let Ok(entries) = std::fs::read_dir(folder(&host.config)) else { return };
    let mut asked: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    asked.retain(|path| path.extension().is_some_and(|end| end == "json"));
    asked.sort();
    for path in asked {
        let question = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Question>(&bytes).ok());
        // Gone first: a question that ends this process must not be asked again by the next.
        let _ = std::fs::remove_file(&path);
        let Some(question) = question else { continue };
        let typed = std::iter::once("citytap-rekey".to_owned()).chain(question.arguments);
        let said = match Arguments::try_parse_from(typed) {
            Ok(arguments) => other(arguments.command, &question.folder),
            Err(error) => Err(Stop::usage(error)),
        };
        let said = said.unwrap_or_else(|stop| Said { text: format!("citytap-rekey: {}\n", stop.text), code: stop.code });
        // Who asked may have gone.
        let _ = write(&path.with_extension("answer"), &serde_json::to_vec(&said).unwrap_or_default());
    }
}

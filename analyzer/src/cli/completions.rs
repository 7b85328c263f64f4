//! `citytap completions` and `citytap man`: for packagers and shells.

use super::out::print_bytes;
use super::{Arguments, DONE, Failure};
use clap::CommandFactory;

/// Print completions for a shell.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  citytap completions bash > /etc/bash_completion.d/citytap\n  citytap completions fish > ~/.config/fish/completions/citytap.fish"
)]
pub struct Completions {
    /// bash, elvish, fish, powershell or zsh.
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

impl Completions {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "citytap", &mut script);
        print_bytes(&script)?;
        Ok(DONE)
    }
}

/// Print the manual page, of citytap or of one of its commands.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  citytap man > citytap.1\n  citytap man devices | man -l -")]
pub struct Man {
    /// The command; without it, citytap itself.
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    /// Runs the command.
    pub fn run(self) -> Result<u8, Failure> {
        let mut whole = Arguments::command();
        whole.build();
        let page = match &self.command {
            None => whole,
            Some(name) => {
                let Some(command) = whole.find_subcommand(name) else {
                    let known: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
                    let meant = super::out::nearest(name, known.iter().copied()).map(|word| format!(" Did you mean '{word}'?"));
                    eprintln!(
                        "citytap: no command is called '{name}'.{} Commands are: {}.",
                        meant.unwrap_or_default(),
                        known.join(", ")
                    );
                    return Ok(super::USAGE);
                };
                command.clone()
            }
        };
        let mut text = Vec::new();
        clap_mangen::Man::new(page).render(&mut text)?;
        print_bytes(&text)?;
        Ok(DONE)
    }
}

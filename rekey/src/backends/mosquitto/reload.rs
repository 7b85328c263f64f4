//! Makes the broker read its password and PSK files again: SIGHUP to the process of its pid_file, after a look at whether that is a broker.

use crate::backends::Refusal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;

/// Sends SIGHUP to the broker whose number stands in `pid_file`.
///
/// # Errors
/// No broker runs under that number, or it belongs to somebody else.
pub fn reload(pid_file: &Path) -> Result<(), Refusal> {
    let pid = broker(pid_file)?;
    kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|error| {
        let remedy = "run citytap-rekey as the broker's user or with CAP_KILL";
        Refusal::new(format!("the broker (process {pid}) cannot be told to read its files again: {error}"), remedy)
    })
}

/// The broker's process number. After a crash a pid file may name another process, which a SIGHUP would end.
///
/// # Errors
/// It is no broker's.
pub fn broker(pid_file: &Path) -> Result<i32, Refusal> {
    let place = pid_file.display();
    let remedy = "give mosquitto.conf a line pid_file, and see that the broker runs";
    let pid = fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok()).filter(|pid| *pid > 1);
    let pid = pid.ok_or_else(|| Refusal::new(format!("{place} holds no process number"), remedy))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if name.trim() == "mosquitto" {
        Ok(pid)
    } else {
        Err(Refusal::new(format!("process {pid} of {place} is not mosquitto but {:?}", name.trim()), remedy))
    }
}

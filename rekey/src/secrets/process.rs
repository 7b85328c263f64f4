//! What a process that holds secrets gives up at its start.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// What could not be had, for `doctor` and the log; empty where everything could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortcomings(pub Vec<String>);

/// Switches core dumps and tracing by others off, and locks the memory so that nothing of it reaches the swap. Memory is locked only where the
/// limit (`LimitMEMLOCK=infinity` in the unit) allows all of it: under a smaller limit a later allocation would end the process in
/// the middle of a rotation.
pub fn shut_in() -> Shortcomings {
    let mut short = Vec::new();
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        short.push(format!("the process can be traced and dumped (prctl PR_SET_DUMPABLE: {error})"));
    }
    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        short.push(format!("core dumps stay on (RLIMIT_CORE: {error})"));
    }
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    let locked = if unlimited { mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok() } else { false };
    if !locked {
        short.push(
            "memory is not locked, so secrets may reach the swap: encrypt or switch off the swap, or set LimitMEMLOCK=infinity"
                .into(),
        );
    }
    Shortcomings(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_shut_in_leaves_no_core_dump() {
        shut_in();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(rustix::process::dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}

//! What the process may do once its interfaces are open: as little as can be. It becomes an ordinary user without groups, gives up every capability,
//! and can get none back by starting a program.

use nix::unistd::{Gid, Uid, User, getresuid, setgroups, setresgid, setresuid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Users that root becomes where none is named: the appliance's own, else the one who owns nothing.
const USERS: [&str; 2] = ["citytap", "nobody"];

/// Who the process becomes.
pub struct Account {
    /// The user's name.
    pub name: String,
    uid: Uid,
    gid: Gid,
}

impl Account {
    /// The account that is named, or is meant where none is: for root `USERS`, for anybody else who it is.
    ///
    /// # Errors
    /// There is no such user, or the process may not become that one.
    pub fn choose(named: Option<&str>) -> Result<Self, String> {
        let failed = |error: nix::Error| format!("cannot look up users: {error}");
        let of = |user: User| Self { name: user.name, uid: user.uid, gid: user.gid };
        let me = Uid::effective();
        if let Some(name) = named {
            let user = User::from_name(name).map_err(failed)?;
            let user =
                user.ok_or_else(|| format!("there is no user {name}; make one: useradd --system --no-create-home {name}"))?;
            if !me.is_root() && user.uid != me {
                return Err(format!("only root can become {name}; leave --user out, or start as root"));
            }
            return Ok(of(user));
        }
        if me.is_root() {
            for name in USERS {
                if let Some(user) = User::from_name(name).map_err(failed)? {
                    return Ok(of(user));
                }
            }
            return Err("there is neither a user citytap nor nobody; name one with --user".into());
        }
        let name = User::from_uid(me).ok().flatten().map_or_else(|| me.to_string(), |user| user.name);
        Ok(Self { name, uid: me, gid: Gid::effective() })
    }

    /// The number of the user, for who owns a file.
    pub fn uid(&self) -> u32 {
        self.uid.as_raw()
    }

    /// The number of the user's group.
    pub fn gid(&self) -> u32 {
        self.gid.as_raw()
    }
}

/// Becomes the account, for good. To be called while the process has one thread: capabilities belong to threads.
///
/// # Errors
/// What could not be given up; the process must not go on.
pub fn drop_to(account: &Account) -> Result<(), String> {
    let failed =
        |what: &str, error: &dyn std::fmt::Display| format!("cannot give up privileges ({what}: {error}); nothing was read");
    if Uid::effective().is_root() {
        // The bounding set goes first: giving it up needs a capability.
        for capability in CapabilitySet::all().iter() {
            // One that this kernel does not know, or that the container has taken already, is none.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
        setgroups(&[]).map_err(|error| failed("setgroups", &error))?;
        setresgid(account.gid, account.gid, account.gid).map_err(|error| failed("setresgid", &error))?;
        setresuid(account.uid, account.uid, account.uid).map_err(|error| failed("setresuid", &error))?;
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    let _ = rustix::thread::clear_ambient_capability_set();
    rustix::thread::set_capabilities(None, none).map_err(|error| failed("capset", &error))?;
    rustix::thread::set_no_new_privs(true).map_err(|error| failed("no_new_privs", &error))?;
    let now = getresuid().map_err(|error| failed("getresuid", &error))?;
    let left = rustix::thread::capabilities(None).map_err(|error| failed("capget", &error))?;
    let is_account = [now.real, now.effective, now.saved].iter().all(|uid| *uid == account.uid);
    let regained = !account.uid.is_root() && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok();
    if !is_account || regained || !(left.effective | left.permitted | left.inheritable).is_empty() {
        return Err("cannot give up privileges: they are still there; nothing was read".into());
    }
    Ok(())
}

//! Which Mosquitto this is, by `$SYS/broker/version`.

use super::client::ClientError;
use super::ways::WayContext;
use crate::backends::Refusal;
use std::fmt;
use std::time::{Duration, Instant};

/// A version of Mosquitto.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

/// From this one on dynamic-security.json is written beside and renamed (before, the buffer for the new name was one byte short of its ending).
pub const SAVES_SAFELY: Version = Version(2, 0, 16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// `mosquitto version 2.0.11` as a version.
pub fn parse(text: &str) -> Option<Version> {
    let mut parts = text.strip_prefix("mosquitto version ")?.trim().splitn(3, '.');
    let mut part = || parts.next()?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    Some(Version(part()?, part()?, part()?))
}

/// Asks the broker.
///
/// # Errors
/// It is away, or does not say.
pub fn of_broker(context: &WayContext) -> Result<Version, Refusal> {
    let mut client = context.client("version")?;
    let version = ask(&mut client);
    client.close();
    version?.ok_or_else(|| {
        let remedy = format!("give the user {} a role that lets it subscribe to $SYS/#", context.settings.admin);
        Refusal::new("the broker does not tell its version on $SYS/broker/version", remedy)
    })
}

fn ask(client: &mut super::client::Client) -> Result<Option<Version>, ClientError> {
    client.subscribe("$SYS/broker/version")?;
    let message = client.receive(Instant::now() + Duration::from_secs(3))?;
    Ok(message.and_then(|message| parse(&String::from_utf8_lossy(&message.payload))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(parse("mosquitto version 2.0.11"), Some(Version(2, 0, 11)));
        assert_eq!(parse("mosquitto version 2.1.0-rc1"), Some(Version(2, 1, 0)));
        assert_eq!(parse("something else"), None);
        assert!(Version(2, 0, 11) < SAVES_SAFELY && Version(2, 1, 0) > SAVES_SAFELY);
    }
}

//! Application packages of the LoRa Alliance: what a device and its server say on FPorts 200 to 203, after decryption with the AppSKey.
//!
//! - Clock synchronization, TS003-2.0.0, port 202
//! - Fragmented data block transport, TS004-1.0.0 and 2.0.0, port 201
//! - Remote multicast setup, TS005-1.0.0 and 2.0.0, port 200
//! - Firmware management protocol, TS006-1.0.0, port 203
//!
//! Every message is a list of commands: identifier, then bytes whose number identifier and direction say. Pure functions: the wire shows
//! these payloads encrypted, so whoever holds the session's key calls them. Encrypted multicast keys are stepped over.

mod clock_sync;
mod firmware;
mod fragmentation;
mod multicast;

use super::wire::Link;
use crate::part;
use crate::reader::Reader;
use smallvec::SmallVec;

/// Commands of one message: rarely more than two.
pub type PackageCommands = SmallVec<[PackageCommand; 2]>;

/// A package, known by its default port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Package {
    /// TS005, port 200.
    Multicast,
    /// TS004, port 201.
    Fragmentation,
    /// TS003, port 202.
    ClockSync,
    /// TS006, port 203.
    Firmware,
}

impl Package {
    /// The package that has this port by default.
    pub fn on_port(f_port: u8) -> Option<Self> {
        Some(match f_port {
            200 => Package::Multicast,
            201 => Package::Fragmentation,
            202 => Package::ClockSync,
            203 => Package::Firmware,
            _ => return None,
        })
    }

    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Package::Multicast => "remote_multicast_setup",
            Package::Fragmentation => "fragmented_data_block_transport",
            Package::ClockSync => "clock_synchronization",
            Package::Firmware => "firmware_management",
        }
    }
}

part! {
    /// One command of an application package. A field is there where the command has it.
    pub struct PackageCommand {
        /// Name in the specification, as in `FragSessionSetupReq`.
        pub name: &'static str,
        /// Command identifier.
        pub cid: u8,
        /// Package identifier (PackageVersionAns).
        pub package_identifier: Option<u8>,
        /// Package version (PackageVersionAns).
        pub package_version: Option<u8>,
        /// Status bits of an answer as they stand on the wire.
        pub status: Option<u8>,
        /// Token that pairs request and answer (AppTimeReq, AppTimeAns).
        pub token: Option<u8>,
        /// The device's GPS time in seconds (AppTimeReq, DeviceAppTimePeriodicityAns).
        pub device_time_s: Option<u32>,
        /// Seconds to add to the device's clock (AppTimeAns).
        pub time_correction_s: Option<i32>,
        /// Whether an answer is wanted even where the clock is right (AppTimeReq).
        pub answer_required: Option<bool>,
        /// Exponent of the period: 128 s x 2^n (DeviceAppTimePeriodicityReq).
        pub period: Option<u8>,
        /// Number of transmissions (ForceDeviceResyncReq).
        pub transmissions: Option<u8>,
        /// Fragmentation session 0 to 3.
        pub frag_index: Option<u8>,
        /// Fragments of the block (FragSessionSetupReq), fragments received (FragSessionStatusAns) or the fragment's number (DataFragment).
        pub fragments: Option<u16>,
        /// Bytes of a fragment (FragSessionSetupReq, DataFragment).
        pub fragment_size: Option<u8>,
        /// Bytes of padding in the last fragment (FragSessionSetupReq).
        pub padding: Option<u8>,
        /// Fragments missing (FragSessionStatusAns).
        pub missing: Option<u8>,
        /// What the block is, as the application names it (FragSessionSetupReq: Descriptor).
        pub descriptor: Option<u32>,
        /// Multicast groups as a bit mask (FragSessionSetupReq, McGroupStatusReq, McGroupStatusAns).
        pub mc_group_mask: Option<u8>,
        /// Multicast group 0 to 3.
        pub mc_group: Option<u8>,
        /// Multicast address, as a number (McGroupSetupReq; McGroupStatusAns: that of the first group).
        pub mc_addr: Option<u32>,
        /// First frame counter of the group (McGroupSetupReq).
        pub min_f_count: Option<u32>,
        /// Last frame counter of the group (McGroupSetupReq).
        pub max_f_count: Option<u32>,
        /// GPS time at which the session begins (McClassCSessionReq, McClassBSessionReq).
        pub session_time_s: Option<u32>,
        /// Exponent of the session's length: 2^n seconds (McClassCSessionReq) or beacon periods (McClassBSessionReq).
        pub session_timeout: Option<u8>,
        /// Ping slot periodicity (McClassBSessionReq).
        pub periodicity: Option<u8>,
        /// Frequency in Hz (McClassCSessionReq, McClassBSessionReq).
        pub frequency_hz: Option<u32>,
        /// Data rate index (McClassCSessionReq, McClassBSessionReq).
        pub data_rate: Option<u8>,
        /// Seconds until the session begins (McClassCSessionAns, McClassBSessionAns).
        pub time_to_start_s: Option<u32>,
        /// Firmware version as the maker numbers it (DevVersionAns, DevUpgradeImageAns: the image's, DevDeleteImageReq: the one to delete).
        pub firmware_version: Option<u32>,
        /// Hardware version as the maker numbers it (DevVersionAns).
        pub hardware_version: Option<u32>,
        /// GPS time of the reboot in seconds; 0 at once, 0xffffffff cancelled (DevRebootTimeReq, DevRebootTimeAns).
        pub reboot_time_s: Option<u32>,
        /// Seconds until the reboot; 0 at once, 0xffffff cancelled (DevRebootCountdownReq, DevRebootCountdownAns).
        pub countdown_s: Option<u32>,
    }
}

/// What a walk over package commands found.
#[derive(Clone)]
pub struct PackageWalk {
    /// The commands read.
    pub commands: PackageCommands,
    /// Whether all bytes were commands. Bytes decrypted with a wrong key are not.
    pub complete: bool,
}

/// Reads the decrypted payload of a package's port.
pub fn parse(package: Package, link: Link, bytes: &[u8]) -> PackageWalk {
    let mut reader = Reader::new(bytes);
    let mut commands = PackageCommands::new();
    while !reader.is_empty() {
        match command(package, link, &mut reader) {
            Some(command) => commands.push(command),
            None => return PackageWalk { commands, complete: false },
        }
    }
    PackageWalk { commands, complete: true }
}

fn command(package: Package, link: Link, reader: &mut Reader<'_>) -> Option<PackageCommand> {
    let cid = reader.u8()?;
    if cid == 0 {
        return match link {
            Link::Down => Some(PackageCommand { name: "PackageVersionReq", ..none(cid) }),
            Link::Up => Some(PackageCommand {
                name: "PackageVersionAns",
                package_identifier: Some(reader.u8()?),
                package_version: Some(reader.u8()?),
                ..none(cid)
            }),
        };
    }
    match package {
        Package::Multicast => multicast::command(link, cid, reader),
        Package::Fragmentation => fragmentation::command(link, cid, reader),
        Package::ClockSync => clock_sync::command(link, cid, reader),
        Package::Firmware => firmware::command(link, cid, reader),
    }
}

const fn none(cid: u8) -> PackageCommand {
    PackageCommand {
        name: "",
        cid,
        package_identifier: None,
        package_version: None,
        status: None,
        token: None,
        device_time_s: None,
        time_correction_s: None,
        answer_required: None,
        period: None,
        transmissions: None,
        frag_index: None,
        fragments: None,
        fragment_size: None,
        padding: None,
        missing: None,
        descriptor: None,
        mc_group_mask: None,
        mc_group: None,
        mc_addr: None,
        min_f_count: None,
        max_f_count: None,
        session_time_s: None,
        session_timeout: None,
        periodicity: None,
        frequency_hz: None,
        data_rate: None,
        time_to_start_s: None,
        firmware_version: None,
        hardware_version: None,
        reboot_time_s: None,
        countdown_s: None,
    }
}

#[cfg(test)]
mod tests;

//! How exposed a device is, as far as traffic shows it: the inventory says what was seen, risk says what it weighs.
//!
//! Left out: what a firewall or a fence keeps away, which no packet shows, and messages of protocols that nobody read: that somebody outside
//! knocked on a port says nothing of who answers there.

use super::assemble::sighting_of;
use super::groups::{Group, Groups};
use super::table::{ASPECTS, What};
use super::{Device, DeviceId, Inventory};
use citytap_sensor::observation::SecurityAspect;
use citytap_sensor::observation::identity::IP;

/// What a device is exposed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exposure {
    /// It speaks without encryption, or is managed without security.
    pub clear: bool,
    /// An address outside the site asks it something in a protocol that is read.
    pub asked_from_outside: bool,
    /// It asks an address outside the site.
    pub asks_outside: bool,
    /// Its traffic was seen in several VLANs: it is routed between them.
    pub crosses_vlans: bool,
}

/// What peers are said to speak where no protocol was recognised.
const UNREAD: [&str; 4] = ["tcp", "udp", "icmpv6", "link"];

/// What a statement on protection says where there is none.
const NONE: &str = "none";

impl Exposure {
    /// Of a device as it is shown.
    pub fn of(device: &Device) -> Self {
        let unprotected = |aspect: &str, value: &str| matches!(aspect, "mode" | "transport") && value == NONE;
        let mut exposure = Self {
            clear: device.services.iter().any(|service| !service.protected)
                || device.security.iter().any(|seen| unprotected(&seen.aspect, &seen.value)),
            crosses_vlans: device.vlans.len() > 1,
            ..Self::default()
        };
        for peer in &device.peers {
            if peer.device.is_none() && peer.peer.starts_with("ip:") && !UNREAD.contains(&peer.protocol.as_str()) {
                exposure.outside(peer.side == "client");
            }
        }
        exposure
    }

    fn outside(&mut self, asks: bool) {
        *(if asks { &mut self.asks_outside } else { &mut self.asked_from_outside }) = true;
    }
}

impl Inventory {
    /// The exposure of each device, in the order of their ids: what [`Exposure::of`] says of the assembled views, without assembling them.
    pub fn exposures(&self) -> impl Iterator<Item = (DeviceId, Exposure)> + '_ {
        let groups = self.groups();
        groups.listed().iter().map(move |&group| (groups.id(group), self.exposure(groups, group)))
    }

    fn exposure(&self, groups: &Groups, group: Group) -> Exposure {
        let mut exposure = Exposure::default();
        let mut first_vlan = None;
        for &vertex in groups.members(group) {
            let node = groups.node(vertex);
            for statement in &self.table.node(node).statements {
                if sighting_of(groups, vertex, node, statement).is_none() {
                    continue;
                }
                match statement.what {
                    What::Service { protected, .. } => exposure.clear |= !protected,
                    What::Security { aspect, value } => {
                        let aspect = ASPECTS.get(usize::from(aspect));
                        let unprotected = matches!(aspect, Some(SecurityAspect::Mode | SecurityAspect::Transport));
                        exposure.clear |= unprotected && self.table.text(value) == NONE;
                    }
                    What::Peer { other, protocol, asks } if !UNREAD.contains(&self.table.label_text(protocol)) => {
                        let peer = groups.group(groups.vertex_at(other, statement.last));
                        if peer != group && !groups.is_listed(peer) && *self.table.node(other).key.kind == IP {
                            exposure.outside(asks);
                        }
                    }
                    What::Vlan(vlan) => exposure.crosses_vlans |= *first_vlan.get_or_insert(vlan) != vlan,
                    _ => {}
                }
            }
        }
        exposure
    }
}

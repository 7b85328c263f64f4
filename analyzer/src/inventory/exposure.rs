//! How exposed a device is, as far as traffic shows it: the inventory says what was seen, risk says what it weighs.
//!
//! Left out: what a firewall or a fence keeps away, which no packet shows, and messages of protocols that nobody read: that somebody outside
//! knocked on a port says nothing of who answers there.

use super::assemble::sighting_of;
use super::groups::{Group, Groups};
use super::table::{ASPECTS, NodeId, Statement, What};
use super::{Device, DeviceId, Inventory};
use citytap_sensor::observation::SecurityAspect;
use citytap_sensor::observation::identity::IP;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use smallvec::SmallVec;

/// What a device is exposed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Exposure {
    /// It speaks without encryption, or is managed without security.
    pub clear: bool,
    /// An address outside the site asks it something in a protocol that is read.
    pub asked_from_outside: bool,
    /// It asks an address outside the site.
    pub asks_outside: bool,
    /// It talks with a device that was seen in other VLANs than it.
    pub other_vlan: bool,
}

/// What peers are said to speak where no protocol was recognised.
const UNREAD: [&str; 4] = ["tcp", "udp", "icmpv6", "link"];

/// What a statement on protection says where there is none.
const NONE: &str = "none";

type Vlans = SmallVec<[u16; 2]>;

fn apart(mine: &[u16], theirs: &[u16]) -> bool {
    !mine.is_empty() && !theirs.is_empty() && !mine.iter().any(|vlan| theirs.contains(vlan))
}

impl Exposure {
    /// Of a device as it is shown; `vlans` tells those of another device.
    pub fn of<'d>(device: &Device, vlans: impl Fn(DeviceId) -> Option<&'d [u16]>) -> Self {
        let unprotected = |aspect: &str, value: &str| matches!(aspect, "mode" | "transport") && value == NONE;
        let mut exposure = Self {
            clear: device.services.iter().any(|service| !service.protected)
                || device.security.iter().any(|seen| unprotected(&seen.aspect, &seen.value)),
            ..Self::default()
        };
        for peer in device.peers.iter().filter(|peer| !UNREAD.contains(&peer.protocol.as_str())) {
            match peer.device {
                Some(id) => exposure.other_vlan |= vlans(id).is_some_and(|theirs| apart(&device.vlans, theirs)),
                None if peer.peer.starts_with("ip:") => exposure.outside(peer.side == "client"),
                None => {}
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
        let vlans: HashMap<Group, Vlans, FixedState> = groups
            .listed()
            .iter()
            .map(|&group| (group, self.vlans(groups, group)))
            .filter(|(_, vlans)| !vlans.is_empty())
            .collect();
        groups.listed().iter().map(move |&group| (groups.id(group), self.exposure(groups, group, &vlans)))
    }

    fn said<'g>(&'g self, groups: &'g Groups, group: Group) -> impl Iterator<Item = &'g Statement> + 'g {
        groups.members(group).iter().flat_map(move |&vertex| {
            let node: NodeId = groups.node(vertex);
            let belongs = move |statement: &&Statement| sighting_of(groups, vertex, node, statement).is_some();
            self.table.node(node).statements.iter().filter(belongs)
        })
    }

    fn vlans(&self, groups: &Groups, group: Group) -> Vlans {
        let vlan = |statement: &Statement| match statement.what {
            What::Vlan(vlan) => Some(vlan),
            _ => None,
        };
        self.said(groups, group).filter_map(vlan).collect()
    }

    fn exposure(&self, groups: &Groups, group: Group, vlans: &HashMap<Group, Vlans, FixedState>) -> Exposure {
        let mut exposure = Exposure::default();
        let of = |group: Group| vlans.get(&group).map(SmallVec::as_slice).unwrap_or_default();
        for statement in self.said(groups, group) {
            match statement.what {
                What::Service { protected, .. } => exposure.clear |= !protected,
                What::Security { aspect, value } => {
                    let aspect = ASPECTS.get(usize::from(aspect));
                    let unprotected = matches!(aspect, Some(SecurityAspect::Mode | SecurityAspect::Transport));
                    exposure.clear |= unprotected && self.table.text(value) == NONE;
                }
                What::Peer { other, protocol, asks } if !UNREAD.contains(&self.table.label_text(protocol)) => {
                    let peer = groups.group(groups.vertex_at(other, statement.last));
                    if peer == group {
                        continue;
                    }
                    match groups.is_listed(peer) {
                        true => exposure.other_vlan |= apart(of(group), of(peer)),
                        false if *self.table.node(other).key.kind == IP => exposure.outside(asks),
                        false => {}
                    }
                }
                _ => {}
            }
        }
        exposure
    }
}

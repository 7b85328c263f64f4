//! The devices of which something is said that may tell their model, with the name that founds each.

use super::Inventory;
use super::device::Device;
use super::groups::{Group, Groups};
use super::table::What;
use crate::hot::owned::IdentityKey;
use citytap_sensor::observation::{Attribute, Strength};

impl Inventory {
    /// The devices that may have a model, product or version, sorted by id, each with its founding name. Of a city's hundred thousand most
    /// say no such thing, and putting a device together has its price.
    pub fn described(&self) -> impl Iterator<Item = (IdentityKey, Device)> + '_ {
        let groups = self.groups();
        let listed =
            groups.listed().iter().filter(move |&&group| !groups.provisional(group) && self.may_tell_model(groups, group));
        listed.map(move |&group| (self.table.node(groups.founding(group)).key.clone(), self.assemble(groups, group)))
    }

    /// Whether a statement or a chosen name is there that a model may follow from.
    fn may_tell_model(&self, groups: &Groups, group: Group) -> bool {
        groups.members(group).iter().any(|&vertex| {
            let node = self.table.node(groups.node(vertex));
            let tells = |what: What| match what {
                What::Attribute { name, .. } => {
                    matches!(name, Attribute::Product | Attribute::Model | Attribute::Firmware | Attribute::Software)
                }
                What::Object { .. } => true,
                _ => false,
            };
            node.key.kind.strength == Strength::Chosen || node.statements.iter().any(|statement| tells(statement.what))
        })
    }
}

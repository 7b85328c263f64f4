//! The class of every device, for counting them: by outline, and by assembling a device where its outline is new.

use super::Inventory;
use super::device::DeviceId;
use super::groups::{Group, Groups};
use super::table::{Statement, What};
use crate::hot::owned::ValueKey;
use crate::signatures::classes;
use crate::signatures::outline::Outlines;

impl Inventory {
    /// Stable ids of the devices' classes, in the order of the devices' ids.
    pub fn classes(&self) -> &[Option<&'static str>] {
        self.classes.get_or_init(|| {
            let groups = self.groups();
            let mut outlines = Outlines::default();
            groups.listed().iter().map(|&group| self.class_by_outline(groups, group, &mut outlines)).collect()
        })
    }

    /// Stable id of a device's class, where it has one.
    pub fn class_of(&self, id: DeviceId) -> Option<&'static str> {
        let groups = self.groups();
        let at = groups.listed().binary_search_by_key(&id, |&group| groups.id(group)).ok()?;
        self.classes().get(at).copied().flatten()
    }

    fn class_by_outline(&self, groups: &Groups, group: Group, outlines: &mut Outlines) -> Option<&'static str> {
        outlines.begin();
        for &vertex in groups.members(group) {
            let id = groups.node(vertex);
            let node = self.table.node(id);
            if groups.is_split(id) {
                // An address that several devices had: what was said belongs to one or the other.
                outlines.give_up();
                break;
            }
            let last = (node.last.time(), node.last.frame());
            match &node.key.value {
                ValueKey::Text(text) => outlines.name(node.key.kind.name, text, last),
                ValueKey::Hex(value, digits) => {
                    outlines.name(node.key.kind.name, &node.key.value.to_string(), last);
                    outlines.number(node.key.kind.name, *value, *digits, last);
                }
                _ => outlines.name(node.key.kind.name, "", last),
            }
            node.statements.iter().for_each(|statement| self.outline(groups, group, statement, outlines));
            groups.roles_of(vertex).for_each(|role| outlines.role(role));
        }
        outlines.class(|| {
            let class = self.assemble(groups, group).class?;
            classes::id(&class.id)
        })
    }

    fn outline(&self, groups: &Groups, group: Group, statement: &Statement, outlines: &mut Outlines) {
        let last = (statement.last.time(), statement.last.frame());
        match statement.what {
            What::Role(role) => outlines.role(role),
            What::Attribute { name, field, value } => {
                outlines.said(name, self.table.label_text(field), self.table.text(value), statement.confidence, last);
            }
            What::Service { protocol, .. } => outlines.serves(self.table.label_text(protocol)),
            What::Peer { other, protocol, asks: true } if groups.group(groups.vertex_at(other, statement.last)) != group => {
                outlines.asks(self.table.label_text(protocol));
            }
            What::Object { kind, name } => outlines.object(self.table.label_text(kind), self.table.text(name), last),
            _ => {}
        }
    }
}

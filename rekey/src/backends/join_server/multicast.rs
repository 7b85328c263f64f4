//! Multicast groups across a change of key: TS005 (Remote Multicast Setup 1.0.0 and 2.0.0) §4.1 and §4.3.
//!
//! ```text
//! 1.0.x   McRootKey = aes(GenAppKey, 0x00 | 0...)            1.1   McRootKey = aes(AppKey, 0x20 | 0...)
//! McKEKey = aes(McRootKey, 0x00 | 0...)
//! McKey_encrypted = the inverse cipher under McKEKey over McKey
//! McAppSKey = aes(McKey, 0x01 | McAddr(4) | 0...)            McNetSKey = aes(McKey, 0x02 | McAddr(4) | 0...)
//! McGroupSetupReq (port 200)   0x02 | McGroupIDHeader(1) | McAddr(4) | McKey_encrypted(16) | minMcFCount(4) | maxMcFCount(4)
//! ```
//!
//! A group's key is the group's own, so a change of a member's root key leaves the group as it is for all others. The member itself lost the group when
//! it restarted with the new key, or will when it next asks for a setup: its McKEKey is another. So each of its groups is set up again, under the new
//! key, as soon as that key is proven; the frame counter window begins where the group stands, since a window from 0 would take replays.

use super::keys::{Key, RootKeys};

/// Port of the Remote Multicast Setup package (TS005 §3).
pub const PORT: u8 = 200;

/// Groups of a device: McGroupID has two bits (TS005 §4.3).
pub const GROUPS: usize = 4;

/// Length of a McGroupSetupReq.
pub const SETUP_LENGTH: usize = 30;

/// A multicast group as its server knows it.
#[derive(Clone)]
pub struct Group {
    /// McGroupID, 0 to 3: the place that it has in the device.
    pub id: u8,
    /// McAddr.
    pub address: u32,
    /// McKey.
    pub key: Key,
    /// The next frame counter of the group.
    pub f_cnt: u32,
    /// The last frame counter of the group's life.
    pub f_cnt_max: u32,
}

/// McRootKey of these root keys. `None` where the key that it follows from is not held: AppKey in 1.1, GenAppKey in 1.0.x.
fn root_key(root: &RootKeys, v1_1: bool) -> Option<Key> {
    Some(root.app_key.as_ref()?.derive(&[&[if v1_1 { 0x20 } else { 0x00 }]]))
}

/// Whether a change from `old` to `new` changes the key under which groups are set up.
pub fn is_touched(old: &RootKeys, new: &RootKeys) -> bool {
    old.app_key != new.app_key
}

/// The command that sets up a group in a device that has these root keys, to be sent on [`PORT`]. `None` as for the root key, and for a group number that
/// does not exist.
pub fn group_setup(root: &RootKeys, v1_1: bool, group: &Group) -> Option<[u8; SETUP_LENGTH]> {
    if usize::from(group.id) >= GROUPS {
        return None;
    }
    let kek = root_key(root, v1_1)?.derive(&[&[0x00]]);
    let mut key = *group.key.bytes();
    kek.decrypt_blocks(&mut key);
    let mut command = [0; SETUP_LENGTH];
    let parts =
        [&[0x02, group.id][..], &group.address.to_le_bytes(), &key, &group.f_cnt.to_le_bytes(), &group.f_cnt_max.to_le_bytes()];
    command.iter_mut().zip(parts.into_iter().flatten()).for_each(|(place, byte)| *place = *byte);
    Some(command)
}

/// McNetSKey and McAppSKey, with which the group's downlinks are made.
pub fn session_keys(group: &Group) -> (Key, Key) {
    let address = group.address.to_le_bytes();
    (group.key.derive(&[&[0x02], &address]), group.key.derive(&[&[0x01], &address]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> Group {
        Group { id: 1, address: 0x11223344, key: Key::new([0x5a; 16]), f_cnt: 77, f_cnt_max: 1000 }
    }

    /// What a device does with the command: unwraps with the forward cipher.
    fn as_a_device(root: &RootKeys, v1_1: bool, command: &[u8]) -> [u8; 16] {
        let label = if v1_1 { 0x20 } else { 0x00 };
        let mut first = [0; 16];
        first[0] = label;
        let mc_root = Key::new(root.app_key.as_ref().unwrap().encrypt(first));
        Key::new(mc_root.encrypt([0; 16])).encrypt(command[6..22].try_into().unwrap())
    }

    #[test]
    fn the_device_unwraps_the_key_of_the_group() {
        let root = RootKeys { nwk_key: Key::new([1; 16]), app_key: Some(Key::new([2; 16])) };
        for v1_1 in [false, true] {
            let command = group_setup(&root, v1_1, &group()).unwrap();
            assert_eq!(command[..6], [0x02, 0x01, 0x44, 0x33, 0x22, 0x11]);
            assert_eq!(as_a_device(&root, v1_1, &command), [0x5a; 16]);
            assert_eq!(command[22..], [77, 0, 0, 0, 0xe8, 3, 0, 0]);
        }
    }

    #[test]
    fn a_new_app_key_changes_the_command_and_not_the_group() {
        let old = RootKeys { nwk_key: Key::new([1; 16]), app_key: Some(Key::new([2; 16])) };
        let new = RootKeys { nwk_key: Key::new([1; 16]), app_key: Some(Key::new([3; 16])) };
        assert!(is_touched(&old, &new) && !is_touched(&old, &RootKeys { nwk_key: Key::new([9; 16]), ..old.clone() }));
        let command = group_setup(&new, true, &group()).unwrap();
        assert_ne!(command, group_setup(&old, true, &group()).unwrap());
        assert_eq!(as_a_device(&new, true, &command), [0x5a; 16]);
        assert!(session_keys(&group()).0 != session_keys(&group()).1);
    }

    #[test]
    fn no_setup_without_the_key_or_beyond_four_groups() {
        let root = RootKeys { nwk_key: Key::new([1; 16]), app_key: None };
        assert!(group_setup(&root, false, &group()).is_none());
        let root = RootKeys { app_key: Some(Key::new([2; 16])), ..root };
        assert!(group_setup(&root, false, &Group { id: 4, ..group() }).is_none());
    }
}

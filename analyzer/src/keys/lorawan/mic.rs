//! Message integrity codes: AES-CMAC (RFC 4493, TS001-1.0.4 §4.4 and §6.2), alone and for many keys on many frames.
//!
//! A trial of a join-request is a key schedule and three encryptions: the subkey and two blocks. The schedule costs as much as the rest, so
//! the outer loop goes over keys and the inner one over all frames that wait ([`Trials`]): schedule and subkey are paid once a key, and the
//! blocks of several frames run through the cipher side by side.

use super::key::Key;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Block};
use smallvec::SmallVec;

/// A message cut into blocks as CMAC wants them, and the code that it carries.
#[derive(Clone)]
pub struct Target {
    /// The last block is padded, and not yet mixed with the subkey.
    blocks: SmallVec<[[u8; 16]; 2]>,
    /// Whether the last block was full: then the first subkey goes in, else the second.
    full: bool,
    mic: [u8; 4],
}

impl Target {
    /// `parts` are the message; they follow one another.
    pub fn new(parts: &[&[u8]], mic: [u8; 4]) -> Self {
        let mut blocks: SmallVec<[[u8; 16]; 2]> = SmallVec::new();
        let mut last = [0; 16];
        let mut filled = 0;
        for &byte in parts.iter().copied().flatten() {
            if filled == 16 {
                blocks.push(std::mem::take(&mut last));
                filled = 0;
            }
            if let Some(place) = last.get_mut(filled) {
                *place = byte;
            }
            filled += 1;
        }
        if let Some(place) = last.get_mut(filled) {
            *place = 0x80;
        }
        blocks.push(last);
        Self { blocks, full: filled == 16, mic }
    }

    /// Whether the key makes the code that the message carries.
    pub fn fits(&self, key: &Key) -> bool {
        let [a, b, c, d, ..] = Cmac::new(key).finish(&self.blocks, self.full);
        [a, b, c, d] == self.mic
    }

    /// Whether the key makes two bytes of the code, from `offset`: the halves of a 1.1 uplink come from different keys.
    pub fn half_fits(&self, key: &Key, offset: usize) -> bool {
        let tag = Cmac::new(key).finish(&self.blocks, self.full);
        tag.get(..2) == self.mic.get(offset..offset + 2)
    }
}

/// The code of a message.
pub fn cmac(key: &Key, message: &[u8]) -> [u8; 16] {
    let target = Target::new(&[message], [0; 4]);
    Cmac::new(key).finish(&target.blocks, target.full)
}

/// One block through the cipher.
pub fn encrypt(key: &Key, block: [u8; 16]) -> [u8; 16] {
    let mut block = Block::from(block);
    Aes128::new(key.bytes().into()).encrypt_block(&mut block);
    block.into()
}

struct Cmac {
    cipher: Aes128,
    /// The cipher over zeros, from which the subkeys follow.
    root: u128,
}

impl Cmac {
    fn new(key: &Key) -> Self {
        let cipher = Aes128::new(key.bytes().into());
        let mut root = Block::default();
        cipher.encrypt_block(&mut root);
        Self { cipher, root: u128::from_be_bytes(root.into()) }
    }

    fn finish(&self, blocks: &[[u8; 16]], full: bool) -> [u8; 16] {
        let mut state = 0;
        for (index, block) in blocks.iter().enumerate() {
            state ^= u128::from_be_bytes(*block);
            if index + 1 == blocks.len() {
                state ^= subkey(self.root, full);
            }
            let mut out = Block::from(state.to_be_bytes());
            self.cipher.encrypt_block(&mut out);
            state = u128::from_be_bytes(out.into());
        }
        state.to_be_bytes()
    }
}

/// K1 for a full last block, K2 for a padded one (RFC 4493 §2.3).
#[inline]
fn subkey(root: u128, full: bool) -> u128 {
    let k1 = doubled(root);
    if full { k1 } else { doubled(k1) }
}

/// Doubling in GF(2^128), without a branch on the value.
#[inline]
fn doubled(value: u128) -> u128 {
    (value << 1) ^ ((value >> 127) * 0x87)
}

/// Frames on which keys are tried, laid out for speed.
pub struct Trials {
    groups: Vec<Group>,
    states: Vec<Block>,
}

/// Frames with equally many blocks and equal padding.
struct Group {
    full: bool,
    /// Block by block, of each frame.
    blocks: Vec<Vec<Block>>,
    mics: Vec<[u8; 4]>,
    ids: Vec<usize>,
}

impl Trials {
    /// Lays frames out; hits tell their position among `targets`.
    pub fn new<'a>(targets: impl IntoIterator<Item = &'a Target>) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for (id, target) in targets.into_iter().enumerate() {
            let at = groups.iter().position(|group| group.full == target.full && group.blocks.len() == target.blocks.len());
            let at = at.unwrap_or_else(|| {
                let blocks = vec![Vec::new(); target.blocks.len()];
                groups.push(Group { full: target.full, blocks, mics: Vec::new(), ids: Vec::new() });
                groups.len() - 1
            });
            let Some(group) = groups.get_mut(at) else { continue };
            for (column, block) in group.blocks.iter_mut().zip(&target.blocks) {
                column.push((*block).into());
            }
            group.mics.push(target.mic);
            group.ids.push(id);
        }
        Self { groups, states: Vec::new() }
    }

    /// Tries a key on all frames and tells which it fits.
    pub fn try_key(&mut self, key: &[u8; 16], mut hit: impl FnMut(usize)) {
        let cipher = Aes128::new(key.into());
        let mut root = None;
        for group in &self.groups {
            self.states.clear();
            self.states.resize(group.mics.len(), Block::default());
            for (index, column) in group.blocks.iter().enumerate() {
                self.states.iter_mut().zip(column).for_each(|(state, block)| mix(state, block));
                if index + 1 == group.blocks.len() {
                    let root = *root.get_or_insert_with(|| run(&cipher, 0));
                    let subkey = Block::from(subkey(root, group.full).to_be_bytes());
                    self.states.iter_mut().for_each(|state| mix(state, &subkey));
                    cipher.encrypt_blocks(&mut self.states);
                } else if root.is_none() {
                    // The subkey's root runs through the cipher beside the first blocks.
                    self.states.push(Block::default());
                    cipher.encrypt_blocks(&mut self.states);
                    root = self.states.pop().map(|block| u128::from_be_bytes(block.into()));
                } else {
                    cipher.encrypt_blocks(&mut self.states);
                }
            }
            for ((state, mic), id) in self.states.iter().zip(&group.mics).zip(&group.ids) {
                if state.first_chunk() == Some(mic) {
                    hit(*id);
                }
            }
        }
    }
}

/// One block through the cipher, as a number.
#[inline]
fn run(cipher: &Aes128, state: u128) -> u128 {
    let mut block = Block::from(state.to_be_bytes());
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

#[inline]
fn mix(state: &mut Block, with: &Block) {
    // As numbers: byte by byte the compiler makes sixteen steps of it.
    let mixed = u128::from_ne_bytes((*state).into()) ^ u128::from_ne_bytes((*with).into());
    *state = mixed.to_ne_bytes().into();
}

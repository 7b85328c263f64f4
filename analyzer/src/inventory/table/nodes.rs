//! Names in pieces of one size, so that growing copies nothing: there can be a million, and a copy would need the room twice.

use super::Node;
use std::ops::{Index, IndexMut};

/// Names of one piece: some half a megabyte.
const PIECE: usize = 4_096;

/// Names by number.
#[derive(Default)]
pub(in crate::inventory) struct Nodes {
    /// All are full but the last.
    pieces: Vec<Vec<Node>>,
}

impl Nodes {
    pub(in crate::inventory) fn len(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    pub(super) fn get(&self, number: usize) -> Option<&Node> {
        self.pieces.get(number / PIECE)?.get(number % PIECE)
    }

    pub(super) fn push(&mut self, node: Node) {
        match self.pieces.last_mut().filter(|last| last.len() < PIECE) {
            Some(last) => last.push(node),
            // A small city does not need a whole piece.
            None => {
                let mut piece = Vec::with_capacity(if self.pieces.is_empty() { 0 } else { PIECE });
                piece.push(node);
                self.pieces.push(piece);
            }
        }
    }

    pub(in crate::inventory) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.pieces.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.pieces.iter_mut().flatten()
    }

    /// Keeps those that `keep` says; the others move up.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Node) -> bool) {
        for node in std::mem::take(&mut self.pieces).into_iter().flatten() {
            if keep(&node) {
                self.push(node);
            }
        }
    }
}

impl Index<usize> for Nodes {
    type Output = Node;

    fn index(&self, number: usize) -> &Node {
        &self.pieces[number / PIECE][number % PIECE]
    }
}

impl IndexMut<usize> for Nodes {
    fn index_mut(&mut self, number: usize) -> &mut Node {
        &mut self.pieces[number / PIECE][number % PIECE]
    }
}

//! Texts, each kept once.

use super::{Label, Symbol};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use std::hash::BuildHasher;

/// Texts of the program: few, and never forgotten.
#[derive(Default)]
pub(super) struct Labels {
    texts: Vec<&'static str>,
    /// The same literal is mostly at the same address, which is quicker to look up than what it says.
    by_address: HashMap<(usize, usize), Label, FixedState>,
}

impl Labels {
    pub(super) fn label(&mut self, text: &'static str) -> Label {
        let address = (text.as_ptr() as usize, text.len());
        if let Some(&label) = self.by_address.get(&address) {
            return label;
        }
        let found = self.texts.iter().position(|known| *known == text);
        let label = found.unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        }) as Label;
        self.by_address.insert(address, label);
        label
    }

    pub(super) fn text(&self, label: Label) -> &'static str {
        self.texts.get(usize::from(label)).copied().unwrap_or_default()
    }
}

/// Texts of the wire, each kept once.
pub(super) struct Symbols {
    hasher: FixedState,
    pub(super) texts: Vec<Box<str>>,
    free: Vec<Symbol>,
    pub(super) index: HashTable<Symbol>,
    /// Texts in use after the last collection.
    kept: usize,
}

impl Symbols {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { hasher, texts: Vec::new(), free: Vec::new(), index: HashTable::new(), kept: 0 }
    }

    pub(super) fn symbol(&mut self, text: &str) -> Symbol {
        let hash = |text: &str| self.hasher.hash_one(text);
        let texts = &mut self.texts;
        if let Some(&symbol) = self.index.find(hash(text), |&symbol| *texts[symbol as usize] == *text) {
            return symbol;
        }
        let symbol = self.free.pop().unwrap_or(texts.len() as Symbol);
        match texts.get_mut(symbol as usize) {
            Some(slot) => *slot = text.into(),
            None => texts.push(text.into()),
        }
        self.index.insert_unique(hash(text), symbol, |&symbol| hash(&texts[symbol as usize]));
        symbol
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        self.texts.get(symbol as usize).map_or("", |text| text)
    }

    pub(super) fn is_wasteful(&self) -> bool {
        self.index.len() > 2 * self.kept + 65_536
    }

    pub(super) fn keep(&mut self, used: &[bool]) {
        self.index.retain(|symbol| used[*symbol as usize]);
        self.free.clear();
        for (symbol, text) in self.texts.iter_mut().enumerate() {
            if !used.get(symbol).copied().unwrap_or(true) {
                *text = "".into();
                self.free.push(symbol as Symbol);
            }
        }
        self.kept = self.index.len();
    }
}

//! Which combinations of properties fulfil a filter, as far as that was asked.

use foldhash::HashMap;

/// Combinations of a page.
const PAGE: u64 = 4096;
const WORDS: usize = 64;
/// Pages that there may be: numbers behind them are hashes, and stand in a map.
const PAGES: usize = 1 << 20;

#[derive(Debug, Clone)]
struct Page {
    known: [u64; WORDS],
    holds: [u64; WORDS],
}

/// Two bits for each combination: whether the filter was evaluated for it, and whether it holds. Combinations are numbered
/// densely by the embedded store, so this takes a quarter of a byte each, in pages of 1 KiB.
#[derive(Debug, Clone, Default)]
pub struct Bitmap {
    pages: Vec<Option<Box<Page>>>,
    far: HashMap<u64, bool>,
}

impl Bitmap {
    /// Whether the filter holds for a combination; `None` where that was not evaluated.
    pub fn get(&self, combination: u64) -> Option<bool> {
        let (page, word, bit) = place(combination);
        if page >= PAGES {
            return self.far.get(&combination).copied();
        }
        let page = self.pages.get(page)?.as_ref()?;
        if page.known.get(word)? & bit == 0 {
            None
        } else {
            Some(page.holds.get(word)? & bit != 0)
        }
    }

    /// Remembers what was evaluated.
    pub fn set(&mut self, combination: u64, holds: bool) {
        let (page, word, bit) = place(combination);
        if page >= PAGES {
            self.far.insert(combination, holds);
            return;
        }
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let Some(slot) = self.pages.get_mut(page) else {
            return;
        };
        let page = slot.get_or_insert_with(|| {
            Box::new(Page {
                known: [0; WORDS],
                holds: [0; WORDS],
            })
        });
        if let (Some(known), Some(held)) = (page.known.get_mut(word), page.holds.get_mut(word)) {
            *known |= bit;
            if holds { *held |= bit } else { *held &= !bit }
        }
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().count();
        self.pages.capacity() * size_of::<usize>()
            + pages * size_of::<Page>()
            + self.far.capacity() * (size_of::<(u64, bool)>() + 1)
    }
}

/// Page, word of the page, and bit of the word.
fn place(combination: u64) -> (usize, usize, u64) {
    let page = usize::try_from(combination / PAGE).unwrap_or(usize::MAX);
    let word = usize::try_from(combination % PAGE / 64).unwrap_or_default();
    (page, word, 1 << (combination % 64))
}

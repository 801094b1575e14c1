//! Something of each person: an array where persons are numbered densely, as the embedded store does, a map where their
//! numbers are hashes.

use foldhash::HashMap;

/// Persons of a page.
const PAGE: u64 = 1024;
/// Numbers from here on stand in the map.
const DENSE: u64 = 1 << 27;

/// Values by person. Whoever was not asked for yet has the default.
#[derive(Debug, Clone)]
pub struct ByPerson<T> {
    pages: Vec<Option<Box<[T]>>>,
    far: HashMap<u64, T>,
}

impl<T> Default for ByPerson<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            far: HashMap::default(),
        }
    }
}

impl<T: Copy + Default> ByPerson<T> {
    /// The value of a person.
    pub fn get(&self, person: u64) -> T {
        if person >= DENSE {
            return self.far.get(&person).copied().unwrap_or_default();
        }
        let (page, place) = place(person);
        let page = self.pages.get(page).and_then(Option::as_ref);
        page.and_then(|page| page.get(place)).copied().unwrap_or_default()
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, person: u64) -> &mut T {
        if person >= DENSE {
            return self.far.entry(person).or_default();
        }
        let (page, place) = place(person);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let slot = self.pages.get_mut(page);
        let page = slot.map(|page| page.get_or_insert_with(|| new_page()));
        match page.and_then(|page| page.get_mut(place)) {
            Some(value) => value,
            // There is that page, and it has that place.
            None => self.far.entry(person).or_default(),
        }
    }

    /// Every person with its value, those that were never asked for with the default as well.
    pub fn iter(&self) -> impl Iterator<Item = (u64, T)> {
        let pages = (0_u64..).zip(&self.pages);
        let dense = pages.flat_map(|(number, page)| {
            let values = (number * PAGE..).zip(page.iter().flatten());
            values.map(|(person, value)| (person, *value))
        });
        dense.chain(self.far.iter().map(|(person, value)| (*person, *value)))
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        let pages = self.pages.iter().flatten().map(|page| size_of_val::<[T]>(page));
        self.pages.capacity() * size_of::<Option<Box<[T]>>>()
            + pages.sum::<usize>()
            + self.far.capacity() * (size_of::<(u64, T)>() + 1)
    }
}

fn new_page<T: Copy + Default>() -> Box<[T]> {
    (0..PAGE).map(|_| T::default()).collect()
}

/// Page and place on it.
fn place(person: u64) -> (usize, usize) {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    (number(person / PAGE), number(person % PAGE))
}

/// A set of persons that counts them.
#[derive(Debug, Clone, Default)]
pub struct PersonSet {
    /// By the number of each 64 persons, a bit for each.
    words: ByPerson<u64>,
    count: u64,
}

impl PersonSet {
    /// Adds a person, who may be in it.
    pub fn insert(&mut self, person: u64) {
        let word = self.words.get_mut(person / 64);
        let bit = 1 << (person % 64);
        if *word & bit == 0 {
            *word |= bit;
            self.count += 1;
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

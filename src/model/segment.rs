//! A segment: a named filter over sessions.

use super::{Filter, Millis, Name, SegmentId};

/// Segments with analytics tracking that a workspace may have where nothing else is configured: any number.
pub const DEFAULT_SEGMENT_LIMIT: u32 = 0;
/// Longest description.
const MAX_DESCRIPTION_BYTES: usize = 1_000;
const MAX_TAGS: usize = 20;
const MAX_TAG_BYTES: usize = 100;

/// What people write about a segment besides its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SegmentNotes {
    description: String,
    tags: Vec<String>,
}

/// Why notes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SegmentNotesError {
    /// The description is too long.
    #[error("'description' must have at most {MAX_DESCRIPTION_BYTES} bytes, received {0}")]
    DescriptionLength(usize),
    /// Too many tags.
    #[error("'tags' must have at most {MAX_TAGS} entries, received {0}")]
    TagCount(usize),
    /// A tag is empty or too long, or has control characters.
    #[error("a tag must have 1 to {MAX_TAG_BYTES} bytes and no control characters")]
    Tag,
}

impl SegmentNotes {
    /// Checks both.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn new(description: String, tags: Vec<String>) -> Result<Self, SegmentNotesError> {
        if description.len() > MAX_DESCRIPTION_BYTES {
            return Err(SegmentNotesError::DescriptionLength(description.len()));
        }
        if tags.len() > MAX_TAGS {
            return Err(SegmentNotesError::TagCount(tags.len()));
        }
        let fits =
            |tag: &String| (1..=MAX_TAG_BYTES).contains(&tag.len()) && !tag.chars().any(char::is_control);
        if tags.iter().all(fits) {
            Ok(Self { description, tags })
        } else {
            Err(SegmentNotesError::Tag)
        }
    }

    /// These notes with another description, other tags, or both.
    ///
    /// # Errors
    /// As [`SegmentNotes::new`].
    pub fn with(
        &self,
        description: Option<String>,
        tags: Option<Vec<String>>,
    ) -> Result<Self, SegmentNotesError> {
        Self::new(
            description.unwrap_or_else(|| self.description.clone()),
            tags.unwrap_or_else(|| self.tags.clone()),
        )
    }

    /// What these notes change to; `None` where neither is given.
    ///
    /// # Errors
    /// As [`SegmentNotes::new`].
    pub fn changed(
        &self,
        description: Option<String>,
        tags: Option<Vec<String>>,
    ) -> Result<Option<Self>, SegmentNotesError> {
        match (description, tags) {
            (None, None) => Ok(None),
            (description, tags) => self.with(description, tags).map(Some),
        }
    }

    /// What its maker wrote, possibly nothing; at most 1,000 bytes.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// At most 20, in the order in which they were given.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}

/// A named filter over sessions.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Unique on the server.
    pub id: SegmentId,
    /// Unique in its workspace.
    pub name: Name,
    /// Description and tags.
    pub notes: SegmentNotes,
    /// Which sessions belong to it.
    pub filter: Filter,
    /// Whether analytics tracking is on, so that its series may be asked for.
    pub tracked: bool,
    /// Unix milliseconds.
    pub created_at: Millis,
    /// Unix milliseconds of the last change of anything above.
    pub updated_at: Millis,
}

/// What is needed to create a segment.
#[derive(Debug, Clone)]
pub struct NewSegment {
    /// Chosen by the caller, or random.
    pub id: SegmentId,
    /// Must not be taken in the workspace.
    pub name: Name,
    /// Description and tags.
    pub notes: SegmentNotes,
    /// Which sessions belong to it.
    pub filter: Filter,
    /// Whether tracking is on from the beginning.
    pub track: bool,
}

/// What changes; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct SegmentChange {
    /// Must not be taken in the workspace.
    pub name: Option<Name>,
    /// Description and tags, both.
    pub notes: Option<SegmentNotes>,
    /// Which sessions belong to it.
    pub filter: Option<Filter>,
    /// Turns tracking on or off.
    pub track: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_have_limits() {
        let tags = |count: usize| vec!["t".to_owned(); count];
        assert!(SegmentNotes::new("é".repeat(500), tags(20)).is_ok());
        assert_eq!(
            SegmentNotes::new("x".repeat(1_001), tags(0)),
            Err(SegmentNotesError::DescriptionLength(1_001))
        );
        assert_eq!(
            SegmentNotes::new(String::new(), tags(21)),
            Err(SegmentNotesError::TagCount(21))
        );
        for tag in ["", "a\nb", &"x".repeat(101)] {
            let refused = SegmentNotes::new(String::new(), vec![tag.to_owned()]);
            assert_eq!(refused, Err(SegmentNotesError::Tag), "{tag}");
        }
    }
}

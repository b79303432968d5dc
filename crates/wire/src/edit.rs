//! Changes a few places of a body and leaves every other byte alone. It knows spans, and how the
//! members of an object are taken out, put in and moved with their commas; it refuses to know what
//! is changed or why, and never writes a body anew: prompt caches and the signatures of thinking
//! blocks depend on the client's own bytes.

mod outline;

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

pub use self::outline::{MAX_MEMBERS, Outline, quoted};

/// An edit that cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Misplaced {
    /// It touches bytes which another edit touches already.
    #[error("the edit of bytes {start} to {end} overlaps another")]
    Overlapping {
        /// Offset of the first byte of the refused edit.
        start: usize,
        /// Offset after its last byte.
        end: usize,
    },
    /// It does not lie inside the document, or its end lies before its start.
    #[error("bytes {start} to {end} do not lie inside the document")]
    Outside {
        /// Offset of the first byte of the refused edit.
        start: usize,
        /// Offset after its last byte.
        end: usize,
    },
}

/// Changes to one document, as a list of spans. They may be made in any order; offsets are always
/// those of the document as it came.
#[derive(Clone)]
pub struct Edits {
    document: Bytes,
    /// In the order of the document, and apart from each other.
    changes: Vec<Change>,
}

/// An edited document: slices of the original between pieces that are new.
#[derive(Clone, Default)]
pub struct Segments {
    parts: Vec<Bytes>,
    len: usize,
}

#[derive(Clone)]
struct Change {
    span: Range<usize>,
    pieces: Vec<Bytes>,
}

impl Edits {
    /// No changes to `document` yet.
    pub fn new(document: &Bytes) -> Self {
        Self { document: document.clone(), changes: Vec::new() }
    }

    /// The whole of `document` becomes those pieces: slices of it, perhaps.
    pub fn anew(document: &Bytes, pieces: Vec<Bytes>) -> Self {
        let change = Change { span: 0..document.len(), pieces };
        Self { document: document.clone(), changes: vec![change] }
    }

    /// Is nothing changed?
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The spans that are changed, in order; an insertion is an empty one.
    pub fn spans(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.changes.iter().map(|change| change.span.clone())
    }

    /// The same with what stands there instead.
    pub fn changes(&self) -> impl Iterator<Item = (Range<usize>, Bytes)> + '_ {
        self.changes.iter().map(|change| (change.span.clone(), change.pieces.concat().into()))
    }

    /// Takes the bytes of `span` out.
    ///
    /// # Errors
    /// As [`Edits::replace`].
    pub fn remove(&mut self, span: Range<usize>) -> Result<(), Misplaced> {
        self.change(span, Vec::new())
    }

    /// Puts `text` where `span` was.
    ///
    /// # Errors
    /// [`Misplaced`] if the span overlaps an edit that was made before, or leaves the document. Spans
    /// may touch. The list is then as it was.
    pub fn replace(&mut self, span: Range<usize>, text: impl Into<Bytes>) -> Result<(), Misplaced> {
        self.change(span, vec![text.into()])
    }

    /// Puts `text` before the byte at `at`. Of several insertions at one place the first made comes first.
    ///
    /// # Errors
    /// As [`Edits::replace`]; the place may be either end of another edit.
    pub fn insert(&mut self, at: usize, text: impl Into<Bytes>) -> Result<(), Misplaced> {
        self.change(at..at, vec![text.into()])
    }

    /// Takes the bytes of `span` out and puts them before the byte at `to`.
    ///
    /// # Errors
    /// As [`Edits::replace`], for both places.
    pub fn relocate(&mut self, span: Range<usize>, to: usize) -> Result<(), Misplaced> {
        let mut both = self.clone();
        both.remove(span.clone())?;
        both.insert(to, self.document.slice(span))?;
        *self = both;
        Ok(())
    }

    /// The document with all changes made. Nothing of it is copied.
    pub fn apply(&self) -> Segments {
        let mut segments = Segments::default();
        let mut at = 0;
        for change in &self.changes {
            segments.push(self.document.slice(at..change.span.start));
            for piece in &change.pieces {
                segments.push(piece.clone());
            }
            at = change.span.end;
        }
        segments.push(self.document.slice(at..));
        segments
    }

    fn change(&mut self, span: Range<usize>, pieces: Vec<Bytes>) -> Result<(), Misplaced> {
        let Range { start, end } = span;
        if start > end || end > self.document.len() {
            return Err(Misplaced::Outside { start, end });
        }
        let index = self.changes.partition_point(|other| (other.span.start, other.span.end) <= (start, end));
        let before = index.checked_sub(1).and_then(|index| self.changes.get(index));
        let after = self.changes.get(index);
        // An insertion ends where it starts, so that several at one place lie apart.
        let overlaps = before.is_some_and(|before| before.span.end > start)
            || after.is_some_and(|after| after.span.start < end);
        if overlaps {
            return Err(Misplaced::Overlapping { start, end });
        }
        self.changes.insert(index, Change { span, pieces });
        Ok(())
    }

    /// As [`Edits::replace`] with several pieces, for spans that are known to fit.
    fn place(&mut self, span: Range<usize>, pieces: Vec<Bytes>) {
        self.change(span, pieces).expect("the spans of an outline lie apart and inside their document");
    }
}

impl fmt::Debug for Edits {
    /// Where, and how long what is put there is; never the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        for change in &self.changes {
            let len: usize = change.pieces.iter().map(Bytes::len).sum();
            list.entry(&format_args!("{:?} becomes {len} bytes", change.span));
        }
        list.finish()
    }
}

impl Segments {
    /// The total length in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Is there no byte in it?
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices in order; none of them is empty.
    pub fn iter(&self) -> std::slice::Iter<'_, Bytes> {
        self.parts.iter()
    }

    /// All of it in one piece. Copies, unless there is but one slice.
    pub fn to_bytes(&self) -> Bytes {
        match self.parts.as_slice() {
            [] => Bytes::new(),
            [only] => only.clone(),
            parts => parts.concat().into(),
        }
    }

    fn push(&mut self, part: Bytes) {
        self.len += part.len();
        if !part.is_empty() {
            self.parts.push(part);
        }
    }
}

impl From<Bytes> for Segments {
    /// A document that is not edited.
    fn from(document: Bytes) -> Self {
        let mut segments = Self::default();
        segments.push(document);
        segments
    }
}

impl IntoIterator for Segments {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.parts.into_iter()
    }
}

impl<'a> IntoIterator for &'a Segments {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Segments {
    /// The lengths; never the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(Bytes::len)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(segments: &Segments) -> String {
        String::from_utf8(segments.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn edits_may_be_made_in_any_order() {
        let document = Bytes::from_static(b"0123456789");
        let mut edits = Edits::new(&document);
        edits.replace(8..9, "H").unwrap();
        edits.insert(2, "a").unwrap();
        edits.remove(2..4).unwrap();
        edits.insert(2, "b").unwrap();
        edits.relocate(5..7, 10).unwrap();
        edits.insert(0, "<").unwrap();
        let segments = edits.apply();
        assert_eq!(text(&segments), "<01ab47H956");
        assert_eq!(segments.len(), 11);
        assert_eq!(edits.spans().collect::<Vec<_>>(), [0..0, 2..2, 2..2, 2..4, 5..7, 8..9, 10..10]);
    }

    #[test]
    fn overlapping_edits_are_refused_and_leave_the_list_as_it_was() {
        let document = Bytes::from_static(b"0123456789");
        let mut edits = Edits::new(&document);
        edits.remove(3..6).unwrap();
        for span in [3..6, 3..4, 5..6, 2..4, 5..7, 0..10, 4..4] {
            let expect = Misplaced::Overlapping { start: span.start, end: span.end };
            assert_eq!(edits.remove(span), Err(expect));
        }
        assert_eq!(edits.relocate(0..2, 4), Err(Misplaced::Overlapping { start: 4, end: 4 }));
        assert_eq!(edits.relocate(7..9, 8), Err(Misplaced::Overlapping { start: 8, end: 8 }));
        edits.insert(3, "<").unwrap();
        edits.insert(6, ">").unwrap();
        edits.remove(1..3).unwrap();
        edits.remove(6..7).unwrap();
        assert_eq!(text(&edits.apply()), "0<>789");
    }

    #[test]
    fn an_insertion_is_overlapped_only_from_both_sides() {
        let document = Bytes::from_static(b"0123456789");
        let mut edits = Edits::new(&document);
        edits.insert(5, "x").unwrap();
        assert_eq!(edits.remove(4..6), Err(Misplaced::Overlapping { start: 4, end: 6 }));
        edits.remove(4..5).unwrap();
        edits.remove(5..6).unwrap();
        assert_eq!(text(&edits.apply()), "0123x6789");
    }

    #[test]
    fn an_edit_outside_the_document_is_refused() {
        let mut edits = Edits::new(&Bytes::from_static(b"01"));
        assert_eq!(edits.remove(1..3), Err(Misplaced::Outside { start: 1, end: 3 }));
        assert_eq!(edits.insert(3, "x"), Err(Misplaced::Outside { start: 3, end: 3 }));
        let backwards = Range { start: 2, end: 1 };
        assert_eq!(edits.remove(backwards), Err(Misplaced::Outside { start: 2, end: 1 }));
        assert_eq!(edits.relocate(0..1, 3), Err(Misplaced::Outside { start: 3, end: 3 }));
        assert!(edits.is_empty());
        edits.insert(2, "x").unwrap();
        assert!(!edits.is_empty());
    }

    #[test]
    fn nothing_edited_is_the_document_itself() {
        let document = Bytes::from_static(b"0123");
        let segments = Edits::new(&document).apply();
        assert_eq!(segments.to_bytes().as_ptr(), document.as_ptr());
        assert_eq!(Segments::from(document.clone()).into_iter().collect::<Vec<_>>(), [document]);
        assert!(Segments::from(Bytes::new()).is_empty());
        assert_eq!(Segments::default().to_bytes(), Bytes::new());
        assert_eq!(Edits::new(&Bytes::new()).apply().iter().count(), 0);
    }
}

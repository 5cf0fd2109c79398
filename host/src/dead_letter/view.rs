//! The archive as an operator sees it: read from its files, beside a running gateway or without one.

use std::path::Path;

use super::fold::{Fold, LETTER, Written};
use super::letter::DeadLetter;
use crate::spool::log::{Found, OpenError, inspect};

pub struct View {
    fold: Fold,
    pub found: Found,
}

// === impl View ===

impl View {
    pub fn read(dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Self, OpenError> {
        let mut fold = Fold::default();
        let found = inspect(dir, progress, &mut |at, frame| fold.apply(at, frame))?;
        Ok(Self { fold, found })
    }

    /// Frames that verify and make no sense to this version.
    pub fn unreadable(&self) -> u64 {
        self.fold.unreadable
    }

    /// Letters that are to go again.
    pub fn marked(&self) -> u64 {
        self.fold.marked.numbers().count() as u64
    }

    /// Shows the letters that are not removed, oldest first, until `visit` has enough.
    pub fn letters(
        &self,
        dir: &Path,
        progress: &mut dyn FnMut(u64, u64),
        visit: &mut dyn FnMut(u64, DeadLetter) -> bool,
    ) -> Result<(), OpenError> {
        let mut more = true;
        inspect(dir, progress, &mut |at, frame| {
            let written = Written::decode(frame.body).filter(|_| more && frame.kind == LETTER);
            if let Some(written) = written.filter(|written| self.fold.is_there(at.segment, written.id))
                && let Ok(letter) = DeadLetter::decode(written.letter)
            {
                more = visit(written.id, letter);
            }
        })?;
        Ok(())
    }
}

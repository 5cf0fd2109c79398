//! What all tables of one file share.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::access::Place;
use crate::config::problem::Problem;

/// Where its relative paths begin, and the problems so far.
pub struct Reader<'a> {
    base_dir: &'a Path,
    /// Its name, and what stands in it.
    file: Arc<str>,
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub fn new(base_dir: &'a Path, file_name: &str, text: &'a str) -> Self {
        Self { base_dir, file: file_name.into(), text, problems: RefCell::default() }
    }

    pub fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// The line of a place.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or_default();
        Place { file: self.file.clone(), line: before.matches('\n').count() + 1 }
    }

    /// Where a typed path leads.
    pub fn path(&self, typed: &str) -> PathBuf {
        self.base_dir.join(typed)
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

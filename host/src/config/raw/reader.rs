//! What all tables of one file share.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::config::problem::Problem;

/// Where its relative paths begin, and the problems so far.
pub struct Reader<'a> {
    base_dir: &'a Path,
    problems: RefCell<Vec<Problem>>,
}

// === impl Reader ===

impl<'a> Reader<'a> {
    pub fn new(base_dir: &'a Path) -> Self {
        Self { base_dir, problems: RefCell::default() }
    }

    pub fn add(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn is_empty(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Where a typed path leads.
    pub fn path(&self, typed: &str) -> PathBuf {
        self.base_dir.join(typed)
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

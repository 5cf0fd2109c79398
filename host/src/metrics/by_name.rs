//! The metrics of each thing of one kind: of each upstream, of each binding.
//!
//! By name and not by position: the name is the label that is shown, and it stays when the configuration changes. What a thing counts
//! is its own; this only knows where to look when somebody asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub struct ByName<T>(Mutex<Vec<Named<T>>>);

#[derive(Debug)]
pub struct Named<T> {
    pub name: Arc<str>,
    pub metrics: Arc<T>,
}

// === impl ByName ===

impl<T: Default> ByName<T> {
    /// Those of the thing with this name, for it to keep: new ones when it is the first time.
    pub fn of(&self, name: &str) -> Arc<T> {
        let mut all = self.lock();
        if let Some(known) = all.iter().find(|one| *one.name == *name) {
            return known.metrics.clone();
        }
        let metrics = Arc::<T>::default();
        all.push(Named { name: name.into(), metrics: metrics.clone() });
        metrics
    }
}

impl<T> ByName<T> {
    /// In the order in which they came.
    pub fn all(&self) -> Vec<Named<T>> {
        self.lock().clone()
    }

    pub fn sum(&self, number: impl Fn(&T) -> u64) -> u64 {
        self.lock().iter().map(|one| number(&one.metrics)).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Named<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Clone for Named<T> {
    fn clone(&self) -> Self {
        Self { name: self.name.clone(), metrics: self.metrics.clone() }
    }
}

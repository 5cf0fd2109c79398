//! What tells the samples of a family apart: `listener`, `binding`, `plugin`, `upstream`, `reason`, and their names in the configuration.
//! Never a client, a topic or anything else that a device can make up: there are as many samples as the configuration has parts.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "BTreeMap<String, String>", from = "BTreeMap<String, String>")]
pub struct Labels(SmallVec<[Label; 2]>);

type Label = (Cow<'static, str>, Box<str>);

// === impl Labels ===

impl Labels {
    pub fn of(labels: &[(&'static str, &str)]) -> Self {
        Self(labels.iter().map(|(label, value)| (Cow::Borrowed(*label), Box::from(*value))).collect())
    }

    pub fn get(&self, label: &str) -> Option<&str> {
        self.iter().find(|(name, _)| *name == label).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(label, value)| (&**label, &**value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(labels: BTreeMap<String, String>) -> Self {
        Self(labels.into_iter().map(|(label, value)| (Cow::Owned(label), value.into_boxed_str())).collect())
    }
}

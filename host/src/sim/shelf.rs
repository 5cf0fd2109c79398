//! What may be retained on a topic: the last value that was acknowledged, or one that was sent after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// By topic, the values in the order in which they were sent.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<BTreeMap<String, Vec<Value>>>>);

#[derive(Debug)]
struct Value {
    /// None: the topic was cleared.
    text: Option<String>,
    is_acked: bool,
}

/// By topic, from which value on an answer is right.
pub type Floors = BTreeMap<String, usize>;

// === impl Shelf ===

impl Shelf {
    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Value>>> {
        self.0.lock().unwrap()
    }

    pub fn sent(&self, topic: &str, text: Option<String>) {
        let nothing = || vec![Value { text: None, is_acked: true }];
        let mut topics = self.topics();
        topics.entry(topic.to_owned()).or_insert_with(nothing).push(Value { text, is_acked: false });
    }

    /// The last one of this topic.
    pub fn acked(&self, topic: &str) {
        if let Some(value) = self.topics().get_mut(topic).and_then(|values| values.last_mut()) {
            value.is_acked = true;
        }
    }

    /// As they are now: who asks from now on gets nothing older.
    pub fn floors(&self) -> Floors {
        let last_acked = |values: &Vec<Value>| values.iter().rposition(|value| value.is_acked).unwrap_or(0);
        self.topics().iter().map(|(topic, values)| (topic.clone(), last_acked(values))).collect()
    }

    /// What is wrong with an answer that was asked for at these floors.
    pub fn judge(&self, floors: &Floors, answer: &BTreeMap<String, String>) -> Vec<String> {
        let topics = self.topics();
        let wrong = floors.iter().filter_map(|(topic, floor)| {
            let right: Vec<_> = topics.get(topic)?.iter().skip(*floor).map(|value| value.text.as_ref()).collect();
            let is = answer.get(topic);
            (!right.contains(&is)).then(|| {
                format!(
                    "retained on {topic} is {is:?}: acknowledged was {:?}, and then came {:?}",
                    right[0],
                    &right[1..]
                )
            })
        });
        wrong.collect()
    }
}

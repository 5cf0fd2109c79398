//! All rules of a gateway: from them to what one client may do.

use std::sync::Arc;

use super::acl_file::AclFile;
use super::decision::Ground;
use super::granted::{Granted, Odd};
use super::identity::Identity;
use super::layer::{Grant, Layer};
use super::rule::Rule;

/// What `[access]` says, and the files that it names.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// In the order of the file.
    pub rules: Vec<Rule>,
    pub acl: Option<AclFile>,
}

// === impl Rules ===

impl Rules {
    /// Without any, whether a listener is open depends on where it is.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.acl.is_none()
    }

    /// Whether they say the same, wherever their lines stand: for who compares two configurations.
    pub fn are_like(&self, other: &Self) -> bool {
        let acls_are_like = match (&self.acl, &other.acl) {
            (Some(one), Some(other)) => one.is_like(other),
            (None, None) => true,
            _ => false,
        };
        let pairs = || self.rules.iter().zip(&other.rules);
        acls_are_like && self.rules.len() == other.rules.len() && pairs().all(|(one, other)| one.is_like(other))
    }

    /// What this client may do.
    pub fn of(&self, identity: &Identity) -> Granted {
        if let Some(rule) = self.rules.iter().find(|rule| rule.who.fits(identity)) {
            let (layers, otherwise) = (vec![rule.layer.clone()], Ground::NotNamed(rule.place.clone()));
            return Granted {
                names: identity.names(),
                layers,
                odd: Vec::new(),
                otherwise,
                is_open: false,
                hides_sys: false,
            };
        }
        match &self.acl {
            Some(acl) => by_acl(acl, identity),
            None => Granted::nothing(Ground::Nobody),
        }
    }
}

/// The lines of the user, then the patterns; in both those that deny come first.
fn by_acl(acl: &AclFile, identity: &Identity) -> Granted {
    let mut layers: Vec<Arc<Layer>> = acl.of(identity.user.as_deref()).into_iter().cloned().collect();
    let (mut odd, mut otherwise) = (Vec::new(), Ground::Nobody);
    if !acl.patterns().entries().is_empty() {
        if identity.has_wildcards() {
            otherwise = Ground::Name;
        } else {
            odd = odd_denials(acl.patterns(), layers.len(), identity);
            layers.push(acl.patterns().clone());
        }
    }
    Granted { names: identity.names(), layers, odd, otherwise, is_open: false, hides_sys: false }
}

/// Lines that deny by a name which is not one level of a topic. They hold for what the name says as it stands.
fn odd_denials(patterns: &Layer, layer: usize, identity: &Identity) -> Vec<Odd> {
    let names = identity.names();
    let denials = patterns.entries().iter().enumerate().filter(|(_, entry)| entry.grant == Grant::Deny);
    let odd = denials.filter(|(_, entry)| !entry.pattern.is_for(&names));
    odd.filter_map(|(index, entry)| Some(Odd { layer, index, filter: entry.pattern.literally(identity)? })).collect()
}

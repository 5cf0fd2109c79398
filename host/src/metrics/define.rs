//! How a struct of metrics is written down: a field for each number, whose comment is also the help that is shown with it. Behind the
//! braces stands what it knows of that counts by itself.

use super::families::Kind;

/// One number and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// As it is shown: with the prefix of its struct, and `_total` when it is a counter.
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub value: u64,
}

macro_rules! suffix {
    (Counter) => {
        "_total"
    };
    (Gauge) => {
        ""
    };
}

macro_rules! metrics {
    ($(#[doc = $about:literal])+ $name:ident, $prefix:literal {
        $($(#[doc = $help:literal])+ $field:ident: $kind:ident,)+
    }
    $($(#[doc = $of:literal])+ $parts:ident: $part:ty,)*) => {
        $(#[doc = $about])+
        #[derive(Debug, Default)]
        pub struct $name {
            $($(#[doc = $help])+ pub $field: $crate::metrics::$kind,)+
            $($(#[doc = $of])+ pub $parts: $part,)*
        }

        impl $name {
            /// In the order of the fields.
            pub fn read(&self) -> Vec<$crate::metrics::Reading> {
                use $crate::metrics::{Kind, Reading, define::suffix};
                vec![$(Reading {
                    name: concat!($prefix, "_", stringify!($field), suffix!($kind)),
                    help: concat!($($help),+).trim_ascii(),
                    kind: Kind::$kind,
                    value: self.$field.get(),
                }),+]
            }
        }
    };
}

pub(super) use {metrics, suffix};

//! A door that others may come to: nobody takes more of it than there is for one.

mod addresses;
mod flood;
mod sys_topics;

//! What an upstream sends: to devices that are there, to those that come later, through plugins, to other upstreams; at each QoS, and whatever ends
//! on the way.

mod kills;
mod loops;
mod mosquitto;
mod sessions;

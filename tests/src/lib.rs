//! The gateway seen from outside: the real binary, a real mosquitto, and devices that are real programs or scripted bytes.
//!
//! | need | file |
//! |---|---|
//! | the binary and the plugins, built once | [`binary`] |
//! | a gateway on a port of its own | [`gateway`] |
//! | the same on the other engine | [`backend`] |
//! | an upstream | [`mosquitto`], or one that a test has in its hand: [`upstream`] |
//! | a network that fails | [`chaos`] |
//! | a device that behaves | [`device`], a real `mosquitto_pub` |
//! | a device that does exactly what the test says | [`raw`], with packets from [`wire`] |
//! | the same in frames | [`websocket`] |
//! | the same as bytes | [`framed`] |
//! | certificates, and devices that speak TLS | [`tls`] |
//! | one device over each transport | [`doors`] |
//! | a stream of messages and the acks they got | [`driver`] |
//! | an upstream that sends, and keeps its session | [`commander`] |
//! | devices that keep their sessions and never give up | [`stubborn`], many of them a [`fleet`] |
//! | who listens | [`sink`], a real `mosquitto_sub` |
//! | a gateway that is killed and must go on as if nothing had been | [`trial`] |
//! | was anything lost | [`oracle`] |
//! | systemd, as a gateway sees it | [`supervisor`] |
//! | a wall clock that is set | [`fake_clock`] |
//! | a disk that fills up, or whose power is cut | [`mounted`] |
//! | who watches over HTTP, and the equation in what is seen | [`http`], [`scrape`] |
//! | certificates, keys and the mistakes in them | [`openssl`] |
//! | waiting | [`eventually`](eventually::eventually): for conditions, never for durations |
//!
//! A test that fails prints the configuration and the log of every process it had started.

pub mod backend;
pub mod binary;
pub mod chaos;
pub mod commander;
pub mod counters;
pub mod device;
pub mod doors;
pub mod driver;
pub mod eventually;
pub mod fake_clock;
pub mod fleet;
pub mod framed;
pub mod gateway;
pub mod http;
pub mod machine;
pub mod moments;
pub mod mosquitto;
pub mod mounted;
pub mod openssl;
pub mod oracle;
pub mod page;
pub mod ports;
pub mod process;
pub mod raw;
pub mod scrape;
pub mod sink;
pub mod stubborn;
pub mod supervisor;
pub mod tls;
pub mod trial;
pub mod upstream;
pub mod websocket;
pub mod wire;

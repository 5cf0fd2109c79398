//! A tap over the socket: lines until one of the two has had enough.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::sleep;

use super::request::Response;
use super::server::{respond, say};
use crate::base::clock;
use crate::tap::{Line, Step, Taps, Wanted};

/// Ends with the connection, however that comes: the tap is open no longer than somebody listens.
pub async fn stream(
    read: &mut (impl AsyncRead + Unpin),
    write: &mut (impl AsyncWrite + Unpin),
    taps: &Arc<Taps>,
    wanted: Wanted,
) -> io::Result<()> {
    let mut watching = match taps.open(wanted) {
        Ok(watching) => watching,
        Err(why) => return say(write, &Response::Error(why)).await,
    };
    let mut end = std::pin::pin!(sleep(Duration::from_secs(watching.seconds())));
    // Whoever asks knows from here on that nothing is missed.
    say(write, &Response::Ok(serde_json::Value::Null)).await?;
    loop {
        tokio::select! {
            line = watching.next() => say(write, &respond(&line)).await?,
            // There is nothing more to say: who says something, or leaves, has had enough.
            _ = read.read_u8() => return Ok(()),
            () = &mut end => return say(write, &respond(&over())).await,
        }
    }
}

fn over() -> Line {
    Line { message: 0, at_ms: clock::unix_ms(), after_us: 0, step: Step::Over }
}

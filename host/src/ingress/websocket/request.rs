//! The request of a client that wants a WebSocket, and the answer. Pure.

use tungstenite::error::{Error, ProtocolError};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{self, Request, Response};
use tungstenite::http::HeaderValue;

use super::origin;
use super::upgrade::Refused;
use crate::base::excerpt::Excerpt;
use crate::config::is_origin;

/// What the specification demands, and the answer with it [MQTT-6.0.0-3], [MQTT-6.0.0-4]; and what clients before it say.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

const PURPOSE: &str = "This port is for MQTT over WebSocket, with the subprotocol `mqtt`. There is no page here: \
    give its address to an MQTT client, as ws://HOST:PORT/mqtt, or as wss:// where it has TLS.\n";

/// The answer to a request that begins `bytes`, and how many of these it takes. `None`: more is needed.
pub fn answer(bytes: &[u8], origins: &[String]) -> Result<Option<(usize, Vec<u8>)>, Refused> {
    let Some((length, request)) = Request::try_parse(bytes).map_err(|error| no_upgrade(&error))? else {
        return Ok(None);
    };
    let mut response = server::create_response(&request).map_err(|error| no_upgrade(&error))?;
    check_origin(&request, origins)?;
    let Some(subprotocol) = subprotocol(&request) else {
        let detail = "a WebSocket without the subprotocol `mqtt`: name it in the client (`protocols: ['mqtt']`)";
        return Err(Refused::new("400 Bad Request", "", PURPOSE, detail));
    };
    response.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(subprotocol));
    Ok(Some((length, written(&response)?)))
}

fn no_upgrade(error: &Error) -> Refused {
    let Error::Protocol(error) = error else {
        return Refused::new("400 Bad Request", "", PURPOSE, "a request that is not HTTP/1.1");
    };
    let (status, headers, detail) = match error {
        ProtocolError::WrongHttpMethod => {
            ("405 Method Not Allowed", "Allow: GET\r\n", "an HTTP request other than GET")
        }
        ProtocolError::MissingConnectionUpgradeHeader | ProtocolError::MissingUpgradeWebSocketHeader => {
            ("426 Upgrade Required", "Upgrade: websocket\r\n", "an HTTP request that asks for no WebSocket")
        }
        ProtocolError::MissingSecWebSocketVersionHeader => {
            let headers = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
            ("426 Upgrade Required", headers, "a WebSocket of another version than 13")
        }
        ProtocolError::WrongHttpVersion => ("426 Upgrade Required", "Upgrade: websocket\r\n", "HTTP before 1.1"),
        ProtocolError::HttparseError(_) => ("400 Bad Request", "", "a request that is not HTTP/1.1"),
        _ => ("400 Bad Request", "", "a request for a WebSocket without a valid Sec-WebSocket-Key"),
    };
    Refused::new(status, headers, PURPOSE, detail)
}

fn check_origin(request: &Request, origins: &[String]) -> Result<(), Refused> {
    let host = request.headers().get("Host").and_then(|host| host.to_str().ok());
    for origin in request.headers().get_all("Origin") {
        let text = String::from_utf8_lossy(origin.as_bytes());
        if !origin::is_allowed(&text, host, origins) {
            return Err(foreign_page(&text));
        }
    }
    Ok(())
}

fn foreign_page(text: &str) -> Refused {
    let origin = Excerpt(text);
    let (body, detail) = if is_origin(text) {
        (
            "Pages of this origin may not connect: add it to `origins` of the listener.\n",
            format!(
                "a page of {origin}, which is not among `origins` of this listener: `origins = [\"{origin}\"]` lets it in"
            ),
        )
    } else {
        (
            "Pages without an origin of their own may not connect: serve this one over HTTP.\n",
            format!(
                "a page without an origin of its own ({origin}), as a file or a frame in a sandbox has it and any page can: serve it over HTTP and list that, or let in every page by `origins = [\"*\"]`"
            ),
        )
    };
    Refused::new("403 Forbidden", "", body, detail)
}

/// The first of ours that the client knows.
fn subprotocol(request: &Request) -> Option<&'static str> {
    let offered = request.headers().get_all("Sec-WebSocket-Protocol");
    let offered: Vec<&str> =
        offered.iter().filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim).collect();
    SUBPROTOCOLS.into_iter().find(|ours| offered.contains(ours))
}

fn written(response: &Response) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    // A vector takes everything, and all of its headers are ours.
    server::write_response(&mut bytes, response)
        .map_err(|_| Refused::new("500 Internal Server Error", "", PURPOSE, "an answer that cannot be written"))?;
    Ok(bytes)
}

//! `transport` and `origins` of a listener.

use super::spool::one_of;
use crate::config::checked::Transport;
use crate::config::problem::Problem;
use crate::config::raw::{Placed, Table};

/// In the place of all origins.
const ANY: &str = "*";

pub fn check(table: &Table<'_>) -> Transport {
    let transport = one_of(table, "transport", &[("tcp", false), ("websocket", true)]);
    let place = table.value("origins").map(|(_, span)| span);
    let typed = table.texts("origins").unwrap_or_default();
    if transport == Some(true) {
        let origins = typed.iter().filter_map(|typed| origin(table, typed)).collect();
        return Transport::WebSocket { origins };
    }
    if let Some(span) = place {
        let sentence = "`origins` has no effect without `transport = \"websocket\"`: no page of a browser speaks TCP";
        table.add(Problem::error(span, sentence).advice("add `transport = \"websocket\"`, or remove this key"));
    }
    Transport::Tcp
}

/// Of a page in particular: `null`, and what has no host, any page can have.
pub fn is_origin(text: &str) -> bool {
    let Some((scheme, authority)) = text.split_once("://") else { return false };
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|one| one.is_ascii_graphic() && !"/?#@*\"\\".contains(one));
    is_name(scheme) && is_name(authority)
}

/// As a browser writes it (RFC 6454, section 6.2): in lower case, without the port that the scheme has by itself.
fn origin(table: &Table<'_>, typed: &Placed<&str>) -> Option<String> {
    let text = typed.get_ref().to_ascii_lowercase();
    if text == ANY {
        return Some(text);
    }
    if let (true, Some((scheme, _))) = (is_origin(&text), text.split_once("://")) {
        let standard = if scheme == "https" { ":443" } else { ":80" };
        return Some(text.strip_suffix(standard).unwrap_or(&text).to_owned());
    }
    let sentence = format!("\"{}\" is not an origin", typed.get_ref());
    let advice = match text.as_str() {
        "null" | "file://" => {
            "any page can have that, from a file or in a frame with a sandbox: serve the page over HTTP and name that, or let in every page: \"*\""
        }
        _ => {
            "write scheme, host and port as a browser does, without a path: \"https://panel.example\" or \"http://10.0.0.7:3000\"; \"*\" lets in every page"
        }
    };
    table.add(Problem::error(typed.span(), sentence).advice(advice));
    None
}

//! Which question gets which answer.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};

use super::state::State;
use super::text::Format;

pub type Answer = Response<Full<Bytes>>;

const TEXT: &str = "text/plain; charset=utf-8";
const HELP: &str = "tidegate\n\n/metrics  numbers, for Prometheus\n/healthz  whether it lives\n/readyz   whether it does all of its work\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// Has the token, or needs none.
    Trusted,
    Unknown,
    /// Has a wrong one.
    Wrong,
}

/// The body of a request, if there is one, is not read.
pub async fn answer<B>(request: &Request<B>, state: Arc<State>) -> Answer {
    let answer = match *request.method() {
        Method::GET | Method::HEAD => route(request.uri().path(), request.headers(), state).await,
        _ => {
            let answer = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD".to_owned());
            with(answer, ALLOW, HeaderValue::from_static("GET, HEAD"))
        }
    };
    let answer = with(answer, CACHE_CONTROL, HeaderValue::from_static("no-store"));
    with(answer, X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

async fn route(path: &str, headers: &HeaderMap, state: Arc<State>) -> Answer {
    let asker = asker(headers, &state);
    match (asker, path) {
        (Asker::Wrong, _) => {
            state.tokens_refused.increment();
            unauthorized("this is not the token of `operate.http_token_file`")
        }
        // Probes of a supervisor or a load balancer have no token: they hear yes or no, and nothing of the plant.
        (_, "/healthz") => health("alive", "not alive", state.dead().await, asker),
        (_, "/readyz") => health("ready", "not ready", state.missing(), asker),
        (Asker::Unknown, _) => {
            unauthorized("the token of `operate.http_token_file` is needed: `Authorization: Bearer TOKEN`")
        }
        (Asker::Trusted, "/metrics") => metrics(headers, state).await,
        (Asker::Trusted, "/") => plain(StatusCode::OK, HELP.to_owned()),
        (Asker::Trusted, _) => plain(StatusCode::NOT_FOUND, format!("nothing is here\n\n{HELP}")),
    }
}

fn asker(headers: &HeaderMap, state: &State) -> Asker {
    let mut said = headers.get_all(AUTHORIZATION).iter();
    match (said.next(), said.next()) {
        (Some(one), None) => match state.admits(one.as_bytes()) {
            Some(false) => Asker::Wrong,
            Some(true) | None => Asker::Trusted,
        },
        (None, _) if state.admits(&[]).is_some() => Asker::Unknown,
        (None, _) => Asker::Trusted,
        // Two of them, of which a proxy may have looked at the other.
        (Some(_), Some(_)) => Asker::Wrong,
    }
}

fn health(good: &str, bad: &str, complaints: Vec<String>, asker: Asker) -> Answer {
    if complaints.is_empty() {
        return plain(StatusCode::OK, format!("{good}\n"));
    }
    let told = if asker == Asker::Trusted { complaints } else { Vec::new() };
    let lines: String = told.iter().map(|line| format!("{line}\n")).collect();
    plain(StatusCode::SERVICE_UNAVAILABLE, format!("{bad}\n{lines}"))
}

async fn metrics(headers: &HeaderMap, state: Arc<State>) -> Answer {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::asked_for(accept);
    match state.metrics(format).await {
        Some(text) => {
            let answer = plain(StatusCode::OK, text);
            with(answer, CONTENT_TYPE, HeaderValue::from_static(format.content_type()))
        }
        None => {
            let text = "no metrics: the gateway starts, or others ask for them already; see /readyz\n";
            plain(StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
        }
    }
}

fn unauthorized(text: &str) -> Answer {
    let answer = plain(StatusCode::UNAUTHORIZED, format!("{text}\n"));
    with(answer, WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tidegate\""))
}

fn plain(status: StatusCode, text: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    with(answer, CONTENT_TYPE, HeaderValue::from_static(TEXT))
}

fn with(mut answer: Answer, name: HeaderName, value: HeaderValue) -> Answer {
    answer.headers_mut().insert(name, value);
    answer
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::operate::http::{Stage, Token};

    async fn ask(state: &Arc<State>, method: &str, path: &str, authorization: &[&str]) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for value in authorization {
            request = request.header(AUTHORIZATION, *value);
        }
        answer(&request.body(()).unwrap(), state.clone()).await
    }

    fn guarded() -> Arc<State> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef0123456789abcdef\n").unwrap();
        State::new(Some(Token::read(file.path()).unwrap()))
    }

    const RIGHT: &str = "Bearer 0123456789abcdef0123456789abcdef";

    #[tokio::test]
    async fn without_the_token_there_is_a_yes_or_no_and_nothing_else() {
        let state = guarded();
        for (path, authorization, status) in [
            ("/healthz", &[][..], 200),
            ("/readyz", &[], 503),
            ("/metrics", &[], 401),
            ("/nothing", &[], 401),
            ("/metrics", &["Bearer wrong"], 401),
            ("/healthz", &["Bearer wrong"], 401),
            ("/metrics", &[RIGHT, RIGHT], 401),
            ("/metrics", &[RIGHT], 503),
            ("/nothing", &[RIGHT], 404),
        ] {
            let answer = ask(&state, "GET", path, authorization).await;
            assert_eq!(answer.status(), status, "{path} {authorization:?}");
            assert_eq!(answer.headers().contains_key(WWW_AUTHENTICATE), status == 401);
        }
        assert_eq!(state.tokens_refused.get(), 3, "who says none is not counted: it may be a probe");
    }

    #[tokio::test]
    async fn only_questions_are_answered() {
        let state = State::new(None);
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"] {
            let answer = ask(&state, method, "/metrics", &[]).await;
            assert_eq!((answer.status().as_u16(), answer.headers()[ALLOW].to_str().unwrap()), (405, "GET, HEAD"));
        }
        for (path, status) in
            [("/", 200), ("/metrics/", 404), ("/Metrics", 404), ("/metrics?x=1", 503), ("/healthz", 200)]
        {
            assert_eq!(ask(&state, "GET", path, &[]).await.status(), status, "{path}");
        }
        // Of an upstream that has the gateway's credentials for something else: there is no token to compare with.
        assert_eq!(ask(&state, "GET", "/healthz", &["Basic eDp5"]).await.status(), 200);
    }

    #[tokio::test]
    async fn a_gateway_that_starts_or_stops_is_alive_and_not_ready() {
        let state = State::new(None);
        for stage in [Stage::Starting("the spool is being read"), Stage::Stopping] {
            state.enter(stage);
            assert_eq!(ask(&state, "GET", "/readyz", &[]).await.status(), 503);
            assert_eq!(ask(&state, "GET", "/healthz", &[]).await.status(), 200);
        }
    }
}

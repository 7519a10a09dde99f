//! Requests worked on beside the thread that carries pictures. Connections, sockets and pictures live on one thread,
//! where waking for one picture costs least and nothing long may run; what answers people's requests, and what
//! compresses and makes the answers' bodies, runs on the other threads. It looks into no request and no answer.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use http::{StatusCode, header};
use tokio::{runtime::Handle, sync::mpsc};
use tokio_util::task::AbortOnDropHandle;

use super::problem::Problem;
use crate::live;

/// Pieces of a body that are ready before the connection takes them.
const READY: usize = 2;

/// `router` with its requests answered on `work`.
pub(super) fn beside(router: Router, work: Handle) -> Router {
    router.layer(middleware::from_fn_with_state(work, answer))
}

async fn answer(State(work): State<Handle>, request: Request, next: Next) -> Response {
    // A socket lives where it is opened.
    if request.uri().path() == live::WALL {
        return next.run(request).await;
    }
    match AbortOnDropHandle::new(work.spawn(next.run(request))).await {
        Ok(response) => with_body_of(&work, response),
        Err(error) => {
            tracing::error!(%error, "a request's work failed");
            let detail = "this request failed at the centre; the log says more";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

/// A piece of a body, or its end.
enum Piece {
    More(Result<Bytes, axum::Error>),
    End,
}

/// `response`; where its body is compressed on its way, that is done on `work`.
fn with_body_of(work: &Handle, response: Response) -> Response {
    if !response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let (pieces, ready) = mpsc::channel(READY);
    let making = AbortOnDropHandle::new(work.spawn(async move {
        let mut body = body.into_data_stream();
        while let Some(piece) = body.next().await {
            if pieces.send(Piece::More(piece)).await.is_err() {
                return;
            }
        }
        // Nobody waits for the end of a body that is not wanted any more.
        let _ = pieces.send(Piece::End).await;
    }));
    let made = stream::unfold(Some((ready, making)), async |state| {
        let (mut ready, making) = state?;
        match ready.recv().await {
            Some(Piece::More(piece)) => Some((piece, Some((ready, making)))),
            Some(Piece::End) => None,
            // Cut short is never to look whole.
            None => Some((Err(axum::Error::new("the answer was cut short")), None)),
        }
    });
    Response::from_parts(parts, Body::from_stream(made))
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc as blocking, thread};

    use axum::routing::get;
    use tower::ServiceExt;
    use tower_http::compression::CompressionLayer;

    use super::*;

    #[test]
    fn a_request_is_worked_on_elsewhere_and_answered_whole() {
        let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (tell, told) = blocking::channel();
        let words = "一句话".repeat(5000);
        let handler = {
            let words = words.clone();
            async move || {
                tell.send(thread::current().id()).unwrap();
                words
            }
        };
        let router = Router::new().route("/long", get(handler)).layer(CompressionLayer::new());
        let router = beside(router, work.handle().clone());
        let asked =
            Request::get("/long").header(header::ACCEPT_ENCODING, "gzip").body(Body::empty()).unwrap();
        let packed = here.block_on(async {
            let response = router.oneshot(asked).await.unwrap();
            assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
            axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap()
        });
        assert_ne!(told.recv().unwrap(), thread::current().id());
        assert!(!packed.is_empty() && packed.len() < words.len() / 10);
    }

    #[test]
    fn what_fails_is_a_problem_and_nothing_else_fails_with_it() {
        let work = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let here = tokio::runtime::Builder::new_current_thread().build().unwrap();
        async fn broken() -> &'static str {
            panic!("broken on purpose")
        }
        let router = Router::new().route("/broken", get(broken)).route("/sound", get(async || "sound"));
        let router = beside(router, work.handle().clone());
        let ask = |path: &str| {
            let asked = Request::get(path).body(Body::empty()).unwrap();
            here.block_on(router.clone().oneshot(asked)).unwrap().status()
        };
        assert_eq!(ask("/broken"), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(ask("/sound"), StatusCode::OK);
    }
}

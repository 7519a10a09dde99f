//! What the hall's call-out screen is told: which number goes to which window, from the journal, so that nothing is called
//! that is not on record. It owns the last calls and the open screens; it says nothing of a case, a person or a business.

use std::{
    collections::{HashMap, VecDeque},
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event as Message, KeepAlive, Sse},
    },
    routing::get,
};
use control_protocol::{Event, Happening, UtcMillis, WindowId};
use futures_util::stream::{self, StreamExt};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, journal::Journal};

/// Calls that a screen is told of when it opens.
const RECENT: usize = 8;
/// How far back those may lie.
const RECENT_MS: i64 = 8 * 3_600_000;
/// How far back the journal is read at each change: a reading may arrive a little late.
const LOOK_BACK_MS: i64 = 120_000;
/// An older call is listed and no longer spoken: whoever was meant has gone there or has gone.
const FRESH_MS: i64 = 60_000;
/// Calls that wait for a slow screen; what it misses stands in the next one's list.
const QUEUE: usize = 64;
/// Screens at one time.
const SCREENS: usize = 32;
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// One call, as the screen is told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The same for the same call, however often it is told.
    id: String,
    /// The ticket's number.
    number: String,
    /// The window's number.
    window: u16,
    /// What people call the window.
    window_name: String,
    /// `call` or `recall`.
    kind: &'static str,
    /// When it was called, UTC.
    at: UtcMillis,
}

#[derive(Debug, Default)]
struct Told {
    recent: VecDeque<Arc<Call>>,
}

/// The handle; cheap to clone.
#[derive(Clone)]
pub struct Callout {
    journal: Journal,
    clock: Arc<dyn Clock>,
    windows: Arc<HashMap<WindowId, (u16, String)>>,
    told: Arc<Mutex<Told>>,
    calls: broadcast::Sender<Arc<Call>>,
    screens: Arc<Semaphore>,
    cancel: CancellationToken,
}

impl Callout {
    /// The calls of this journal. `windows` gives each window's number and name; `cancel` ends it and every open screen.
    pub fn new(
        journal: Journal,
        clock: Arc<dyn Clock>,
        windows: HashMap<WindowId, (u16, String)>,
        cancel: CancellationToken,
    ) -> Self {
        Self {
            journal,
            clock,
            windows: Arc::new(windows),
            told: Arc::default(),
            calls: broadcast::channel(QUEUE).0,
            screens: Arc::new(Semaphore::new(SCREENS)),
            cancel,
        }
    }

    /// Follows the journal until it is cancelled or the journal ends.
    pub async fn run(self) {
        let mut bell = self.journal.status();
        let mut look_back = RECENT_MS;
        let mut last = None;
        loop {
            let end = bell.borrow_and_update().last;
            if last != Some(end) {
                last = Some(end);
                match self.journal.session_events(self.clock.now_utc().plus(-look_back)).await {
                    Ok(events) => {
                        for stored in &events {
                            self.take(&stored.event);
                        }
                        look_back = LOOK_BACK_MS;
                    }
                    Err(e) => tracing::warn!("the call-out screen missed what the journal just took: {e}"),
                }
            }
            tokio::select! {
                () = self.cancel.cancelled() => return,
                changed = bell.changed() => if changed.is_err() { return },
            }
        }
    }

    fn take(&self, event: &Event) {
        let (number, kind) = match &event.happening {
            Happening::TicketCalled { ticket, .. } => (ticket, "call"),
            Happening::TicketRecalled { ticket, .. } | Happening::TicketResumed { ticket } => {
                (ticket, "recall")
            }
            _ => return,
        };
        let Some((window, window_name)) = event.window.as_ref().and_then(|w| self.windows.get(w)) else {
            return;
        };
        let call = Arc::new(Call {
            // Not the number in the journal: a new epoch writes the same event again.
            id: format!("{}-{window}-{number}", event.at.0),
            number: number.clone(),
            window: *window,
            window_name: window_name.clone(),
            kind,
            at: event.at,
        });
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told
                .recent
                .iter()
                .any(|known| known.id == call.id || (known.at > call.at && told.recent.len() >= RECENT))
            {
                return;
            }
            told.recent.push_back(call.clone());
            while told.recent.len() > RECENT {
                told.recent.pop_front();
            }
        }
        if self.clock.now_utc().0 - call.at.0 <= FRESH_MS {
            // With no screen open there is nobody to tell.
            let _ = self.calls.send(call);
        }
    }

    /// `GET /api/v1/callout`: needs no session, since it says what the hall shows on its wall.
    pub fn routes(&self) -> Router {
        Router::new().route("/api/v1/callout", get(screen)).with_state(self.clone())
    }
}

fn message(name: &str, data: &impl Serialize) -> Option<Result<Message, Infallible>> {
    Message::default().event(name).json_data(data).ok().map(Ok)
}

async fn screen(State(callout): State<Callout>) -> Response {
    let Ok(place) = callout.screens.clone().try_acquire_owned() else {
        let words = "too many call-out screens are open: close one\n";
        return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    };
    // First the bell, then the list: a call between the two is told twice with one id, never not at all.
    let calls = callout.calls.subscribe();
    let recent: Vec<Call> = {
        let told = callout.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.recent.iter().map(|call| Call::clone(call)).collect()
    };
    let ended = callout.cancel.clone().cancelled_owned();
    let first = stream::iter(message("recent", &serde_json::json!({ "calls": recent })));
    let next = |state: (broadcast::Receiver<Arc<Call>>, OwnedSemaphorePermit)| async move {
        let (mut calls, place) = state;
        let call = loop {
            match calls.recv().await {
                Ok(call) => break call,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        };
        Some((call, (calls, place)))
    };
    let later =
        stream::unfold((calls, place), next).filter_map(|call| async move { message("call", &*call) });
    Sse::new(first.chain(later).take_until(ended))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use control_protocol::event::ClockQuality;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::{
        clock::SystemClock,
        journal::{Entry, JournalThread},
    };

    fn open(data: &Path) -> (Journal, Arc<SystemClock>, JournalThread) {
        let clock = SystemClock::start();
        let (node, hall) = ("hall-450103-01".parse().unwrap(), "450103-01".parse().unwrap());
        let (journal, _, thread) = Journal::open(data, node, hall, clock.clone()).unwrap();
        (journal, clock, thread)
    }

    fn entry(at: UtcMillis, window: &str, happening: Happening) -> Entry {
        Entry {
            at,
            mono_us: 1,
            boot: "b".into(),
            clock: ClockQuality::Synchronised,
            window: Some(window.parse().unwrap()),
            device: None,
            case: None,
            happening,
            once: None,
        }
    }

    fn called(ticket: &str) -> Happening {
        Happening::TicketCalled { ticket: ticket.into(), business: "社保".into(), by_number: false }
    }

    /// The screen's next message, without keep-alives.
    async fn next(body: &mut axum::body::Body) -> String {
        loop {
            let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
            let text = String::from_utf8(frame.to_vec()).unwrap();
            if !text.starts_with(':') {
                return text;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_screen_is_told_what_is_on_record_and_nothing_else() {
        let data = tempfile::tempdir().unwrap();
        let (journal, clock, thread) = open(data.path());
        let windows = HashMap::from([("450103-01-W07".parse().unwrap(), (7, "7号窗口".to_owned()))]);
        let now = clock.now_utc();
        let old = entry(now.plus(-3_600_000), "450103-01-W07", called("A001"));
        journal.append(vec![old]).await.unwrap();
        let cancel = CancellationToken::new();
        let callout = Callout::new(journal.clone(), clock, windows, cancel.clone());
        let following = tokio::spawn(callout.clone().run());
        while callout.told.lock().unwrap().recent.is_empty() {
            tokio::task::yield_now().await;
        }
        let ask = axum::http::Request::get("/api/v1/callout").body(axum::body::Body::empty()).unwrap();
        let answer = callout.routes().oneshot(ask).await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut body = answer.into_body();
        let first = next(&mut body).await;
        assert!(first.starts_with("event: recent\n") && first.contains("\"number\":\"A001\""), "{first}");
        assert!(first.contains("\"window_name\":\"7号窗口\"") && !first.contains("社保"), "{first}");

        journal
            .append(vec![
                entry(now, "450103-01-W08", called("A002")),
                entry(now.plus(-3_600_000), "450103-01-W07", called("A003")),
                entry(now, "450103-01-W07", Happening::ServiceStarted { ticket: "A001".into() }),
                entry(now, "450103-01-W07", called("A004")),
                entry(
                    now.plus(1),
                    "450103-01-W07",
                    Happening::TicketRecalled { ticket: "A004".into(), count: 1 },
                ),
            ])
            .await
            .unwrap();
        // An unknown window, a stale call and another event are passed over.
        let call = next(&mut body).await;
        assert!(call.starts_with("event: call\n") && call.contains("\"number\":\"A004\""), "{call}");
        let again = next(&mut body).await;
        assert!(again.contains("\"kind\":\"recall\""), "{again}");

        cancel.cancel();
        assert!(body.frame().await.is_none(), "an open screen ends with the agent");
        following.await.unwrap();
        drop((body, callout, journal));
        tokio::task::spawn_blocking(move || thread.join()).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn screens_are_bounded_and_a_closed_one_makes_room() {
        let data = tempfile::tempdir().unwrap();
        let (journal, clock, _thread) = open(data.path());
        let callout = Callout::new(journal, clock, HashMap::new(), CancellationToken::new());
        let ask = || axum::http::Request::get("/api/v1/callout").body(axum::body::Body::empty()).unwrap();
        let mut open = Vec::new();
        for _ in 0..SCREENS {
            let answer = callout.routes().oneshot(ask()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            open.push(answer);
        }
        assert_eq!(callout.routes().oneshot(ask()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
        open.pop();
        assert_eq!(callout.routes().oneshot(ask()).await.unwrap().status(), StatusCode::OK);
    }
}

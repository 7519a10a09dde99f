//! How events move tickets and windows. An event sets a state only if nothing newer has set it already.

use control_protocol::{CaseId, Event, HallId, Happening, StoredEvent, UtcMillis, WindowId};

use super::WindowState;
use crate::{
    params,
    store::{Change, Sql, StoreError},
};

/// Takes what concerns the queue from an event.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, changes: &mut Vec<Change>) -> Result<(), StoreError> {
    let event = &stored.event;
    if let Happening::NodeClockStepped { step_ms } = event.happening
        && step_ms < 0
    {
        // The clock went back: what comes now is newer, whatever its time says.
        sql.execute(
            "UPDATE window_states SET at = $2 WHERE hall = $1 AND at > $2",
            params![event.hall, event.at],
        )?;
    }
    if let Some(case) = &event.case
        && ticket(sql, event, case)?
    {
        changes.push(Change::Hall(event.hall.clone()));
    }
    if let Some(window) = &event.window
        && window_state(sql, event, window)?
    {
        changes.push(Change::Window(window.clone()));
    }
    Ok(())
}

/// What a ticket's row takes from one event.
struct TicketStep<'a> {
    number: &'a str,
    business: Option<&'a str>,
    priority: u8,
    state: &'static str,
    win: Option<&'a WindowId>,
    issued_at: Option<UtcMillis>,
    called_at: Option<UtcMillis>,
    started_at: Option<UtcMillis>,
    ended_at: Option<UtcMillis>,
    recalls: u32,
}

/// Moves the case's ticket; whether anything changed.
fn ticket(sql: &mut dyn Sql, event: &Event, case: &CaseId) -> Result<bool, StoreError> {
    let at = Some(event.at);
    let win = event.window.as_ref();
    let step = |number, state| TicketStep {
        number,
        business: None,
        priority: 0,
        state,
        win,
        issued_at: None,
        called_at: None,
        started_at: None,
        ended_at: None,
        recalls: 0,
    };
    let step = match &event.happening {
        Happening::TicketIssued { ticket, business, priority, .. } => TicketStep {
            business: Some(business),
            priority: *priority,
            issued_at: at,
            win: None,
            ..step(ticket, "waiting")
        },
        Happening::TicketCalled { ticket, business, .. } => {
            TicketStep { business: Some(business), called_at: at, ..step(ticket, "called") }
        }
        Happening::TicketRecalled { ticket, count } => {
            TicketStep { recalls: *count, ..step(ticket, "called") }
        }
        Happening::TicketNoShow { ticket } => TicketStep { ended_at: at, ..step(ticket, "no_show") },
        Happening::TicketTransferred { ticket, to_window } => {
            TicketStep { win: Some(to_window), ..step(ticket, "waiting") }
        }
        Happening::TicketHeld { ticket } => step(ticket, "held"),
        Happening::TicketResumed { ticket } => step(ticket, "called"),
        Happening::ServiceStarted { ticket } => TicketStep { started_at: at, ..step(ticket, "serving") },
        Happening::ServiceEnded { ticket, ended_by } => {
            use control_protocol::event::EndedBy;
            // A transfer or a hold ends the service at this window, not the ticket.
            match ended_by {
                EndedBy::Transfer | EndedBy::Held => return Ok(false),
                _ => TicketStep { ended_at: at, ..step(ticket, "done") },
            }
        }
        Happening::CaseClosed { ticket, .. } => step(ticket, "done"),
        _ => return Ok(false),
    };
    // A closed ticket stays closed; facts (times, business) are filled in whenever they come.
    let changed = sql.execute(
        "INSERT INTO tickets (case_id, hall, number, business, priority, state, win, issued_at, called_at, started_at, \
         ended_at, recalls, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         ON CONFLICT (case_id) DO UPDATE SET \
         business = COALESCE(tickets.business, excluded.business), \
         priority = CASE WHEN excluded.priority > tickets.priority THEN excluded.priority ELSE tickets.priority END, \
         issued_at = COALESCE(tickets.issued_at, excluded.issued_at), \
         called_at = COALESCE(tickets.called_at, excluded.called_at), \
         started_at = COALESCE(tickets.started_at, excluded.started_at), \
         ended_at = COALESCE(excluded.ended_at, tickets.ended_at), \
         recalls = CASE WHEN excluded.recalls > tickets.recalls THEN excluded.recalls ELSE tickets.recalls END, \
         state = CASE WHEN excluded.at < tickets.at OR tickets.state = 'no_show' THEN tickets.state ELSE excluded.state END, \
         win = CASE WHEN excluded.at < tickets.at THEN tickets.win ELSE COALESCE(excluded.win, tickets.win) END, \
         at = CASE WHEN excluded.at > tickets.at THEN excluded.at ELSE tickets.at END",
        params![
            case, event.hall, step.number, step.business, step.priority, step.state, step.win, step.issued_at,
            step.called_at, step.started_at, step.ended_at, step.recalls, event.at
        ],
    )?;
    Ok(changed > 0)
}

/// Moves the window; whether anything changed.
fn window_state(sql: &mut dyn Sql, event: &Event, window: &WindowId) -> Result<bool, StoreError> {
    use Happening as H;
    let row = Known::read(sql, window)?;
    if let H::RatingGiven { grade, .. } = &event.happening
        && row.rated_at.is_none_or(|at| at <= event.at)
    {
        let mut rated = row.clone();
        rated.write(sql, window, &event.hall, Some((grade.value(), event.at)))?;
    }
    if event.at < row.at {
        return Ok(matches!(event.happening, H::RatingGiven { .. }));
    }
    let mut now = row.clone();
    let case = event.case.as_ref().map(ToString::to_string);
    let ours = case.is_some() && now.case_id == case;
    match &event.happening {
        H::WindowOpened {} => now.go(WindowState::Idle).free(),
        H::ClerkSignedIn { clerk } => {
            now.clerk = Some(clerk.clone());
            if now.state == WindowState::Closed {
                now.go(WindowState::Idle);
            }
        }
        H::ClerkSignedOut { clerk } => {
            if now.clerk.as_ref() == Some(clerk) {
                now.clerk = None;
            }
        }
        H::WindowClosed {} => {
            now.clerk = None;
            now.pause_reason = None;
            now.go(WindowState::Closed).free();
        }
        H::WindowPaused { reason } => {
            if now.state != WindowState::Paused {
                now.before_pause = Some(now.state);
            }
            now.pause_reason = reason.clone();
            now.go(WindowState::Paused);
        }
        H::WindowResumed {} => {
            now.pause_reason = None;
            if now.state == WindowState::Paused {
                let before = now.before_pause.take().unwrap_or(WindowState::Idle);
                now.go(before);
            }
        }
        H::TicketCalled { ticket, .. } | H::TicketRecalled { ticket, .. } | H::TicketResumed { ticket } => {
            now.busy(ticket, case, WindowState::Called);
        }
        H::ServiceStarted { ticket } => {
            now.busy(ticket, case, WindowState::Serving);
        }
        H::RatingInvited { ticket, .. } => {
            now.busy(ticket, case, WindowState::Rating);
        }
        H::TicketNoShow { .. }
        | H::TicketTransferred { .. }
        | H::TicketHeld { .. }
        | H::CaseClosed { .. }
            if ours =>
        {
            now.leave();
        }
        H::RatingGiven { .. } | H::RatingTimedOut { .. } | H::ServiceEnded { .. } => {}
        _ => return Ok(false),
    }
    if now.state != row.state || now.case_id != row.case_id {
        now.since = event.at;
    }
    now.at = event.at;
    now.write(sql, window, &event.hall, None)?;
    Ok(true)
}

/// A window's row while an event is applied to it.
#[derive(Clone)]
struct Known {
    state: WindowState,
    before_pause: Option<WindowState>,
    ticket: Option<String>,
    case_id: Option<String>,
    clerk: Option<String>,
    pause_reason: Option<String>,
    since: UtcMillis,
    rated_at: Option<UtcMillis>,
    at: UtcMillis,
}

impl Known {
    fn read(sql: &mut dyn Sql, window: &WindowId) -> Result<Self, StoreError> {
        let row = sql.query_one(
            "SELECT state, before_pause, ticket, case_id, clerk, pause_reason, since, rated_at, at \
             FROM window_states WHERE win = $1",
            params![window],
        )?;
        let Some(row) = row else {
            return Ok(Self {
                state: WindowState::Closed,
                before_pause: None,
                ticket: None,
                case_id: None,
                clerk: None,
                pause_reason: None,
                since: UtcMillis(i64::MIN),
                rated_at: None,
                at: UtcMillis(i64::MIN),
            });
        };
        Ok(Self {
            state: row.get::<String>(0)?.parse()?,
            before_pause: row.get::<Option<String>>(1)?.map(|state| state.parse()).transpose()?,
            ticket: row.get(2)?,
            case_id: row.get(3)?,
            clerk: row.get(4)?,
            pause_reason: row.get(5)?,
            since: row.get(6)?,
            rated_at: row.get(7)?,
            at: row.get(8)?,
        })
    }

    fn go(&mut self, state: WindowState) -> &mut Self {
        if state != WindowState::Paused {
            self.before_pause = None;
        }
        self.state = state;
        self
    }

    fn free(&mut self) {
        self.ticket = None;
        self.case_id = None;
    }

    /// The window is about a case. A break lasts until it is ended; what goes on under it is seen after it.
    fn busy(&mut self, ticket: &str, case: Option<String>, state: WindowState) {
        self.ticket = Some(ticket.to_owned());
        self.case_id = case;
        if self.state == WindowState::Paused {
            self.before_pause = Some(state);
        } else {
            self.go(state);
        }
    }

    /// The case has left the window, which may be on a break or closed meanwhile.
    fn leave(&mut self) {
        match self.state {
            WindowState::Paused => self.before_pause = Some(WindowState::Idle),
            WindowState::Closed => {}
            _ => self.state = WindowState::Idle,
        }
        self.free();
    }

    fn write(
        &mut self,
        sql: &mut dyn Sql,
        window: &WindowId,
        hall: &HallId,
        rated: Option<(u8, UtcMillis)>,
    ) -> Result<(), StoreError> {
        // A row that only a rating has made has no time of its own yet.
        let at = if self.at.0 == i64::MIN { rated.map_or(self.at, |(_, at)| at) } else { self.at };
        let since = if self.since.0 == i64::MIN { at } else { self.since };
        sql.execute(
            "INSERT INTO window_states (win, hall, state, before_pause, ticket, case_id, clerk, pause_reason, since, \
             rated_grade, rated_at, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT (win) DO UPDATE SET state = $3, before_pause = $4, ticket = $5, case_id = $6, clerk = $7, \
             pause_reason = $8, since = $9, rated_grade = COALESCE($10, window_states.rated_grade), \
             rated_at = COALESCE($11, window_states.rated_at), at = $12",
            params![
                window,
                hall,
                self.state.code(),
                self.before_pause.map(WindowState::code),
                self.ticket,
                self.case_id,
                self.clerk,
                self.pause_reason,
                since,
                rated.map(|(grade, _)| grade),
                rated.map(|(_, at)| at),
                at
            ],
        )?;
        Ok(())
    }
}

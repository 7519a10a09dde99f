//! How events move a case. Facts (times, grade, official number) are filled in whenever they come; the state is set
//! only by what is newer, and `closed` is the end.

use control_protocol::{CaseId, Happening, StoredEvent, UtcMillis, WindowId, event::EndedBy, event::Grade};

use crate::{
    params, queue,
    store::{Change, Sql, StoreError},
};

#[derive(Default)]
struct Step<'a> {
    state: Option<&'static str>,
    ticket: &'a str,
    business: Option<&'a str>,
    win: Option<&'a WindowId>,
    clerk: Option<String>,
    grade: Option<Grade>,
    official_no: Option<&'a str>,
    called_at: Option<UtcMillis>,
    started_at: Option<UtcMillis>,
    ended_at: Option<UtcMillis>,
    closed: Option<(UtcMillis, EndedBy, bool)>,
}

/// Takes what concerns a case from an event.
pub fn project(sql: &mut dyn Sql, stored: &StoredEvent, changes: &mut Vec<Change>) -> Result<(), StoreError> {
    use Happening as H;
    let event = &stored.event;
    let Some(case) = &event.case else { return Ok(()) };
    let at = Some(event.at);
    let win = event.window.as_ref();
    let step = match &event.happening {
        H::TicketIssued { ticket, business, .. } | H::CaseOpened { ticket, business } => {
            Step { state: Some("waiting"), ticket, business: Some(business), ..Step::default() }
        }
        H::TicketCalled { ticket, business, .. } => Step {
            state: Some("called"),
            ticket,
            business: Some(business),
            win,
            clerk: win.map_or(Ok(None), |window| queue::clerk_at(sql, window))?,
            called_at: at,
            ..Step::default()
        },
        H::TicketRecalled { ticket, .. } | H::TicketResumed { ticket } => {
            Step { state: Some("called"), ticket, win, ..Step::default() }
        }
        H::TicketTransferred { ticket, to_window } => {
            Step { state: Some("waiting"), ticket, win: Some(to_window), ..Step::default() }
        }
        H::TicketHeld { ticket } => Step { state: Some("waiting"), ticket, win, ..Step::default() },
        H::ServiceStarted { ticket } => {
            Step { state: Some("serving"), ticket, win, started_at: at, ..Step::default() }
        }
        H::ServiceEnded { ticket, .. } => Step { ticket, win, ended_at: at, ..Step::default() },
        H::RatingGiven { ticket, grade, .. } => {
            Step { state: Some("rated"), ticket, win, grade: Some(*grade), ..Step::default() }
        }
        H::CaseClosed { ticket, ended_by, grade, accurate } => Step {
            state: Some("closed"),
            ticket,
            win,
            grade: *grade,
            closed: Some((event.at, *ended_by, *accurate)),
            ..Step::default()
        },
        H::CaseBound { official_no, .. } => Step { official_no: Some(official_no), win, ..Step::default() },
        _ => return Ok(()),
    };
    write(sql, stored, case, &step)?;
    changes.push(Change::Case(*case));
    Ok(())
}

fn write(sql: &mut dyn Sql, stored: &StoredEvent, case: &CaseId, step: &Step<'_>) -> Result<(), StoreError> {
    let event = &stored.event;
    let ended_by = step
        .closed
        .map(|(_, ended_by, _)| serde_json::to_value(ended_by))
        .transpose()
        .map_err(|error| StoreError::Read(error.to_string()))?;
    let ended_by = ended_by.as_ref().and_then(|value| value.as_str());
    sql.execute(
        "INSERT INTO cases (case_id, hall, win, ticket, business, state, clerk, grade, official_no, opened_at, \
         called_at, started_at, ended_at, closed_at, ended_by, accurate, at) \
         VALUES ($1, $2, $3, $4, $5, COALESCE($6, 'waiting'), $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $10) \
         ON CONFLICT (case_id) DO UPDATE SET \
         ticket = CASE WHEN cases.ticket = '' THEN excluded.ticket ELSE cases.ticket END, \
         business = COALESCE(cases.business, excluded.business), \
         opened_at = CASE WHEN excluded.opened_at < cases.opened_at THEN excluded.opened_at ELSE cases.opened_at END, \
         called_at = COALESCE(cases.called_at, excluded.called_at), \
         started_at = COALESCE(cases.started_at, excluded.started_at), \
         ended_at = COALESCE(excluded.ended_at, cases.ended_at), \
         closed_at = COALESCE(cases.closed_at, excluded.closed_at), \
         ended_by = COALESCE(cases.ended_by, excluded.ended_by), \
         accurate = CASE WHEN excluded.closed_at IS NULL THEN cases.accurate ELSE excluded.accurate END, \
         grade = COALESCE(cases.grade, excluded.grade), \
         official_no = COALESCE(excluded.official_no, cases.official_no), \
         win = CASE WHEN cases.win IS NULL OR (excluded.at >= cases.at AND cases.state <> 'closed') \
               THEN COALESCE(excluded.win, cases.win) ELSE cases.win END, \
         clerk = CASE WHEN excluded.at >= cases.at THEN COALESCE(excluded.clerk, cases.clerk) \
                 ELSE COALESCE(cases.clerk, excluded.clerk) END, \
         state = CASE WHEN cases.state = 'closed' OR $6 IS NULL OR (excluded.at < cases.at AND $6 <> 'closed') \
                 THEN cases.state ELSE excluded.state END, \
         at = CASE WHEN excluded.at > cases.at THEN excluded.at ELSE cases.at END",
        params![
            case,
            event.hall,
            step.win,
            step.ticket,
            step.business,
            step.state,
            step.clerk,
            step.grade,
            step.official_no,
            event.at,
            step.called_at,
            step.started_at,
            step.ended_at,
            step.closed.map(|(at, ..)| at),
            ended_by,
            step.closed.is_none_or(|(_, _, accurate)| accurate),
        ],
    )?;
    Ok(())
}

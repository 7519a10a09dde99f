//! The decisions: which events an input makes. Every event is applied to the state the moment it is decided, so the
//! next decision sees it.

use control_protocol::{
    CaseId, Happening, WindowId,
    event::{EndedBy, Grade},
};

use super::{
    At, CaseSerials, Ignored, Input, Press, SerialError, SessionConfig, SessionWindow, Tagged, Taken,
    state::{Case, Phase, Place, State, WindowState, day_end, fit},
};

/// The queue and windows of one hall.
#[derive(Debug, Clone)]
pub struct HallSession {
    config: SessionConfig,
    state: State,
}

/// Where an event that is being decided belongs.
#[derive(Clone)]
struct Scene<'a> {
    at: At,
    window: Option<&'a WindowId>,
    device: Option<&'a str>,
}

impl HallSession {
    /// A hall where nothing has happened yet.
    pub fn new(config: SessionConfig) -> Self {
        Self { config, state: State::default() }
    }

    /// The state that these events left behind; events of other kinds change nothing. Times must be on the axis on
    /// which the session goes on.
    pub fn recover<'a>(config: SessionConfig, events: impl IntoIterator<Item = &'a Tagged>) -> Self {
        let mut session = Self::new(config);
        for event in events {
            session.state.apply(&session.config, event);
        }
        session
    }

    /// When something is due by itself, monotonic microseconds.
    pub fn due(&self) -> Option<i64> {
        let timers = self.state.windows.values().filter_map(|w| match w.busy {
            Some((_, Phase::Rating { until } | Phase::Rated { until, .. })) => Some(until),
            _ => None,
        });
        let windows = self.state.windows.values().filter(|w| w.open).map(|w| w.expires);
        let cases = self.open_cases().map(|(_, case)| case.expires);
        timers.chain(windows).chain(cases).min()
    }

    /// How many wait for a window: its businesses' tickets and what was transferred to it.
    pub fn waiting(&self, window: &WindowId) -> usize {
        let Some(config) = self.window(window) else { return 0 };
        self.open_cases().filter(|(_, case)| waits_for(case, config)).count()
    }

    /// How many cases are open.
    pub fn open(&self) -> usize {
        self.open_cases().count()
    }

    fn open_cases(&self) -> impl Iterator<Item = (&CaseId, &Case)> {
        self.state.cases.iter().filter(|(_, case)| case.place != Place::Closed)
    }

    fn window(&self, id: &WindowId) -> Option<&SessionWindow> {
        self.config.windows.iter().find(|w| w.id == *id)
    }

    /// What is due by itself up to `now`.
    pub fn tick(&mut self, now: At) -> Vec<Tagged> {
        let mut out = Vec::new();
        while let Some(due) = self.due().filter(|due| *due <= now.mono_us) {
            let before = out.len();
            self.fire(now.at_mono(due), &mut out);
            if out.len() == before {
                break;
            }
        }
        out
    }

    /// Takes an input that happened at `at`, and first what was due before it. On an error nothing may be journalled,
    /// and the session must be [recovered](Self::recover).
    pub fn take(
        &mut self,
        input: &Input,
        device: Option<&str>,
        at: At,
        serials: &mut dyn CaseSerials,
    ) -> Result<Taken, SerialError> {
        let mut out = self.tick(at);
        let ignored = match input {
            Input::Ticket { number, business, waiting } => {
                let scene = Scene { at, window: None, device };
                self.ticket(&scene, number, business, *waiting, serials, &mut out)?
            }
            Input::Issue { business } => {
                let scene = Scene { at, window: None, device };
                self.issue(&scene, business, serials, &mut out)?
            }
            Input::Window { window, press } => {
                if self.window(window).is_none() {
                    Some(Ignored::UnknownWindow)
                } else {
                    let scene = Scene { at, window: Some(window), device };
                    self.press(&scene, window, press, serials, &mut out)?
                }
            }
        };
        Ok(Taken { events: out, ignored })
    }

    fn say(&mut self, scene: &Scene<'_>, case: Option<CaseId>, happening: Happening, out: &mut Vec<Tagged>) {
        let event = Tagged {
            at: scene.at,
            window: scene.window.cloned(),
            device: scene.device.map(str::to_owned),
            case,
            happening,
        };
        self.state.apply(&self.config, &event);
        out.push(event);
    }

    fn ticket_of(&self, id: CaseId) -> String {
        self.state.cases.get(&id).map(|case| case.ticket.clone()).unwrap_or_default()
    }

    fn close(
        &mut self,
        scene: &Scene<'_>,
        id: CaseId,
        by: EndedBy,
        grade: Option<Grade>,
        out: &mut Vec<Tagged>,
    ) {
        let accurate = !matches!(by, EndedBy::DayEnd | EndedBy::WindowClosed);
        let ticket = self.ticket_of(id);
        self.say(scene, Some(id), Happening::CaseClosed { ticket, ended_by: by, grade, accurate }, out);
    }

    fn end_service(&mut self, scene: &Scene<'_>, id: CaseId, by: EndedBy, out: &mut Vec<Tagged>) {
        let ticket = self.ticket_of(id);
        self.say(scene, Some(id), Happening::ServiceEnded { ticket, ended_by: by }, out);
    }

    fn open_case(
        &mut self,
        scene: &Scene<'_>,
        ticket: &str,
        business: &str,
        serials: &mut dyn CaseSerials,
        out: &mut Vec<Tagged>,
    ) -> Result<CaseId, SerialError> {
        let date = scene.at.utc.timestamp().to_zoned(self.config.time_zone.clone()).date();
        let serial = serials.next(date)?;
        let id = CaseId::new(&self.config.hall, date, serial).map_err(|_| SerialError::Exhausted(date))?;
        let happening = Happening::CaseOpened { ticket: ticket.to_owned(), business: business.to_owned() };
        self.say(scene, Some(id), happening, out);
        Ok(id)
    }

    fn ticket(
        &mut self,
        scene: &Scene<'_>,
        number: &str,
        business: &str,
        waiting: Option<u32>,
        serials: &mut dyn CaseSerials,
        out: &mut Vec<Tagged>,
    ) -> Result<Option<Ignored>, SerialError> {
        let reprint = self.open_cases().any(|(_, case)| {
            case.ticket == number && case.business == business && matches!(case.place, Place::Waiting { .. })
        });
        if reprint {
            return Ok(Some(Ignored::Reprint));
        }
        let id = self.open_case(scene, number, business, serials, out)?;
        let priority = self.config.businesses.iter().find(|b| b.name == business).map_or(0, |b| b.priority);
        let happening = Happening::TicketIssued {
            ticket: number.to_owned(),
            business: business.to_owned(),
            printed_waiting: waiting,
            priority,
        };
        self.say(scene, Some(id), happening, out);
        Ok(None)
    }

    /// Gives a ticket of ours, with the number of those who wait for its business already.
    fn issue(
        &mut self,
        scene: &Scene<'_>,
        business: &str,
        serials: &mut dyn CaseSerials,
        out: &mut Vec<Tagged>,
    ) -> Result<Option<Ignored>, SerialError> {
        let Some(number) = self.next_number(business, scene.at) else {
            return Ok(Some(Ignored::UnknownBusiness));
        };
        let waits = |case: &Case| case.business == business && matches!(case.place, Place::Waiting { .. });
        let waiting = self.open_cases().filter(|(_, case)| waits(case)).count();
        self.ticket(scene, &number, business, u32::try_from(waiting).ok(), serials, out)
    }

    /// The number after the highest that was given today with the business's letters; none: no such business.
    fn next_number(&self, business: &str, at: At) -> Option<String> {
        let prefix = &self.config.businesses.iter().find(|b| b.name == business)?.prefix;
        // Businesses may share their letters.
        let shares =
            |name: &str| self.config.businesses.iter().any(|b| b.prefix == *prefix && b.name == name);
        let today = || self.state.cases.values().filter(|case| case.expires > at.mono_us);
        let given = today().filter(|case| case.issued && shares(&case.business));
        let highest =
            given.filter_map(|case| case.ticket.strip_prefix(prefix.as_str())?.parse::<u32>().ok()).max();
        // What a clerk typed by mistake leaves a gap and does not make all numbers high.
        let numbers = (highest.unwrap_or(0).saturating_add(1)..).map(|n| format!("{prefix}{n:03}"));
        numbers.into_iter().find(|number| today().all(|case| case.ticket != *number))
    }

    fn press(
        &mut self,
        scene: &Scene<'_>,
        window: &WindowId,
        press: &Press,
        serials: &mut dyn CaseSerials,
        out: &mut Vec<Tagged>,
    ) -> Result<Option<Ignored>, SerialError> {
        let state = self.state.windows.get(window).cloned().unwrap_or_default();
        let called = match state.busy {
            Some((id, Phase::Called { started, recalls })) => Some((id, started, recalls)),
            _ => None,
        };
        Ok(match press {
            Press::CallNext => {
                self.resume_window(scene, &state, out);
                let Some(next) = self.next_for(window) else { return Ok(Some(Ignored::NothingToCall)) };
                self.open_window(scene, &state, out);
                self.finish(scene, &state, EndedBy::NextCall, out);
                self.call(scene, next, false, out);
                None
            }
            Press::CallNumber(typed) => {
                if let Some((id, _, recalls)) = called
                    && fit(&self.ticket_of(id), typed).is_some()
                {
                    self.recall(scene, id, recalls, out);
                    return Ok(None);
                }
                self.resume_window(scene, &state, out);
                self.open_window(scene, &state, out);
                let found = self.waiting_with(window, typed);
                self.finish(scene, &state, EndedBy::NextCall, out);
                let id = match found {
                    Some(id) => id,
                    None => {
                        let (ticket, business) = self.unknown(window, typed);
                        self.open_case(scene, &ticket, &business, serials, out)?
                    }
                };
                self.call(scene, id, true, out);
                None
            }
            Press::Recall => match self.case_then(scene, &state) {
                Some((id, Phase::Called { recalls, .. })) => {
                    self.recall(scene, id, recalls, out);
                    None
                }
                _ => Some(Ignored::NoCase),
            },
            Press::Start => match called {
                Some((id, false, _)) => {
                    let ticket = self.ticket_of(id);
                    self.say(scene, Some(id), Happening::ServiceStarted { ticket }, out);
                    None
                }
                Some(_) => Some(Ignored::Already),
                None => Some(Ignored::NoCase),
            },
            Press::Evaluate => match called {
                Some((id, _, _)) => {
                    self.end_service(scene, id, EndedBy::Evaluate, out);
                    let seconds = self.window(window).map_or(10, |w| w.rating_seconds);
                    let ticket = self.ticket_of(id);
                    self.say(scene, Some(id), Happening::RatingInvited { ticket, seconds }, out);
                    None
                }
                None if matches!(state.busy, Some((_, Phase::Rating { .. }))) => Some(Ignored::Already),
                None => Some(Ignored::NoCase),
            },
            Press::Transfer(number) => {
                let Some((id, started, _)) = called else { return Ok(Some(Ignored::NoCase)) };
                let to = self.config.windows.iter().find(|w| w.number == *number && w.id != *window);
                let Some(to) = to.map(|w| w.id.clone()) else { return Ok(Some(Ignored::NoSuchWindow)) };
                if started {
                    self.end_service(scene, id, EndedBy::Transfer, out);
                }
                let ticket = self.ticket_of(id);
                self.say(scene, Some(id), Happening::TicketTransferred { ticket, to_window: to }, out);
                None
            }
            Press::Hold => {
                let Some((id, started, _)) = called else { return Ok(Some(Ignored::NoCase)) };
                if started {
                    self.end_service(scene, id, EndedBy::Held, out);
                }
                let ticket = self.ticket_of(id);
                self.say(scene, Some(id), Happening::TicketHeld { ticket }, out);
                None
            }
            Press::CallBack => {
                let held = Place::Held(window.clone());
                let first =
                    self.open_cases().filter(|(_, c)| c.place == held).min_by_key(|(id, c)| (c.since, **id));
                let Some(id) = first.map(|(id, _)| *id) else { return Ok(Some(Ignored::NothingHeld)) };
                self.resume_window(scene, &state, out);
                self.open_window(scene, &state, out);
                self.finish(scene, &state, EndedBy::NextCall, out);
                let ticket = self.ticket_of(id);
                self.say(scene, Some(id), Happening::TicketResumed { ticket }, out);
                None
            }
            Press::NoShow => {
                let Some((id, ..)) = called else { return Ok(Some(Ignored::NoCase)) };
                let ticket = self.ticket_of(id);
                self.say(scene, Some(id), Happening::TicketNoShow { ticket }, out);
                self.close(scene, id, EndedBy::NoShow, None, out);
                None
            }
            Press::Pause => {
                if state.paused {
                    self.resume_window(scene, &state, out);
                } else if state.open {
                    self.say(scene, None, Happening::WindowPaused { reason: None }, out);
                } else {
                    return Ok(Some(Ignored::Already));
                }
                None
            }
            Press::SignIn(clerk) => {
                if state.clerk.as_deref() == Some(clerk) && state.open {
                    return Ok(Some(Ignored::Already));
                }
                if let Some(before) = state.clerk.clone().filter(|before| before != clerk) {
                    self.say(scene, None, Happening::ClerkSignedOut { clerk: before }, out);
                }
                if state.clerk.as_deref() != Some(clerk) {
                    self.say(scene, None, Happening::ClerkSignedIn { clerk: clerk.clone() }, out);
                }
                self.open_window(scene, &state, out);
                None
            }
            Press::SignOut => {
                if !state.open && state.clerk.is_none() {
                    return Ok(Some(Ignored::Already));
                }
                if let Some((id, started, _)) = called {
                    if started {
                        self.end_service(scene, id, EndedBy::WindowClosed, out);
                    }
                    self.close(scene, id, EndedBy::WindowClosed, None, out);
                }
                self.shut(scene, &state, out);
                None
            }
            Press::Grade { raw, grade } => {
                self.grade(scene, &state, *raw, *grade, out);
                None
            }
        })
    }

    /// What the window was about when the press was made: for a late one what it was about then, else what it is.
    fn case_then(&self, scene: &Scene<'_>, state: &WindowState) -> Option<(CaseId, Phase)> {
        if scene.at.mono_us < state.last_change() { state.busy_at(scene.at.mono_us) } else { state.busy }
    }

    fn grade(
        &mut self,
        scene: &Scene<'_>,
        state: &WindowState,
        raw: u8,
        grade: Option<Grade>,
        out: &mut Vec<Tagged>,
    ) {
        let then = self.case_then(scene, state);
        let graded = |id: &CaseId| self.state.cases.get(id).is_some_and(|case| case.graded);
        let (case, why) = match (then, grade) {
            (Some((id, Phase::Rating { .. })), Some(grade)) if !graded(&id) => {
                let ticket = self.ticket_of(id);
                self.say(scene, Some(id), Happening::RatingGiven { ticket, grade, raw }, out);
                return;
            }
            (Some((id, Phase::Rating { .. })), None) => (Some(id), "unmapped"),
            (Some((id, Phase::Rating { .. } | Phase::Rated { .. })), _) => (Some(id), "second_press"),
            (_, None) => (None, "unmapped"),
            (_, Some(_)) => (None, "not_invited"),
        };
        self.say(scene, case, Happening::RatingUnsolicited { grade, raw, why: why.to_owned() }, out);
    }

    fn recall(&mut self, scene: &Scene<'_>, id: CaseId, recalls: u32, out: &mut Vec<Tagged>) {
        let ticket = self.ticket_of(id);
        self.say(scene, Some(id), Happening::TicketRecalled { ticket, count: recalls + 1 }, out);
    }

    fn call(&mut self, scene: &Scene<'_>, id: CaseId, by_number: bool, out: &mut Vec<Tagged>) {
        let (ticket, business) =
            self.state.cases.get(&id).map(|c| (c.ticket.clone(), c.business.clone())).unwrap_or_default();
        self.say(scene, Some(id), Happening::TicketCalled { ticket, business, by_number }, out);
    }

    /// Closes what is at the window before something else comes to it.
    fn finish(&mut self, scene: &Scene<'_>, state: &WindowState, by: EndedBy, out: &mut Vec<Tagged>) {
        match state.busy {
            Some((id, Phase::Called { started, .. })) => {
                if started {
                    self.end_service(scene, id, by, out);
                }
                self.close(scene, id, by, None, out);
            }
            Some((id, Phase::Rating { .. })) => self.close(scene, id, by, None, out),
            Some((id, Phase::Rated { grade, .. })) => self.close(scene, id, EndedBy::Rated, Some(grade), out),
            None => {}
        }
    }

    fn resume_window(&mut self, scene: &Scene<'_>, state: &WindowState, out: &mut Vec<Tagged>) {
        if state.paused {
            self.say(scene, None, Happening::WindowResumed {}, out);
        }
    }

    fn open_window(&mut self, scene: &Scene<'_>, state: &WindowState, out: &mut Vec<Tagged>) {
        if !state.open {
            self.say(scene, None, Happening::WindowOpened {}, out);
        }
    }

    fn shut(&mut self, scene: &Scene<'_>, state: &WindowState, out: &mut Vec<Tagged>) {
        if let Some(clerk) = state.clerk.clone() {
            self.say(scene, None, Happening::ClerkSignedOut { clerk }, out);
        }
        if state.open {
            self.say(scene, None, Happening::WindowClosed {}, out);
        }
    }

    fn next_for(&self, window: &WindowId) -> Option<CaseId> {
        let config = self.window(window)?;
        self.open_cases()
            .filter(|(_, case)| waits_for(case, config))
            .min_by_key(|(id, case)| {
                let transferred = matches!(case.place, Place::Waiting { to: Some(_) });
                // Among those transferred the latest stands at the head; it was put before the others.
                let order = if transferred { case.since.saturating_neg() } else { case.since };
                (!transferred, u8::MAX - case.priority * u8::from(!transferred), order, **id)
            })
            .map(|(id, _)| *id)
    }

    /// The waiting ticket that typed digits mean: best fit among the window's businesses, else among all.
    fn waiting_with(&self, window: &WindowId, typed: &str) -> Option<CaseId> {
        let config = self.window(window)?;
        self.open_cases()
            .filter(|(_, case)| matches!(case.place, Place::Waiting { .. }))
            .filter_map(|(id, case)| Some((id, case, fit(&case.ticket, typed)?)))
            .min_by_key(|(id, case, fit)| (!waits_for(case, config), *fit, case.since, **id))
            .map(|(id, ..)| *id)
    }

    /// Ticket and business of a number nobody waits with: of today's that were closed the latest, else as typed.
    fn unknown(&self, window: &WindowId, typed: &str) -> (String, String) {
        let closed = self.state.cases.iter().filter(|(_, case)| case.place == Place::Closed);
        let known = closed
            .filter(|(_, case)| fit(&case.ticket, typed) == Some(0))
            .max_by_key(|(id, case)| (case.since, **id))
            .map(|(_, case)| (case.ticket.clone(), case.business.clone()));
        known.unwrap_or_else(|| {
            let business = self.window(window).and_then(|w| w.businesses.first().cloned());
            (typed.to_owned(), business.unwrap_or_default())
        })
    }

    /// What is due at exactly `at`.
    fn fire(&mut self, at: At, out: &mut Vec<Tagged>) {
        let now = at.mono_us;
        let windows: Vec<(WindowId, WindowState)> =
            self.state.windows.iter().map(|(id, state)| (id.clone(), state.clone())).collect();
        for (window, state) in &windows {
            let scene = Scene { at, window: Some(window), device: None };
            match state.busy {
                Some((id, Phase::Rating { until })) if until <= now => {
                    let ticket = self.ticket_of(id);
                    self.say(&scene, Some(id), Happening::RatingTimedOut { ticket }, out);
                    self.close(&scene, id, EndedBy::RatingTimedOut, None, out);
                }
                Some((id, Phase::Rated { grade, until })) if until <= now => {
                    self.close(&scene, id, EndedBy::Rated, Some(grade), out);
                }
                _ => {}
            }
        }
        let over: Vec<(CaseId, Place)> = self
            .open_cases()
            .filter(|(_, case)| case.expires <= now)
            .map(|(id, case)| (*id, case.place.clone()))
            .collect();
        for (id, place) in over {
            let window = match &place {
                Place::Window(window) | Place::Held(window) => Some(window),
                _ => None,
            };
            let scene = Scene { at, window, device: None };
            let busy = window.and_then(|w| self.state.windows.get(w)).and_then(|w| w.busy);
            match busy.filter(|(at_window, _)| *at_window == id) {
                Some((_, Phase::Called { started: true, .. })) => {
                    self.end_service(&scene, id, EndedBy::DayEnd, out);
                    self.close(&scene, id, EndedBy::DayEnd, None, out);
                }
                Some((_, Phase::Rated { grade, .. })) => {
                    self.close(&scene, id, EndedBy::Rated, Some(grade), out)
                }
                _ => self.close(&scene, id, EndedBy::DayEnd, None, out),
            }
        }
        for (window, state) in &windows {
            if state.open && state.expires <= now {
                self.shut(&Scene { at, window: Some(window), device: None }, state, out);
            }
        }
    }

    /// When the day that `at` lies in ends.
    pub fn day_end(&self, at: At) -> At {
        day_end(&self.config, at)
    }
}

fn waits_for(case: &Case, window: &SessionWindow) -> bool {
    match &case.place {
        Place::Waiting { to: Some(to) } => *to == window.id,
        // A window that names no business is a general one (综合窗口) and takes all.
        Place::Waiting { to: None } => {
            window.businesses.is_empty() || window.businesses.contains(&case.business)
        }
        _ => false,
    }
}

#[cfg(test)]
impl HallSession {
    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

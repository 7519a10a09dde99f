-- Cases are found by what people know of them. Each of these goes with one filter of the list, newest first; bad grades
-- and long or very short services are few, so their indexes hold only them.
CREATE INDEX cases_by_official_no ON cases (official_no) WHERE official_no IS NOT NULL;
CREATE INDEX cases_by_ticket ON cases (ticket, opened_at, case_id, hall);
CREATE INDEX cases_of_clerk ON cases (clerk, opened_at, case_id, hall) WHERE clerk IS NOT NULL;
CREATE INDEX cases_badly_rated ON cases (opened_at, case_id, hall) WHERE grade <= 2;
CREATE INDEX cases_served_long ON cases (opened_at, case_id, hall) WHERE ended_at - started_at >= 1800000;
CREATE INDEX cases_served_briefly ON cases (opened_at, case_id, hall) WHERE ended_at - started_at < 60000;

-- Official numbers bound here, each binding once: what the business system said of which case, who brought it, when.
-- The number in force stands in `cases`.
CREATE TABLE official_numbers (
    case_id     TEXT NOT NULL,
    official_no TEXT NOT NULL,
    source      TEXT NOT NULL,
    bound_by    TEXT NOT NULL,
    bound_at    INTEGER NOT NULL,
    PRIMARY KEY (case_id, official_no)
);

-- Ratings of many halls, newest first; the few that are bad or were never asked for are found by themselves.
CREATE INDEX ratings_all_by_time ON ratings (at, hall);
CREATE INDEX ratings_bad ON ratings (at, hall) WHERE outcome = 'given' AND grade <= 2;
CREATE INDEX ratings_unsolicited ON ratings (at, hall) WHERE outcome = 'unsolicited';

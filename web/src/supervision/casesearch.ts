// What somebody typed into the one field of the cases page: a case ID, a ticket, or else the business system's number. Pure.

const CASE_ID = /^\d{6}-\d{2}-\d{8}-\d{5}-[0-9A-Z]$/;
const TICKET = /^[A-Z]{0,2}\d{1,4}$/;

/** As parameters of `GET /cases`; an empty text asks for nothing. */
export function understood(typed: string): { case_id?: string; ticket?: string; official_no?: string } {
  const text = typed.trim();
  if (text === "") return {};
  const upper = text.toUpperCase();
  if (CASE_ID.test(upper)) return { case_id: upper };
  if (TICKET.test(upper)) return { ticket: upper };
  return { official_no: text };
}

// The way to one hall's pairing API: at the hall itself, or through the centre. The same routes, bodies and answers at both.

import { send, type Query } from "../api/http";
import type { List } from "../api/model";
import type {
  BindCase, Connection, HallAnswer, ImportAnswer, Live, PointName, PointResult, Position, Sniffed, Source, UndoRow, Visit, VisitRow,
} from "./model";

/** The centre asks the hall and waits up to 25 s for it. */
const TIMEOUT_MS = 30_000;
/** How long the hall holds a question for live readings. */
const LIVE_WAIT_S = 15;

export class Door {
  /** `base` below /api/v1: `/pairing`, or `/halls/450103-01/pairing`. */
  constructor(readonly base: string) {}

  private get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    return send<T>("GET", `${this.base}/${path}`, { query, timeoutMs: TIMEOUT_MS, ...(signal ? { signal } : {}) });
  }

  private post<T>(path: string, body: unknown = {}, query: Query = {}): Promise<T> {
    return send<T>("POST", `${this.base}/${path}`, { query, body, timeoutMs: TIMEOUT_MS });
  }

  hall = () => this.get<HallAnswer>("hall");
  positions = () => this.get<List<Position>>("positions");
  position = (id: string) => this.get<Position>(`positions/${encodeURIComponent(id)}`);

  visit = () => this.get<Visit>("visit");
  open = (minutes: number, approver: string | null, window: string | null) => this.post<Visit>("visit", { minutes, approver, window });
  extend = (minutes: number, approver: string | null) => this.post<Visit>("visit/extend", { minutes, approver });
  close = () => this.post<Visit>("visit/close");
  choose = (window: string | null) => this.post<Visit>("visit/window", { window });

  sources = () => this.get<List<Source>>("visit/sources");
  search = (what: { source: string; port?: string; baud?: number; addresses?: string; credential?: string; connection?: Connection; http_ports?: number[]; rtsp_port?: number }) => this.post<Visit>("visit/searches", what);
  stopSearch = (id: string) => this.post<Visit>(`visit/searches/${encodeURIComponent(id)}/stop`);
  credentials = () => this.get<List<{ name: string }>>("visit/credentials");
  keepCredential = (name: string, secret: string) => this.post<null>("visit/credentials", { name, secret });
  streams = (what: { candidate: string; user: string | null; credential: string | null; main?: string; sub?: string | null }) => this.post<Visit>("visit/streams", what);
  identify = (candidate: string, how: string) => this.post<{ how: string; done: boolean; photo?: string }>("visit/identify", { candidate, how });
  sniffed = (search: string) => this.get<Sniffed>("visit/sniff", { search });
  sniffPress = (search: string, grade: number | null, again: boolean) => this.post<Sniffed>("visit/sniff/press", { search, grade, again });
  sniffPropose = (search: string, name: string, title: string) => this.post<Sniffed>("visit/sniff/propose", { search, name, title });
  sniffKeep = (search: string) => this.post<Visit>("visit/sniff/keep", { search });
  identified = (candidate: string, isIt: boolean) => this.post<Visit>("visit/identified", { candidate, is_it: isIt });
  bind = (what: { candidate: string; position: string; case: BindCase; grades?: Record<string, number>; connection?: Connection }) => this.post<Visit>("visit/bind", what);
  unbind = (position: string) => this.post<Visit>("visit/unbind", { position });

  test = (position: string) => this.post<Visit>("visit/test", { position });
  show = (position: string, how: string) => this.post<{ how: string; done: boolean }>("visit/test/show", { position, how });
  endTest = (position: string) => this.post<Visit>("visit/test/end", { position });
  live = (after: number, signal: AbortSignal) => this.get<{ items: Live[]; next: number }>("visit/live", { after, wait: LIVE_WAIT_S }, signal);
  confirmGrades = (position: string, map: Record<string, number>) => this.post<Visit>("visit/grades", { position, map });

  addPhoto = (jpeg: Blob) => this.post<{ photo: string; width: number; height: number; bytes: number }>("visit/photos", jpeg);
  point = (point: PointName, result: PointResult, note: string, photo: string | null) => this.post<Visit>(`visit/points/${point}`, { result, note, photo });
  sign = (name: string, hallName: string | null) => this.post<Visit>("visit/sign", { name, hall_name: hallName });

  visits = () => this.get<List<VisitRow>>("visits");
  pastVisit = (id: string) => this.get<Visit>(`visits/${encodeURIComponent(id)}`);
  undoable = () => this.get<List<UndoRow>>("undo");
  undo = (id: string) => this.post<{ positions: Position[] }>(`undo/${encodeURIComponent(id)}`);
  import = (file: Blob, dryRun: boolean) => this.post<ImportAnswer>("import", file, dryRun ? { dry_run: "true" } : {});

  sheet = (visit: string) => `/api/v1${this.base}/visits/${encodeURIComponent(visit)}/sheet.pdf`;
  photo = (visit: string, photo: string) => `/api/v1${this.base}/visits/${encodeURIComponent(visit)}/photos/${encodeURIComponent(photo)}`;
}

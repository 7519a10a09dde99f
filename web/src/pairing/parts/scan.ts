// Whether this browser can read QR codes, and the reader. BarcodeDetector is not in TypeScript's DOM library yet.

interface Found {
  rawValue: string;
}
interface Detector {
  detect(source: CanvasImageSource): Promise<Found[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;

const kind = () => (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;

export function canScan(): boolean {
  return kind() !== undefined && globalThis.isSecureContext && "mediaDevices" in navigator;
}

export function detector(): Detector | null {
  const Kind = kind();
  return Kind ? new Kind({ formats: ["qr_code"] }) : null;
}

/** The window in a scanned link, `…/#/w/450103-01-W07`; or null. */
export function windowOf(text: string): string | null {
  return /#\/w\/(\d{6}-[0-9A-Z]{2}-W\d{2,3})$/.exec(text.trim())?.[1] ?? null;
}

/** The pass in a scanned or pasted text: bare, or in a link's fragment. */
export function passOf(text: string): string | null {
  return /(?:^|#pass=)(hwp1\.[\w-]+\.[\w-]+)$/.exec(text.replace(/\s+/g, ""))?.[1] ?? null;
}

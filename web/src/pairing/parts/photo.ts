// A photo made small enough to send: at most 1600 pixels and 2 MiB, as JPEG, in the page. What the camera wrote into the file
// beside the picture (place, time, telephone) does not leave the phone.

const MOST_PIXELS = 1600;
const MOST_BYTES = 2 * 1024 * 1024;

/** The size that fits into `most` × `most`, never larger than it was. */
export function fit(width: number, height: number, most: number = MOST_PIXELS): { width: number; height: number } {
  const scale = Math.min(1, most / Math.max(width, height, 1));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** Throws where the file is no picture that this browser reads. */
export async function shrink(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  try {
    const size = fit(bitmap.width, bitmap.height);
    const canvas = document.createElement("canvas");
    canvas.width = size.width;
    canvas.height = size.height;
    const pen = canvas.getContext("2d");
    if (!pen) throw new Error("no canvas");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(bitmap, 0, 0, size.width, size.height);
    for (const quality of [0.85, 0.7, 0.5]) {
      const jpeg = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", quality));
      if (jpeg && jpeg.size <= MOST_BYTES) return jpeg;
    }
    throw new Error("too large");
  } finally {
    bitmap.close();
  }
}

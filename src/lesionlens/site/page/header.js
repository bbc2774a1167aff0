// What a file says about its picture before it is decoded: size, rotation, number of pictures, colour profile. Rotation is
// read here and removed from the bytes, because browsers differ in the formats in which they carry it out.

import { latin, unreadable } from "./formats.js";

const DAMAGED = () => unreadable("The image is damaged or cut short", "Copy or download it again.");
const ORIENTATION = 0x0112;
const EXIF_FOLDER = 0x8769;
const INTEROPERABILITY = 0xa005;
const SRGB_GAMMA = 1 / 2.2;
const SRGB_PRIMARIES = [0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06];

/**
 * The facts of a file: `width`, `height` (as stored; 0 where only decoding tells), `orientation` (1 to 8, as in EXIF),
 * `bytes` (those to decode, without the rotation), `animated`, `profile` (whether a colour profile is embedded), `otherColours`
 * (tagged as other than sRGB without one), `cmyk`, `scans`, `shownUpright`
 * (whether every browser turns it by itself when it shows it). Throws a Problem where the file is cut short.
 */
export function readHeader(kind, bytes) {
  const header = { width: 0, height: 0, orientation: 1, bytes, animated: false, profile: false, otherColours: false };
  Object.assign(header, { cmyk: false, scans: 1, exif: null, xmp: "", shownUpright: true });
  try {
    READERS[kind](bytes, viewOf(bytes), header);
  } catch (error) {
    throw error instanceof RangeError ? DAMAGED() : error; // read beyond the end
  }
  return turnedLater(kind, header);
}

const READERS = { JPEG: readJpeg, PNG: readPng, WEBP: readWebp, GIF: readGif, BMP: readBmp, AVIF: readAvif };
const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function readJpeg(bytes, view, header) {
  let at = 2;
  for (;;) {
    while (view.getUint8(at) === 0xff && view.getUint8(at + 1) === 0xff) at++;
    if (view.getUint8(at) !== 0xff) throw DAMAGED();
    const marker = view.getUint8(at + 1);
    const length = view.getUint16(at + 2);
    const body = at + 4;
    if (marker === 0xda) break;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      Object.assign(header, { height: view.getUint16(body + 1), width: view.getUint16(body + 3) });
      header.cmyk = view.getUint8(body + 5) === 4;
    } else if (marker === 0xe1 && latin(bytes, body, 6) === "Exif\0\0") {
      header.exif ??= { start: body + 6, end: at + 2 + length };
    } else if (marker === 0xe1 && latin(bytes, body, 28) === "http://ns.adobe.com/xap/1.0/") {
      header.xmp ||= text(bytes, body, at + 2 + length);
    } else if (marker === 0xe2 && latin(bytes, body, 11) === "ICC_PROFILE") {
      header.profile = true;
    }
    at += 2 + length;
  }
  scan(bytes, at, header);
}

/** Count the scans; a file without an end of image is cut short. */
function scan(bytes, start, header) {
  header.scans = 0;
  let ended = false;
  for (let at = bytes.indexOf(0xff, start); at >= 0 && at + 1 < bytes.length; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === 0xda) header.scans++;
    if (bytes[at + 1] === 0xd9) ended = true;
  }
  if (!ended) throw DAMAGED();
}

function readPng(bytes, view, header) {
  header.width = view.getUint32(16);
  header.height = view.getUint32(20);
  let tagged = false;
  let ended = false;
  for (let at = 8; !ended; ) {
    const length = view.getUint32(at);
    const type = latin(bytes, at + 4, 4);
    const body = at + 8;
    if (type === "acTL") header.animated = true;
    else if (type === "iCCP") header.profile = true;
    else if (type === "sRGB") tagged = true;
    else if (type === "gAMA") header.otherColours ||= differs(view, body, SRGB_GAMMA, 0.02);
    else if (type === "cHRM") header.otherColours ||= SRGB_PRIMARIES.some((one, n) => differs(view, body + 4 * n, one, 0.01));
    else if (type === "eXIf") header.exif = { start: body, end: body + length, chunk: [at, body + length + 4] };
    else if (type === "iTXt" && latin(bytes, body, 17) === "XML:com.adobe.xmp") header.xmp = text(bytes, body, body + length);
    ended = type === "IEND";
    at = body + length + 4;
  }
  if (tagged) header.otherColours = false;
}

const differs = (view, at, expected, most) => Math.abs(view.getUint32(at) / 1e5 - expected) > most;

function readWebp(bytes, view, header) {
  const end = Math.min(8 + view.getUint32(4, true), bytes.length);
  if (8 + view.getUint32(4, true) > bytes.length) throw DAMAGED();
  for (let at = 12; at + 8 <= end; ) {
    const type = latin(bytes, at, 4);
    const length = view.getUint32(at + 4, true);
    const body = at + 8;
    if (type === "VP8X") {
      const flags = view.getUint8(body);
      Object.assign(header, { animated: Boolean(flags & 2), profile: Boolean(flags & 32) });
      header.width = 1 + (view.getUint32(body + 3, true) >>> 8);
      header.height = 1 + (view.getUint32(body + 6, true) >>> 8);
    } else if (type === "VP8 " && !header.width) {
      Object.assign(header, { width: view.getUint16(body + 6, true) & 0x3fff, height: view.getUint16(body + 8, true) & 0x3fff });
    } else if (type === "VP8L" && !header.width) {
      const bits = view.getUint32(body + 1, true);
      Object.assign(header, { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) });
    } else if (type === "EXIF") {
      const start = latin(bytes, body, 6) === "Exif\0\0" ? body + 6 : body;
      header.exif = { start, end: body + length };
    } else if (type === "XMP ") header.xmp = text(bytes, body, body + length);
    at = body + length + (length % 2);
  }
}

function readGif(bytes, view, header) {
  Object.assign(header, { width: view.getUint16(6, true), height: view.getUint16(8, true) });
  const table = (flags) => (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  let at = 13 + table(view.getUint8(10));
  let pictures = 0;
  const blocks = () => {
    for (let size = view.getUint8(at++); size; size = view.getUint8(at++)) at += size;
  };
  for (let kind = view.getUint8(at++); kind !== 0x3b; kind = view.getUint8(at++)) {
    if (kind === 0x21) at += 1;
    else if (kind === 0x2c) {
      pictures++;
      at += 9 + table(view.getUint8(at + 8)) + 1;
    } else throw DAMAGED();
    blocks();
  }
  header.animated = pictures > 1;
}

function readBmp(bytes, view, header) {
  if (view.getUint32(2, true) > bytes.length) throw DAMAGED();
  if (view.getUint32(14, true) < 16) return; // OS/2: decoding tells the size
  Object.assign(header, { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) });
}

function readAvif(bytes, view, header) {
  header.animated = latin(bytes, 8, 4) === "avis";
}

const text = (bytes, start, end) => new TextDecoder("latin1").decode(bytes.subarray(start, end));

/** Read the rotation, and make the bytes say that there is none. */
function turnedLater(kind, header) {
  const { exif, bytes, xmp } = header;
  const tags = exif && readExif(bytes.subarray(exif.start, exif.end));
  if (tags?.adobeRgb && !header.profile) header.otherColours = true;
  const inXmp = /tiff:Orientation(?:="|>)([0-9])/.exec(xmp);
  const stated = tags?.orientation ?? (inXmp ? Number(inXmp[1]) : 1);
  header.orientation = stated >= 1 && stated <= 8 ? stated : 1;
  header.shownUpright = header.orientation === 1 || (kind === "JPEG" && Boolean(tags?.orientation));
  if (!tags?.orientationAt) return header;
  if (exif.chunk) header.bytes = without(bytes, ...exif.chunk); // a PNG chunk has a checksum
  else {
    header.bytes = bytes.slice();
    viewOf(header.bytes).setUint16(exif.start + tags.orientationAt, 1, tags.little);
  }
  return header;
}

function without(bytes, start, end) {
  const rest = new Uint8Array(bytes.length - (end - start));
  rest.set(bytes.subarray(0, start));
  rest.set(bytes.subarray(end), start);
  return rest;
}

/** The rotation in an EXIF block, where it stands, and whether it says Adobe RGB; null of a broken block. */
function readExif(block) {
  try {
    const view = viewOf(block);
    const little = latin(block, 0, 2) === "II";
    const folder = (at) => {
      const entries = new Map();
      for (let n = 0; n < view.getUint16(at, little); n++) {
        const entry = at + 2 + 12 * n;
        entries.set(view.getUint16(entry, little), entry + 8);
      }
      return entries;
    };
    const main = folder(view.getUint32(4, little));
    const at = main.get(ORIENTATION);
    const adobeRgb = saysAdobeRgb(view, block, main, folder, little);
    return { little, orientationAt: at, orientation: at && view.getUint16(at, little), adobeRgb };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function saysAdobeRgb(view, block, main, folder, little) {
  const exif = main.has(EXIF_FOLDER) ? folder(view.getUint32(main.get(EXIF_FOLDER), little)) : new Map();
  const place = exif.get(INTEROPERABILITY) ?? main.get(INTEROPERABILITY);
  const index = place && folder(view.getUint32(place, little)).get(1);
  return Boolean(index) && latin(block, index, 3) === "R03";
}

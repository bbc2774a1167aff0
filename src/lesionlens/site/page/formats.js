// Which kind of file this is, told by its content, and why some kinds cannot be read in a browser.

import { Problem } from "./problem.js";

const STARTS = [
  ["JPEG", "ffd8ff"],
  ["PNG", "89504e470d0a1a0a"],
  ["GIF", "474946383761"],
  ["GIF", "474946383961"],
  ["TIFF", "49492a00"],
  ["TIFF", "4d4d002a"],
  ["TIFF", "49492b00"],
  ["TIFF", "4d4d002b"],
  ["JPEG 2000", "0000000c6a5020200d0a870a"],
  ["JPEG 2000", "ff4fff51"],
  ["JPEG XL", "0000000c4a584c200d0a870a"],
  ["JPEG XL", "ff0a"],
];
const HEIC_BRANDS = ["heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs", "mif1", "msf1"];
const CANNOT = ["DICOM", "TIFF", "HEIC", "JPEG 2000", "JPEG XL"];
const DICOM_FIRST_GROUPS = [0x0002, 0x0008]; // of a file without preamble

/** The text of some bytes, one character each. */
export const latin = (bytes, start, length) => String.fromCharCode(...bytes.subarray(start, start + length));

/** The name of the format that a file begins with; empty if it is no known image. */
export function formatOf(bytes) {
  const hex = [...bytes.subarray(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const known = STARTS.find(([, start]) => hex.startsWith(start));
  if (known) return known[0];
  if (latin(bytes, 0, 4) === "RIFF" && latin(bytes, 8, 4) === "WEBP") return "WEBP";
  if (latin(bytes, 4, 4) === "ftyp") return brandOf(bytes);
  if (latin(bytes, 0, 2) === "BM" && bytes.length > 26) return "BMP";
  return isDicom(bytes) ? "DICOM" : "";
}

function brandOf(bytes) {
  const length = Math.min(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0), bytes.length, 512);
  const brands = [latin(bytes, 8, 4)];
  for (let at = 16; at + 4 <= length; at += 4) brands.push(latin(bytes, at, 4));
  if (brands.some((brand) => brand === "avif" || brand === "avis")) return "AVIF";
  return brands.some((brand) => HEIC_BRANDS.includes(brand)) ? "HEIC" : "";
}

function isDicom(bytes) {
  if (latin(bytes, 128, 4) === "DICM") return true;
  const group = bytes[0] | (bytes[1] << 8);
  return DICOM_FIRST_GROUPS.includes(group) && bytes[3] === 0 && /^[A-Z]{2}$/.test(latin(bytes, 4, 2));
}

/** The format of a file; throws a Problem where a browser cannot read it. */
export function readableFormat(bytes) {
  if (!bytes.length) throw unreadable("The file is empty", "It has 0 bytes; copy or download it again.");
  const kind = formatOf(bytes);
  if (!kind) throw unreadable("The file is not an image", "It is in no known image format; save it as JPEG or PNG.");
  if (CANNOT.includes(kind)) {
    const remedy = "save it as JPEG or PNG, or use the program: lesionlens predict, or lesionlens serve.";
    throw unreadable(`${kind} is not read by this page`, `Browsers cannot decode ${kind} alike; ${remedy}`);
  }
  return kind;
}

/** A refusal of one file. */
export const unreadable = (title, detail) => new Problem({ local: true, code: "image_unreadable", title, detail });

// Numbers, sizes and times as a person reads them.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });
const dayAndYear = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export const count = (number) => whole.format(number);

/** "1 picture", "2 pictures". */
export const counted = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Bytes in units of 1,000. */
export function bytes(number) {
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (number < 1000) return `${short.format(number)}\u00a0${unit}`;
    number /= 1000;
  }
  return `${short.format(number)}\u00a0TB`;
}

/** "12 Jan", of YYYY-MM-DD. */
export const date = (text) => day.format(new Date(`${text}T00:00:00Z`));
export const longDate = (text) => dayAndYear.format(new Date(text));
export const time = (text) => moment.format(new Date(text));

const UNITS = [
  ["minute", 60, 60],
  ["hour", 3600, 24],
  ["day", 86400, 60],
];

/** "5 minutes ago", "in 3 days"; further away, the date. */
export function when(text, now = Date.now()) {
  const seconds = (new Date(text) - now) / 1000;
  if (Math.abs(seconds) < 45) return seconds > 0 ? "in a moment" : "just now";
  for (const [unit, length, most] of UNITS) {
    const number = Math.round(seconds / length);
    if (Math.abs(number) < most) return ago.format(number, unit);
  }
  return longDate(text);
}

/** "45 seconds", "2 minutes". */
export function span(seconds) {
  if (seconds < 120) return counted(Math.ceil(seconds), "second");
  if (seconds < 7200) return counted(Math.ceil(seconds / 60), "minute");
  if (seconds < 86400 * 2) return counted(Math.ceil(seconds / 3600), "hour");
  return counted(Math.ceil(seconds / 86400), "day");
}

const BROWSERS = [
  [/\bEdg\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bFirefox\//, "Firefox"],
  [/\b(?:Headless)?Chrom(?:e|ium)\//, "Chrome"],
  [/\bSafari\//, "Safari"],
];
const SYSTEMS = [
  [/iPhone|iPad/, "iOS"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

/** "Firefox on Linux", or what the browser said of itself. */
export function browser(userAgent) {
  const named = (table) => table.find(([pattern]) => pattern.test(userAgent))?.[1];
  const [name, system] = [named(BROWSERS), named(SYSTEMS)];
  return name && system ? `${name} on ${system}` : userAgent || "Unknown browser";
}

/** With a full stop, where there is none. */
export const sentence = (text) => (/[.!?…]$/.test(text) ? text : `${text}.`);

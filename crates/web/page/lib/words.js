// The texts of the page in the reader's language, and the forms of numbers and times.

import { settings } from './session.js';

/** The languages that have a file in the folder `words`, with their own names. */
export const LANGUAGES = [['en', 'English'], ['ar', 'العربية']];
const RIGHT_TO_LEFT = ['ar'];

let words = {};
let language = 'en';
let plurals = new Intl.PluralRules('en');
/** The formatters that were used, by their kind and options. Creating one takes milliseconds. */
const formatters = new Map();

/** Loads the texts of the chosen language, or of the browser's language if it has a file. */
export async function load() {
  const wanted = settings.language || navigator.language.split('-')[0];
  language = LANGUAGES.some(([code]) => code === wanted) ? wanted : 'en';
  const response = await fetch(new URL(`../words/${language}.json`, import.meta.url));
  words = await response.json();
  plurals = new Intl.PluralRules(language);
  formatters.clear();
  document.documentElement.lang = language;
  document.documentElement.dir = RIGHT_TO_LEFT.includes(language) ? 'rtl' : 'ltr';
}

/**
 * Returns a text with its values, such as `{name}`.
 *
 * A text with several forms is chosen by the value `count`.
 */
export function t(key, values = {}) {
  let text = words[key] ?? key;
  if (typeof text === 'object') text = text[plurals.select(values.count)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (all, name) => {
    const value = values[name];
    if (value === undefined) return all;
    return typeof value === 'number' ? number(value) : value;
  });
}

function formatter(Kind, options) {
  const key = `${Kind.name} ${JSON.stringify(options)}`;
  if (!formatters.has(key)) formatters.set(key, new Kind(language, options));
  return formatters.get(key);
}

/** Formats a number with the separators of the language. */
export function number(value, options) {
  return formatter(Intl.NumberFormat, options).format(value);
}

/** Formats a share of one as percent. */
export function percent(share) {
  return number(share, { style: 'percent', maximumFractionDigits: 1 });
}

/** Formats a number of bytes. */
export function bytes(count) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(count, 1)) / 10));
  return number(count / 1024 ** step, { style: 'unit', unit: units[step], maximumFractionDigits: step ? 1 : 0 });
}

/** Formats a duration in seconds as a number with one unit. */
export function duration(seconds) {
  const units = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? ['millisecond', 0.001];
  return number(seconds / size, { style: 'unit', unit, unitDisplay: 'short', maximumFractionDigits: seconds < 10 && seconds >= 1 ? 1 : 0 });
}

/** Formats the time of day. */
export function time(at) {
  return formatter(Intl.DateTimeFormat, { hour: '2-digit', minute: '2-digit' }).format(new Date(at));
}

/** Formats a day. */
export function day(at) {
  return formatter(Intl.DateTimeFormat, { dateStyle: 'full' }).format(new Date(at));
}

/** Formats a date and a time. */
export function moment(at) {
  return formatter(Intl.DateTimeFormat, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(at));
}

/** Compares two texts as the language orders them. */
export function compare(a, b) {
  return a.localeCompare(b, language);
}

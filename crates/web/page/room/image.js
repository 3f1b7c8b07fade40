// Prepares an image that a person wants to send: checks it, and makes it small.

import { t } from '../lib/words.js';

/** The long edge of an image that is sent, in pixels. */
const EDGE = 512;
const TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/**
 * Returns the first image among pasted, dropped or chosen files. Without an image, returns the first
 * file, so that `prepare` can refuse it; null if there are no files.
 */
export function imageIn(files) {
  return [...files].find((file) => file.type.startsWith('image/')) ?? [...files][0] ?? null;
}

/**
 * Returns `{data, type}` for a message, with the image in Base64. Throws an error with a sentence if
 * the file is not an image that the server takes.
 */
export async function prepare(file, edge = EDGE) {
  if (!TYPES.includes(file.type)) throw new Error(t('image.wrong-type'));
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(t('image.unreadable'));
  }
  const scale = Math.min(1, edge / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext('2d').drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  // A browser that cannot write WebP writes PNG instead.
  const blob = await new Promise((resolve) => { canvas.toBlob(resolve, 'image/webp', 0.85); });
  return { data: await base64(blob), type: blob.type, width: canvas.width, height: canvas.height };
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(reader.result.split(',')[1]));
    reader.addEventListener('error', () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

import type { TextPort } from './port.ts';

/** A text stays a text when it is masked; whatever else came back would not be shown. */
export function maskText(text: Pick<TextPort, 'mask'>, raw: string): string {
  const masked = text.mask(raw);
  return typeof masked === 'string' ? masked : '';
}

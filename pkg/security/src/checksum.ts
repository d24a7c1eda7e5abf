/** ISO/IEC 7812-1 (Luhn): payment cards. `digits` holds digits only. */
export function isLuhnValid(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = digit * 2;
    sum += i % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return digits.length > 0 && sum % 10 === 0;
}

const ID_CARD_WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/** GB 11643-1999 (ISO 7064 MOD 11-2): the 18 characters of a resident identity card, with a possible birthday. */
export function isChineseIdCard(text: string): boolean {
  if (!/^[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]$/.test(text)) return false;
  const sum = ID_CARD_WEIGHTS.reduce((total, weight, i) => total + weight * (text.charCodeAt(i) - 48), 0);
  return '10X98765432'[sum % 11] === text[17]?.toUpperCase();
}

const USCC_ALPHABET = '0123456789ABCDEFGHJKLMNPQRTUWXY';
const USCC_WEIGHTS = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];

/** GB 32100-2015: the 18 characters of a Unified Social Credit Code. */
export function isUscc(text: string): boolean {
  if (text.length !== 18) return false;
  let sum = 0;
  for (const [i, weight] of USCC_WEIGHTS.entries()) {
    const value = USCC_ALPHABET.indexOf(text.charAt(i));
    if (value < 0) return false;
    sum += value * weight;
  }
  return USCC_ALPHABET[(31 - (sum % 31)) % 31] === text[17];
}

/** What this leaf looks at, at most. Everything beyond is cut and says so; nothing is passed on unseen. */
export const SECURITY_LIMITS = {
  /** One text given to the masker; the rest is cut off and marked as cut. */
  maskTextChars: 1_048_576,
  /** Values (keys not counted) of one JSON document given to the masker. */
  maskJsonNodes: 200_000,
  /** Longest text that a masker remembers to be clean, and how many of them. */
  cleanTextChars: 80,
  cleanTexts: 2_048,
  /** Texts that a scanner remembers to be clean, twice: about 3 MB. */
  scannedTexts: 8_192,
  /** Nesting of a JSON document given to the masker. */
  maskJsonDepth: 64,
  policyRules: 1_000,
  /** A user's regular expression. */
  regexChars: 1_024,
  /** Compiled size of a user's regular expression; RE2's time is its product with the text. */
  regexProgramSize: 5_000,
  hashKeyBytes: 16,
  /** Text searched for injections; of a longer one the head and the tail, half each. */
  injectionChars: 262_144,
  /** Base64 blobs decoded per text, and the size of each. */
  injectionBlobs: 16,
  injectionBlobChars: 8_192,
  injectionFindings: 32,
} as const;

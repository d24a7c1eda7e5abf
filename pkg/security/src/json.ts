/** JSON, structurally the same as the kernel's; this leaf imports nothing of ours. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

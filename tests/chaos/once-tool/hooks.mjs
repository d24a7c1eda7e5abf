const PACK = '@openeaap/security-tools';
const wrapper = new URL('./with-once-tool.mjs', import.meta.url).href;

export async function resolve(specifier, context, next) {
  if (specifier === PACK && context.parentURL !== wrapper) return { url: wrapper, shortCircuit: true };
  return next(specifier, context);
}

// Writes api/openapi/openapi.json from the routes. Run it after a change of routes; a test compares the two.
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { renderOpenApi } from '@openeaap/http';

const target = fileURLToPath(new URL('../api/openapi/openapi.json', import.meta.url));
await writeFile(target, await renderOpenApi());
console.log(`wrote ${target}`);

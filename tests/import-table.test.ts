import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/**
 * Reads rooms.json and the sources as text: TypeScript 7 has no compiler API, and an import is easy to
 * see. Whoever wants another import changes the table first, where a reviewer sees it.
 */
const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const SCOPE = '@openeaap/';
/** What every room may build on. Only programs may know more. */
const LEAVES = ['kernel', 'security', 'proto', 'adapter'];
/** A user's program calls `serve()` and no more: the SDK is the program's edge, in one file. */
const EDGE_OF_SDK = 'sdk/typescript/src/environment.ts';
/** Tests that need a database or a model server take it from here. */
const SHARED_TESTING = ['internal/store/src/testing', 'internal/msig/src/testing'];

interface Room {
  /** From the root, for example `internal/store`. */
  readonly folder: string;
  /** Package name without the scope. */
  readonly name: string;
  readonly allowed: readonly string[];
  readonly dependencies: readonly string[];
}

interface Import {
  readonly file: string;
  readonly specifier: string;
  /** Gone after the build. */
  readonly typeOnly: boolean;
}

const table = readTable();
const folders = roomFolders();
const rooms = folders.filter((folder) => table[folder] !== undefined).map(toRoom);
const folderOf = new Map(rooms.map((room) => [room.name, room.folder]));

describe('rooms.json and the folders agree', () => {
  it('names every room folder, and no folder that is not there', () => {
    expect(Object.keys(table).sort()).toEqual([...folders].sort());
  });

  it('lets rooms build on leaves only; programs alone know several rooms', () => {
    const wrong = rooms.filter((room) => !room.folder.startsWith('cmd/')).flatMap((room) => room.allowed.filter((name) => !LEAVES.includes(name)).map((name) => `${room.folder} -> ${name}`));
    expect(wrong).toEqual([]);
  });

  it('has no circle among the leaves', () => {
    const wrong = rooms.filter((room) => LEAVES.includes(room.name)).flatMap((room) => room.allowed.filter((name) => LEAVES.indexOf(name) >= LEAVES.indexOf(room.name)).map((name) => `${room.name} -> ${name}`));
    expect(wrong).toEqual([]);
  });

  it('builds every room', () => {
    expect(references('tsconfig.build.json').sort()).toEqual([...folders].sort());
  });
});

describe('tests over several rooms', () => {
  it('use rooms by their doors, and the shared database', () => {
    const files = typescriptBelow('tests');
    expect(files.length).toBeGreaterThan(0);
    expect(files.flatMap(importsIn).flatMap((found) => mistakeInTest('tests', found))).toEqual([]);
  });
});

describe.each(rooms)('$folder', (room) => {
  it('declares in package.json exactly the rooms that the table lists', () => {
    const declared = room.dependencies.filter((name) => name.startsWith(SCOPE)).map((name) => name.slice(SCOPE.length));
    expect(declared.sort()).toEqual([...room.allowed].sort());
  });

  it('references in tsconfig.json exactly the rooms that the table lists', () => {
    expect(references(path.join(room.folder, 'tsconfig.json')).sort()).toEqual(room.allowed.map((name) => folderOf.get(name) ?? `no room is called ${name}`).sort());
  });

  it('imports other rooms by their door, and only those of the table', () => {
    expect(importsOf(room, isProduct).flatMap((found) => mistakeOf(room, found))).toEqual([]);
  });

  it('leaves its folder in tests only for doors and for the shared database', () => {
    expect(importsOf(room, (file) => !isProduct(file)).flatMap((found) => mistakeInTest(`${room.folder}/src`, found))).toEqual([]);
  });

  it('declares every package that it needs at run time', () => {
    const undeclared = importsOf(room, isProduct)
      .filter(({ specifier, typeOnly }) => !typeOnly && !specifier.startsWith('.') && !specifier.startsWith('node:') && !room.dependencies.includes(packageOf(specifier)))
      .map(show);
    expect(undeclared).toEqual([]);
  });

  it('reads the environment in config.ts of a program only, and exits in its main.ts only', () => {
    const isProgram = room.folder.startsWith('cmd/');
    const wrong = sourcesOf(room)
      .filter(isProduct)
      .flatMap((file) => {
        const text = withoutComments(readFileSync(path.join(root, file), 'utf8'));
        const mayRead = (isProgram && file === `${room.folder}/src/config.ts`) || file === EDGE_OF_SDK;
        const mayExit = (isProgram && file === `${room.folder}/src/main.ts`) || file === EDGE_OF_SDK;
        return [
          ...(!mayRead && /\bprocess\s*(\?\.|\.)\s*env\b|\bprocess\[/.test(text) ? [`${file} reads process.env`] : []),
          ...(!mayExit && /\bprocess\s*(\?\.|\.)\s*(exit|abort|reallyExit)\b/.test(text) ? [`${file} ends the process`] : []),
          ...(/['"](node:)?process['"]/.test(text) ? [`${file} imports node:process, which hides both`] : []),
        ];
      });
    expect(wrong).toEqual([]);
  });
});

function mistakeOf(room: Room, found: Import): readonly string[] {
  const { specifier } = found;
  if (specifier.startsWith('.')) return leaves(`${room.folder}/src`, found) ? [`${show(found)}: leaves the room`] : [];
  if (!specifier.startsWith(SCOPE)) return [];
  const name = specifier.slice(SCOPE.length);
  if (name.includes('/')) return [`${show(found)}: goes past the door`];
  return room.allowed.includes(name) ? [] : [`${show(found)}: not in rooms.json`];
}

/** A test may use any room (a real part is better than a mock), but by its door. */
function mistakeInTest(home: string, found: Import): readonly string[] {
  const { specifier } = found;
  if (specifier.startsWith(SCOPE) && specifier.slice(SCOPE.length).includes('/')) return [`${show(found)}: goes past the door`];
  if (!specifier.startsWith('.') || !leaves(home, found)) return [];
  return SHARED_TESTING.some((folder) => targetOf(found).startsWith(`${folder}/`)) ? [] : [`${show(found)}: leaves the room`];
}

const show = ({ file, specifier }: Import): string => `${file} imports ${specifier}`;

const targetOf = ({ file, specifier }: Import): string => path.posix.normalize(path.posix.join(path.posix.dirname(file), specifier));

const leaves = (home: string, found: Import): boolean => !targetOf(found).startsWith(`${home}/`);

const packageOf = (specifier: string): string => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');

/** Part of what is built and shipped, not a test or a test's helper. */
const isProduct = (file: string): boolean => !file.endsWith('.test.ts') && !file.split('/').includes('testing');

const importsOf = (room: Room, wanted: (file: string) => boolean): readonly Import[] => sourcesOf(room).filter(wanted).flatMap(importsIn);

function importsIn(file: string): readonly Import[] {
  const text = withoutComments(readFileSync(path.join(root, file), 'utf8'));
  const found = text.matchAll(/^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]/gm);
  return [...found].map((match) => ({ file, specifier: match[1] ?? match[2] ?? match[3] ?? '', typeOnly: /^\s*(?:import|export)\s+type\b/.test(match[0]) }));
}

const sourcesOf = (room: Room): readonly string[] => typescriptBelow(`${room.folder}/src`);

/** From the root, with `/`. */
function typescriptBelow(folder: string): readonly string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name.split(path.sep).join('/')}`);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8'));
}

function readTable(): Readonly<Record<string, readonly string[]>> {
  const { $comment: _comment, ...entries } = readJson('rooms.json') as Record<string, readonly string[]>;
  return entries;
}

function roomFolders(): readonly string[] {
  const { workspaces } = readJson('package.json') as { readonly workspaces: readonly string[] };
  return workspaces
    .flatMap((glob) => (glob.endsWith('/*') ? readdirSync(path.join(root, glob.slice(0, -2))).map((name) => `${glob.slice(0, -2)}/${name}`) : [glob]))
    .filter((folder) => existsSync(path.join(root, folder, 'package.json')));
}

function toRoom(folder: string): Room {
  const { name, dependencies = {}, optionalDependencies = {} } = readJson(`${folder}/package.json`) as {
    readonly name: string;
    readonly dependencies?: Readonly<Record<string, string>>;
    readonly optionalDependencies?: Readonly<Record<string, string>>;
  };
  return { folder, name: name.slice(SCOPE.length), allowed: table[folder] ?? [], dependencies: [...Object.keys(dependencies), ...Object.keys(optionalDependencies)] };
}

/** Folders, from the root, that a tsconfig file references. */
function references(file: string): string[] {
  const { references: found = [] } = readJson(file) as { readonly references?: readonly { readonly path: string }[] };
  return found.map((reference) => path.posix.normalize(path.posix.join(path.posix.dirname(file), reference.path)));
}

/** Makes JavaScript of the few modules a child process needs, in a directory of its own: Node 20 runs no TypeScript. */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import ts from 'typescript';

const ROOT = new URL('../../..', import.meta.url).pathname;

/** `folders` and `files` are relative to the repository. Returns the path under which `entry` can be run. */
export function transpile(outDirectory: string, entry: string, folders: readonly string[]): string {
  const files = [entry, ...folders.flatMap((folder) => readdirSync(join(ROOT, folder)).filter((name) => name.endsWith('.ts')).map((name) => join(folder, name)))];
  for (const file of files) {
    const { outputText } = ts.transpileModule(readFileSync(join(ROOT, file), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, rewriteRelativeImportExtensions: true, verbatimModuleSyntax: true },
    });
    const out = join(outDirectory, file.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(out), { recursive: true });
    writeFileSync(out, outputText);
  }
  writeFileSync(join(outDirectory, 'package.json'), '{"type":"module"}');
  return join(outDirectory, entry.replace(/\.ts$/, '.js'));
}

/** `millrace erase`: has the running daemon erase a user of an app, and prints the receipt. */

import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { EngineError } from '../core/errors.ts';
import type { EraseReceipt } from '../erase-receipt.ts';
import { exitCodes } from '../runtime/exit-codes.ts';
import { fetchJson, postJson } from './admin-client.ts';
import { startProgress } from './progress.ts';
import { adminUrl, loadSettings } from './settings.ts';

export interface EraseOptions {
  readonly config?: string;
  readonly admin?: string;
  readonly app?: string;
  readonly user?: string;
  readonly receipt?: string;
  readonly wait: boolean;
}

const LOOK_INTERVAL_MS = 500;

export async function erase(options: EraseOptions): Promise<number> {
  const id = options.receipt ?? (await ask(adminUrl(loadSettings(options), options.admin), options));
  return printReceipt(id, { ...options, label: 'erasing' });
}

/** Of an erasure or a purge, from the running daemon; with `wait` once it is done. */
export async function printReceipt(id: string, options: { readonly config?: string; readonly admin?: string; readonly wait: boolean; readonly label: string }): Promise<number> {
  const url = `${adminUrl(loadSettings(options), options.admin)}/v1/erasures/${id}`;
  let receipt = await fetchJson<EraseReceipt>(url);
  const progress = startProgress(options.label, 0);
  try {
    while (options.wait && !receipt.done) {
      await pause(LOOK_INTERVAL_MS);
      receipt = await fetchJson<EraseReceipt>(url);
      progress.update(receipt.lake.files_looked_at, `files of the lake (${receipt.stage})`);
    }
  } finally {
    progress.stop();
  }
  process.stdout.write(`${JSON.stringify(receipt, null, 2)}\n`);
  return exitCodes.ok;
}

async function ask(base: string, { app, user }: EraseOptions): Promise<string> {
  if (app === undefined || user === undefined) throw new EngineError('CONFIG_INVALID', 'say who is meant: --app <app_id> and --user <id>, or --receipt <id> of an erasure that was asked for');
  // Other users of the machine see the arguments of a command.
  const value = user === '-' ? readFileSync(0, 'utf8').trim() : user;
  return (await postJson<{ readonly id: string }>(`${base}/v1/erasures`, { app_id: app, user: value })).id;
}

/** The daemon as the command line runs it, to which its parent gives rows as a Pull poller does: lists of JSON texts, each answered once it is durable or failed. */

import { loadSettings } from '../../../engine/commands/settings.ts';
import { messageOf } from '../../../engine/core/errors.ts';
import { RecordSource } from '../../../engine/core/record.ts';
import { Daemon } from '../../../engine/main.ts';
import { createLogger } from '../../../engine/runtime/logger.ts';

const settings = loadSettings({});
const log = createLogger(settings.log.level);
const daemon = await Daemon.start(settings, log, (error) => {
  log.error({ code: error.code }, error.message);
  process.exit(1);
});
process.on('message', (rows: readonly string[]) => {
  daemon.appendRecords(RecordSource.pull, rows.map((row) => Buffer.from(row))).then(
    ({ accepted }) => process.send?.({ accepted }),
    (error: unknown) => process.send?.({ error: messageOf(error) }),
  );
});
process.on('SIGTERM', () => {
  void daemon.stop().then(() => process.exit(0));
});
process.on('disconnect', () => process.exit(0));
log.info({ ingestPort: daemon.state.door?.port, adminPort: daemon.adminPort, door: daemon.state.door?.kind }, 'millrace is up');

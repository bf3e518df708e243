/** All fuzz targets, in the order of a campaign. */

import type { FuzzTarget } from './target.ts';
import { configurationTarget } from './targets/configuration.ts';
import { formTarget, partitionTarget, splitTarget } from './targets/door.ts';
import { decodeTarget, identityTarget } from './targets/event.ts';
import { journalTarget } from './targets/journal.ts';
import { queryTarget } from './targets/query.ts';
import { roundTripTarget, storedTarget } from './targets/stored.ts';

export const TARGETS: readonly FuzzTarget[] = [partitionTarget(), splitTarget(), formTarget(), decodeTarget(), identityTarget(), storedTarget(), roundTripTarget(), journalTarget(), queryTarget(), configurationTarget()];

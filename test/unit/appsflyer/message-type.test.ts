import { describe, expect, it } from 'vitest';
import { messageType, ownKind, skanMessageType } from '../../../actors/appsflyer/message-type.ts';
import { RecordSource } from '../../../engine/core/record.ts';

// AppsFlyer's table: event_type, conversion_type, organic, event_name, what it counts as.
const TABLE = [
  ['install', 'install', false, 'install', 'install'],
  ['organic-install', 'install', true, 'install', 'install'],
  ['install-in-app-event', 'install', false, 'af_purchase', 'in-app'],
  ['organic-install-in-app-event', 'install', true, 'af_purchase', 'in-app'],
  ['re-engagement', 're-engagement', false, 're-engagement', 're-engagement'],
  ['re-engagement-in-app-event', 're-engagement', false, 'af_purchase', 'in-app'],
  ['re-attribution', 'reinstall', false, 're-attribution', 're-attribution'],
  ['re-attribution-in-app-event', 'reinstall', false, 'af_purchase', 'in-app'],
  ['reinstall', 'reinstall', false, 'reinstall', 'reinstall'],
  ['organic-reinstall', 'reinstall', true, 'reinstall', 'reinstall'],
] as const;

describe('messageType', () => {
  it.each(TABLE)('%s is told by event_type alone', (eventType, _conversionType, _organic, _eventName, action) => {
    expect(messageType(eventType, 'anything', 'anything', false)).toMatchObject({ eventType, action });
  });

  it.each(TABLE)('%s is derived from the other three fields', (eventType, conversionType, organic, eventName, action) => {
    expect(messageType('', eventName, conversionType, organic)).toMatchObject({ eventType, action });
  });

  it.each(TABLE)('%s is derived when event_type is of another version of the API', (eventType, conversionType, organic, eventName) => {
    expect(messageType('in-app-event', eventName, conversionType, organic).eventType).toBe(eventType);
  });

  it.each([
    ['install', 'install'],
    ['reinstall', 'reinstall'],
    ['re-engagement', 're-engagement'],
    ['re-attribution', 're-attribution'],
    ['level_up', 'in-app'],
  ] as const)('a record without types and named %s is %s', (eventName, action) => {
    expect(messageType('', eventName, '', false).action).toBe(action);
  });
});

describe('other kinds', () => {
  it('know SKAdNetwork by its own types', () => {
    expect(skanMessageType('re-download', 'x', false).action).toBe('skan-re-download');
    expect(skanMessageType('', 'install', true).action).toBe('skan-re-download');
    expect(skanMessageType('', 'install', false).action).toBe('skan-install');
    expect(skanMessageType('', 'af_purchase', false).action).toBe('skan-in-app');
  });

  it('ignore a millrace_kind that is unknown, or not of its source', () => {
    expect(ownKind('uninstall', RecordSource.pull)?.action).toBe('uninstall');
    expect(ownKind('whatever', RecordSource.pull)).toBeUndefined();
    expect(ownKind('uninstall', RecordSource.s2s)).toBeUndefined();
  });
});

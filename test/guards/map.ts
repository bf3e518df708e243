/** The map of rules in test/README.md: made from the list of guards, kept between two marks. */

import { isSeeded, SECTIONS, type Gap, type Guard, type Section } from './guard.ts';

const BEGIN = '<!-- rules: written by npm run guards -- --map -->';
const END = '<!-- end of rules -->';

/** The page with the map in its place. */
export function withMap(page: string, guards: readonly Guard[], gaps: readonly Gap[]): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`the page does not hold ${BEGIN} and ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${mapOf(guards, gaps)}\n${page.slice(end)}`;
}

function mapOf(guards: readonly Guard[], gaps: readonly Gap[]): string {
  const tables = (Object.entries(SECTIONS) as [Section, string][]).map(([section, title]) => {
    const rows = guards.filter((guard) => guard.section === section).map((guard) => `| ${cell(guard.rule)} | \`${guard.file}\` | ${testOf(guard)} |`);
    return `### ${title}\n\n| rule | kept by | test that fails without it |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  const rows = gaps.map(({ section, rule, reason }) => `| ${cell(rule)} | ${SECTIONS[section].split('.')[0]} | ${cell(reason)} |`);
  return `${tables.join('\n')}\n### Gaps\n\n| rule | section | why it has no guard or no test |\n|---|---|---|\n${rows.join('\n')}\n`;
}

function testOf({ test }: Guard): string {
  if (isSeeded(test)) return `simulation, ${test.seeds} seeds: ${test.finders.map((finder) => `\`${finder}\``).join(', ')}`;
  return `\`${test.file}\`: ${cell(test.name)}`;
}

const cell = (text: string): string => text.replaceAll('|', '\\|');

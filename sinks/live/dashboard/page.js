// The live page: draws the latest snapshot of /v1/stream. Text only ever enters through textContent: names come from outside.

const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat('en-US');
const money = new Intl.NumberFormat('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const FIGURES = [
  ['installs', 'installs this hour', number],
  ['events', 'in-app events', number],
  ['conversions', 'conversions', number],
  ['revenue', 'revenue, USD', money],
];
const CELLS = ['installs', 'events', 'conversions', 'revenue', 're_engagements'];
let lastReceived = null;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className !== undefined) made.className = className;
  return made;
}

const shown = (name, row) => (name === 'revenue' ? money.format(Number(row.revenue ?? 0)) : number.format(Number(row[name] ?? 0)));

const age = (ms) => (ms < 1000 ? `${number.format(ms)} ms` : `${number.format(Math.round(ms / 1000))} s`);

function drawFigures(snapshot) {
  const made = FIGURES.map(([name, label]) => {
    const figure = element('div');
    figure.append(element('b', shown(name, snapshot.totals)), element('span', label));
    return figure;
  });
  const perSecond = lastReceived === null ? 0 : Math.max(0, snapshot.conservation.received - lastReceived.count) / Math.max(0.001, (Date.parse(snapshot.at) - lastReceived.atMs) / 1000);
  lastReceived = { count: snapshot.conservation.received, atMs: Date.parse(snapshot.at) };
  const rate = element('div');
  rate.append(element('b', number.format(Math.round(perSecond))), element('span', 'records a second'));
  byId('figures').replaceChildren(...made, rate);
}

function drawCampaigns(snapshot) {
  const most = Math.max(1, ...snapshot.campaigns.map((row) => row.installs));
  const rows = snapshot.campaigns.map((row) => {
    const line = element('tr');
    const name = element('td', row.campaign && row.campaign !== row.campaign_id ? `${row.campaign} · ${row.campaign_id}` : row.campaign_id);
    name.title = name.textContent;
    const bar = element('td', undefined, 'bar');
    const fill = element('i');
    fill.style.width = `${(100 * row.installs) / most}%`;
    bar.append(fill);
    line.append(name, bar, ...CELLS.map((cell) => element('td', shown(cell, row))));
    return line;
  });
  byId('campaigns').replaceChildren(...rows);
  byId('empty').hidden = rows.length > 0;
  byId('window').textContent = snapshot.window_start ? `hour from ${snapshot.window_start.slice(0, 16).replace('T', ' ')} UTC` : '';
}

function pairs(id, entries) {
  byId(id).replaceChildren(...entries.flatMap(([name, value, className]) => [element('dt', name), element('dd', value, className)]));
}

function drawRejects(rejects) {
  byId('rejects').replaceChildren(
    ...rejects.map((reject) => {
      const line = element('tr');
      line.append(element('td', reject.received_at.slice(11, 19)), element('td', reject.code), element('td', reject.bytes.slice(0, 200)));
      return line;
    }),
  );
  byId('no-rejects').hidden = rejects.length > 0;
}

function draw(snapshot) {
  drawFigures(snapshot);
  drawCampaigns(snapshot);
  pairs('conservation', Object.entries(snapshot.conservation).map(([name, value]) => [name, number.format(value)]));
  pairs('sinks', snapshot.sinks.map((sink) => [sink.name, sink.healthy ? `healthy, ${sink.lag_ms === 0 ? 'up to date' : `${age(sink.lag_ms)} behind`}` : (sink.last_error ?? 'away'), sink.healthy ? 'good' : 'bad']));
  drawRejects(snapshot.rejects);
  const status = byId('status');
  status.textContent = `live, ${snapshot.at.slice(11, 19)} UTC${snapshot.watermark ? `, complete up to ${snapshot.watermark.slice(11, 19)}` : ''}`;
  status.className = '';
}

function connect() {
  const source = new EventSource('/v1/stream');
  source.onmessage = (event) => draw(JSON.parse(event.data));
  source.onerror = () => {
    const status = byId('status');
    status.textContent = 'not connected: trying again';
    status.className = 'bad';
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
}

connect();

// The page's own components (app/components/widgets.py): each of their elements is handed to one of these functions once, as it is made.
// element: its root. props.value: what Python gave it. watch('value', f): f is called when that changes. trigger(name, data): an event.
window.lab = {};

// Browser storage. A frame of another site may not use it: then nothing is kept, and nothing breaks.
const stored = (storage, name) => { try { return window[storage].getItem(name) || ''; } catch { return ''; } };
const store = (storage, name, text) => { try { window[storage].setItem(name, text); } catch { /* not allowed here */ } };

// A file for the visitor, from an address of any kind.
const download = (href, name) => { const link = document.createElement('a'); link.href = href; link.download = name; link.click(); };

// Text as lines of at most so many characters, escaped for a plotly annotation.
const wrap = (text, most) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').split(' ').reduce((lines, word) => {
  if ((lines.at(-1) + ' ' + word).length > most) lines.push(word); else lines[lines.length - 1] += ' ' + word;
  return lines;
}, ['']);

// A line of text above or below a plotly figure.
const annotation = (text, y, shift, anchor, size) => ({text, x: 0, xref: 'paper', xanchor: 'left', y, yref: 'paper', yanchor: anchor, yshift: shift, showarrow: false, align: 'left', font: {size, color: '#222'}});

// A plotly value that may be one for all points.
const at = (values, i) => (Array.isArray(values) ? values[i] : values);

// A line of a table: headings where kind is 'head', or in the first column where head is true.
const tableRow = (cells, kind, head) => {
  const line = document.createElement('tr');
  cells.forEach((cell, i) => {
    const made = document.createElement(kind === 'head' || (head && i === 0) ? 'th' : 'td');
    if (made.tagName === 'TH') made.scope = kind === 'head' ? 'col' : 'row';
    made.textContent = cell;
    line.append(made);
  });
  return line;
};

// The data of a figure as tables, below it: made once they are opened.
const dataTable = (element, host, watch) => {
  const details = element.querySelector('.plot-data'), place = details.querySelector('div'), most = 500;
  const text = document.createElement('textarea');  // reads what `plain` has escaped; nothing in it becomes an element
  const read = (value) => { text.innerHTML = String(value ?? '').replaceAll('<br>', '; ').replace(/<[^>]*>/g, ''); return text.value; };
  const short = (value) => (typeof value === 'number' ? String(Math.round(value * 1e4) / 1e4) : read(value));
  const named = (axis, value) => { const i = (axis.tickvals || []).indexOf(value); return i >= 0 && axis.ticktext ? read(axis.ticktext[i]) : short(value); };
  const axisOf = (trace, letter) => {
    const key = (trace[letter + 'axis'] || letter).replace(letter, letter + 'axis');
    return (host.layout.scene && trace.type === 'scatter3d' ? host.layout.scene[letter + 'axis'] : host.layout[key]) || {};
  };
  const title = (axis, letter) => read(axis.title?.text || letter);
  const table = (caption, heads, rows) => {
    const made = document.createElement('table'), head = made.createTHead(), body = made.createTBody();
    made.createCaption().textContent = caption + (rows.length > most ? ` (the first ${most} of ${rows.length} rows)` : '');
    head.append(tableRow(heads, 'head'));
    body.append(...rows.slice(0, most).map((cells) => tableRow(cells, 'body', true)));
    return made;
  };
  const points = (trace) => {
    const [x, y] = [axisOf(trace, 'x'), axisOf(trace, 'y')], wide = trace.z ? axisOf(trace, 'z') : null;
    const bars = trace.error_y?.array ? [trace.error_y, trace.y] : trace.error_x?.array ? [trace.error_x, trace.x] : null;
    return (trace.x || []).map((_, i) => i).filter((i) => trace.x[i] != null && trace.y?.[i] != null).map((i) => [
      read(trace.name || ''), named(x, trace.x[i]), named(y, trace.y[i]), ...(wide ? [named(wide, trace.z[i])] : []),
      bars ? short(bars[1][i] - at(bars[0].arrayminus ?? bars[0].array, i)) + ' to ' + short(bars[1][i] + at(bars[0].array, i)) : '',
      read(at(trace.hovertext ?? trace.text, i)),
    ]);
  };
  const fill = () => {
    if (!details.open || !host.data) return;
    const groups = new Map(), made = [];
    for (const trace of host.data) {
      const [x, y] = [axisOf(trace, 'x'), axisOf(trace, 'y')];
      if (trace.type === 'heatmap') {
        const across = trace.x || trace.z[0].map((_, i) => i), down = trace.y || trace.z.map((_, i) => i);
        made.push(table(`${title(y, 'row')} by ${title(x, 'column')}`, [title(y, 'row'), ...across.map((value) => named(x, value))],
          trace.z.map((line, i) => [named(y, down[i]), ...line.map((value, j) => short(trace.text?.[i]?.[j] ?? value))])));
        continue;
      }
      const heads = ['series', title(x, 'x'), title(y, 'y'), ...(trace.z ? [title(axisOf(trace, 'z'), 'z')] : []), 'interval', 'details'];
      const key = heads.join('|');
      if (!groups.has(key)) groups.set(key, {heads, rows: []});
      groups.get(key).rows.push(...points(trace));
    }
    for (const {heads, rows} of groups.values()) {
      const kept = heads.map((_, i) => rows.some((cells) => cells[i] !== ''));  // empty columns are left out
      const only = (cells) => cells.filter((_, i) => kept[i]);
      if (rows.length) made.push(table(`${heads[2]} by ${heads[1]}`, only(heads), rows.map(only)));
    }
    place.replaceChildren(...made);
  };
  let due = false;
  const later = () => {
    if (due || !details.open) return;
    due = true;
    setTimeout(() => { due = false; fill(); }, 1000);
  };
  details.addEventListener('toggle', fill);
  watch('value', later);
};

// The page comes with the third of plotly that draws flat figures. The whole of it is fetched when the first solid one is drawn.
let whole = null, fetching = null;
const fetchWhole = () => fetching ??= new Promise((done) => {
  const flat = window.Plotly, script = document.createElement('script');
  script.src = scriptOf({solid: true});
  script.addEventListener('load', () => { whole = window.Plotly; window.Plotly = flat; done(); });
  script.addEventListener('error', () => { fetching = null; });  // tried again when it is next drawn
  document.head.append(script);
});
const plotlyOf = (host) => (host.solid ? whole : Plotly);
const scriptOf = (host) => { const script = document.querySelector('script[data-whole]'); return host.solid ? script.dataset.whole : script.src; };

// A figure drawn by plotly, which keeps its zoom while its numbers change.
lab.plot = (element, props, trigger, watch) => {
  const host = element.querySelector('.plot-host');
  const figure = element.querySelector('.plot');
  let drawn = '', marked = '', drawnWidth = 0;  // the figure as it stands, without and only its shapes, and the width it was drawn for
  const draw = () => {
    figure.hidden = !props.value;
    if (!props.value || !window.Plotly || !host.offsetParent) return;  // out of sight: drawn once it is seen
    const value = JSON.parse(props.value), room = host.clientWidth;  // read before anything is written: then nothing is laid out twice
    if (!host.solid && value.data.some((trace) => trace.type === 'scatter3d')) {
      if (!whole) { fetchWhole().then(draw); return; }
      Plotly.purge(host);  // from here on this host is the whole one's
      host.solid = true; host.dataset.wired = drawn = '';
    }
    host.caption = value.caption || '';
    element.querySelector('.plot-title').textContent = value.title || '';
    element.querySelector('.plot-note').textContent = value.note || '';
    host.setAttribute('aria-label', (value.title || 'plot') + '. ' + (value.note || ''));
    const style = getComputedStyle(document.body);
    const ink = style.getPropertyValue('--body-text-color').trim() || '#444';
    const grid = style.getPropertyValue('--border-color-primary').trim() || '#ddd';
    const layout = value.layout;
    layout.font = {...layout.font, color: ink, family: style.getPropertyValue('--font') || 'sans-serif'};
    layout.paper_bgcolor = 'rgba(0,0,0,0)'; layout.plot_bgcolor = 'rgba(0,0,0,0)'; layout.autosize = true;
    layout.hoverlabel = {bgcolor: style.getPropertyValue('--background-fill-primary').trim() || '#fff', font: {color: ink}};
    const axis = (a) => ({gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true, ...a});
    if (layout.scene) for (const k of ['xaxis', 'yaxis', 'zaxis']) layout.scene[k] = axis(layout.scene[k]);
    else for (const k of ['xaxis', 'yaxis', ...Object.keys(layout).filter((key) => /^[xy]axis\d/.test(key))]) layout[k] = axis(layout[k]);
    const data = value.data;
    if (room < 480) for (const trace of data) if (trace.meta === 'wide') trace.mode = 'markers';  // its labels would cover each other
    // Plotly chooses the ink of a heat map's words for a white page; on a dark one light words can be read on all its cells.
    if (document.body.classList.contains('dark')) for (const trace of data) if (trace.texttemplate) trace.textfont = {...trace.textfont, color: ink};
    // Scrubbing moves a line in a figure that stays as it is: a tenth of the time that a whole figure takes.
    const rest = JSON.stringify([data, {...layout, shapes: null}]), shapes = JSON.stringify(layout.shapes || []);
    const stands = rest === drawn && drawnWidth === room, moved = shapes !== marked;
    drawn = rest; marked = shapes; drawnWidth = room;
    if (stands) { if (moved) plotlyOf(host).relayout(host, {shapes: layout.shapes || []}); return; }
    plotlyOf(host).react(host, data, layout, config)
      .then(() => {
        if (host.dataset.wired) return;
        host.dataset.wired = '1';
        host.on('plotly_click', (event) => {
          const point = event.points.find((p) => Number.isInteger(p.customdata));
          if (point) trigger('click', {token: point.customdata});
        });
      });
  };
  // Buttons of plotly's own bar: the figure as a picture, and as one page that opens anywhere; both with title, note and recipe.
  const words = () => [element.querySelector('.plot-title').textContent, element.querySelector('.plot-note').textContent, host.caption];
  const plain = {paper_bgcolor: '#fff', plot_bgcolor: '#fff', font: {color: '#222'}};
  const picture = {
    name: 'png', title: 'Download as PNG', icon: {width: 1000, height: 1000, path: 'M80 200h220l60-100h280l60 100h220v640H80zM500 340a180 180 0 1 0 .1 0z'},
    click: async (gd) => {
      const [title, note, caption] = words();
      const width = Math.max(gd.clientWidth, 700), most = Math.floor(width / 6.6);
      const above = wrap(title, most), below = [...wrap(note, most), ...wrap(caption, most)];
      const margin = gd.layout.margin || {};
      const bottom = (margin.b || 40) + 24, top = 18 * above.length + 20;
      const layout = {
        ...gd.layout, ...plain, width, height: gd.clientHeight + top + 16 * below.length + 24,
        margin: {...margin, t: (margin.t || 8) + top, b: bottom + 16 * below.length},
        annotations: [...(gd.layout.annotations || []), annotation('<b>' + above.join('<br>') + '</b>', 1, 10, 'bottom', 14), annotation(below.join('<br>'), 0, -bottom, 'top', 11)],
      };
      download(await plotlyOf(gd).toImage({data: gd.data, layout}, {format: 'png', width, height: layout.height, scale: 2}), 'figure.png');
    },
  };
  const save = {
    name: 'html', title: 'Download as HTML', icon: {width: 1000, height: 1000, path: 'M400 100h200v350h180L500 750 220 450h180zM150 800h700v100H150z'},
    click: async (gd) => {
      const source = await (await fetch(scriptOf(gd))).text();
      const data = JSON.stringify({data: gd.data, layout: {...gd.layout, ...plain}}).replaceAll('<', '\u003c');
      const page = document.implementation.createHTMLDocument(words()[0]);
      page.body.innerHTML = '<h1 style="font:600 18px sans-serif"></h1><div id="plot"></div><p style="font:14px sans-serif"></p><p style="font:12px sans-serif"></p>';
      [page.querySelector('h1'), ...page.querySelectorAll('p')].forEach((place, i) => { place.textContent = words()[i]; });
      const script = (text) => { const made = page.createElement('script'); made.textContent = text; page.body.append(made); };
      script(source);
      script(`const figure = ${data}; Plotly.newPlot('plot', figure.data, figure.layout, {responsive: true});`);
      const href = URL.createObjectURL(new Blob(['<!doctype html>' + page.documentElement.outerHTML], {type: 'text/html'}));
      download(href, 'figure.html');
      URL.revokeObjectURL(href);
    },
  };
  const config = {
    responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d', 'toImage'], modeBarButtonsToAdd: [picture, save],
  };
  const ready = () => (window.Plotly ? draw() : setTimeout(ready, 50));
  ready();
  // If values arrive faster than they can be drawn, only the newest is drawn.
  let due = false;
  watch('value', () => {
    if (due) return;
    due = true;
    setTimeout(() => { due = false; draw(); }, 0);
  });
  new MutationObserver(() => draw()).observe(document.body, {attributes: true, attributeFilter: ['class']});
  // A plot drawn in a hidden tab has no width yet: draw again once it is seen.
  new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) ready(); }).observe(host);

  dataTable(element, host, watch);
};

// A table as a file, without its caption. What a spreadsheet would take for a formula gets an apostrophe.
const quoted = (text) => {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
  return '"' + safe.replaceAll('"', '""') + '"';
};
const saveTable = (table) => {
  const lines = [...table.rows].map((row) => [...row.cells].map((one) => quoted(one.innerText.trim())).join(','));
  const href = URL.createObjectURL(new Blob([lines.join('\r\n') + '\r\n'], {type: 'text/csv'}));
  download(href, 'table.csv');
  URL.revokeObjectURL(href);
};

// Copies the text next to a button of this class; if the browser forbids that, the text is selected instead.
const copy = async (button) => {
  const text = button.closest('.code').querySelector('pre');
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = 'Selected';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
};

// HTML that app.view made, where every text is escaped; clicks in it on what carries data-token or data-cell are events.
lab.html = (element, props, trigger, watch) => {
  const host = element.querySelector('.html-host');
  // A table wider than its place is scrolled with the keyboard, too.
  const reach = () => (host.scrollWidth > host.clientWidth ? host.setAttribute('tabindex', '0') : host.removeAttribute('tabindex'));
  new ResizeObserver(reach).observe(host);
  const paint = () => {
    const {token, cell} = host.contains(document.activeElement) ? document.activeElement.dataset : {};
    const html = props.value || '';
    if (host.painted === html) return;
    host.painted = html;
    host.innerHTML = html;
    for (const table of host.querySelectorAll('table.csv')) {
      const button = document.createElement('button');
      Object.assign(button, {type: 'button', className: 'as-csv', textContent: 'CSV', title: 'Download this table as CSV'});
      (table.caption || table.createCaption()).append(' ', button);
    }
    // A button pressed with the keyboard keeps its focus.
    if (token !== undefined) host.querySelector(`[data-token="${CSS.escape(token)}"]`)?.focus();
    else if (cell !== undefined) host.querySelector(`[data-cell="${CSS.escape(cell)}"]`)?.focus();
    reach();
  };
  paint();
  watch('value', paint);
  element.addEventListener('click', (event) => {
    const button = event.target.closest('.as-csv');
    if (button) return saveTable(button.closest('table'));
    const copier = event.target.closest('.copy');
    if (copier) return copy(copier);
    const chip = event.target.closest('[data-token]');
    if (chip) trigger('click', {token: Number(chip.dataset.token), mute: event.shiftKey});
    const place = event.target.closest('[data-cell]');
    if (place) trigger('click', {cell: Number(place.dataset.cell)});
  });
  element.addEventListener('keydown', (event) => {  // a part of a picture is no button of the browser's
    const strip = event.target.closest('g[data-token]');
    if (!strip || (event.key !== 'Enter' && event.key !== ' ')) return;
    event.preventDefault();
    trigger('click', {token: Number(strip.dataset.token), mute: event.shiftKey});
  });
};

// A line that says what the device does, read from /healthz, which takes no place in the queue. A page in the background doesn't ask.
lab.counters = (element) => {
  const line = element.querySelector('.status');
  // The process is remembered by the tab: Gradio's page may reload by itself before this line has noticed the restart.
  let process = stored('sessionStorage', 'soft-prompt-lab-process') || '', said = '', fresh = true;
  const noticed = (now) => {
    if (process && now.process !== process) {
      said = 'the server restarted: ' + (now.keeps ? 'your runs are as they were, and one that was interrupted can go on' : 'reload this page');
      if (now.keeps && !fresh) return location.reload();
    }
    process = now.process;
    fresh = false;
    store('sessionStorage', 'soft-prompt-lab-process', process);
  };
  const ask = async () => {
    if (!element.isConnected) return clearInterval(timer);
    if (document.hidden) return;
    try {
      const now = await (await fetch('healthz', {signal: AbortSignal.timeout(4000)})).json();
      const memory = now.memory ? Math.round(now.memory / 1e6).toLocaleString('en') + ' MB in use, ' : '';
      noticed(now);
      const stuck = now.stuck_seconds > now.stuck_limit;
      line.classList.toggle('bad', !now.alive || stuck);
      line.classList.toggle('told', Boolean(said) || !now.alive || stuck);
      line.textContent = (said && said + ' · ') + (stuck ? 'one step has taken ' + Math.round(now.stuck_seconds / 60) + ' min: tell the person who runs this server'
        : now.alive || now.problem ? memory + now.running + ' running, ' + now.waiting + ' waiting' : 'the worker has failed: this server is ending');
    } catch {
      line.textContent = 'the server does not answer';
      line.classList.add('told');
    }
  };
  const timer = setInterval(ask, 5000);
  ask();
};

// Light or dark: the browser's preference, until the switch is used; the choice is kept where storage is allowed.
lab.light = (element) => {
  const button = element.querySelector('button');
  const set = (dark) => {
    document.body.classList.toggle('dark', dark);
    button.setAttribute('aria-pressed', String(dark));
  };
  const kept = stored('localStorage', 'soft-prompt-lab-theme');
  const asked = new URLSearchParams(location.search).get('__theme');
  set(asked ? asked === 'dark' : kept ? kept === 'dark' : document.body.classList.contains('dark'));
  button.addEventListener('click', () => {
    const dark = !document.body.classList.contains('dark');
    set(dark);
    store('localStorage', 'soft-prompt-lab-theme', dark ? 'dark' : 'light');
  });
};

// The link to this set-up, completed by the browser, since only it knows the page's address.
lab.link = (element, props, trigger, watch) => {
  const said = element.querySelector('.said'), field = element.querySelector('input');
  watch('value', async () => {
    const value = JSON.parse(props.value || '{}');
    said.textContent = value.said || '';
    field.hidden = true;
    if (!value.link) return;
    const link = (value.home || location.origin + location.pathname) + value.link;
    field.value = link;
    try {
      await navigator.clipboard.writeText(link);
      said.textContent = 'Link copied. ' + said.textContent;
    } catch {  // no secure address, or forbidden in this frame
      said.textContent = 'Copy the link from here. ' + said.textContent;
      field.hidden = false;
      field.focus();
      field.select();
    }
  });
};

// --- called by events of the page, with the values of their inputs, some of which only the browser knows -----------------------------

// The session's tokens: of this tab, and of the browser; the link that the tab was opened with, now and at its last load. The same
// link as before means a reload, not a new link.
lab.readTokens = (session) => [
  session, stored('sessionStorage', 'soft-prompt-lab'), stored('localStorage', 'soft-prompt-lab'),
  location.search + location.hash, stored('sessionStorage', 'soft-prompt-lab-link'),
];
lab.keepToken = (token) => {
  for (const storage of ['sessionStorage', 'localStorage']) store(storage, 'soft-prompt-lab', token);
  store('sessionStorage', 'soft-prompt-lab-link', location.search + location.hash);
};

const megabytes = (bytes) => Math.round(bytes / 2 ** 20).toLocaleString('en') + ' MB';

// A file that the server would refuse is not sent; a sentence below its field says why. Without this Gradio's page says only "Error".
for (const name of ['change', 'drop']) document.addEventListener(name, (event) => {
  const files = name === 'drop' ? event.dataTransfer.files : event.target.matches?.('input[type=file]') ? event.target.files : null;
  const block = event.target.closest?.('.block');
  if (!files || !block) return;
  const most = window.gradio_config?.max_file_size ?? Infinity;
  const large = [...files].find((file) => file.size > most);
  const said = block.nextElementSibling?.matches('.too-large') ? block.nextElementSibling : document.createElement('p');
  said.remove();
  if (!large) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (name === 'change') event.target.value = '';
  Object.assign(said, {className: 'message too-large', textContent: `${large.name} has ${megabytes(large.size)}, and this server takes up to ${megabytes(most)}: choose a smaller file.`});
  said.setAttribute('role', 'alert');
  block.after(said);
}, true);

// A double click on a button is one press: the second would be refused, since the first has begun what it asks for. Buttons that are
// made to be pressed again and again have the class `repeats`.
document.addEventListener('click', (event) => {
  const button = event.detail > 1 && event.target.closest?.('button.lg, button.md, button.sm');
  if (!button || button.matches('.repeats')) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, true);

// A file that is dropped on the box for pasted rows is given to the file field next to it. Which keeps the browser from opening it.
for (const name of ['dragover', 'drop']) document.addEventListener(name, (event) => {
  const field = event.target.closest?.('#bring') && document.querySelector('#upload-task input[type=file]');
  if (!field || event.target.closest('#upload-task') || ![...event.dataTransfer.types].includes('Files')) return;
  event.preventDefault();
  if (name === 'drop' && event.dataTransfer.files.length) {
    field.files = event.dataTransfer.files;
    field.dispatchEvent(new Event('change', {bubbles: true}));
  }
}, true);

// How far the lessons have come.
lab.readLessons = (session) => [session, stored('localStorage', 'soft-prompt-lab-lessons')];
lab.keepLessons = (progress) => { if (progress) store('localStorage', 'soft-prompt-lab-lessons', progress); };

// The open tab, in the second place of the values.
lab.readTab = (session, _, ...rest) => [session, document.querySelector('[role=tab][aria-selected=true]')?.dataset.tabId || '', ...rest];

// Hides what the link's `hide=` names, before the page is drawn, so that nothing flashes up first. parts: name -> selector. Only
// selectors of `parts` get into the style.
lab.hide = (parts) => {
  const query = new URLSearchParams(location.search);
  const names = (query.get('hide') || '').split(',').map((name) => name.trim());
  if (query.get('embed') === 'true') names.push('header', 'footer');
  const chosen = names.filter((name) => Object.hasOwn(parts, name)).map((name) => parts[name]);
  if (!chosen.length) return;
  const style = document.createElement('style');
  style.textContent = chosen.join(', ') + ' { display: none !important; }';
  document.head.append(style);
};

// Draws the report's figures in the colours of the page: light, dark, and always light on paper.
const draw = () => {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue('--ink').trim(), line = style.getPropertyValue('--line').trim(), paper = style.getPropertyValue('--paper').trim();
  for (const source of document.querySelectorAll('script[data-for]')) {
    const {data, layout} = JSON.parse(source.textContent);
    Object.assign(layout, {paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', autosize: true, hoverlabel: {bgcolor: paper, font: {color: ink}}});
    layout.font = {...layout.font, color: ink, family: 'Inter, system-ui, sans-serif'};
    for (const name of ['xaxis', 'yaxis', ...Object.keys(layout).filter((key) => /^[xy]axis\d/.test(key))])
      layout[name] = {gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, ...layout[name]};
    Plotly.react(source.dataset.for, data, layout, {responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d']});
  }
};
draw();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
addEventListener('beforeprint', draw);
addEventListener('afterprint', draw);

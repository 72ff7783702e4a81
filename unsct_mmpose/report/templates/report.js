'use strict';
for (const film of document.querySelectorAll('.film')) {
  const svg = film.querySelector('.stage > svg');
  const full = svg.viewBox.baseVal;
  const whole = { x: full.x, y: full.y, w: full.width, h: full.height };
  let view = { ...whole };
  const show = () => {
    view.w = Math.min(Math.max(view.w, whole.w / 12), whole.w);
    view.h = view.w * whole.h / whole.w;
    view.x = Math.min(Math.max(view.x, whole.x), whole.x + whole.w - view.w);
    view.y = Math.min(Math.max(view.y, whole.y), whole.y + whole.h - view.h);
    svg.setAttribute('viewBox', `${view.x} ${view.y} ${view.w} ${view.h}`);
    svg.style.setProperty('--k', view.w / whole.w);
    svg.classList.toggle('zoomed', view.w < whole.w);
  };
  const zoom = (factor, x = view.x + view.w / 2, y = view.y + view.h / 2) => {
    const width = Math.min(Math.max(view.w * factor, whole.w / 12), whole.w);
    const ratio = width / view.w;
    view = { x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio, w: width, h: view.h * ratio };
    show();
  };
  const fit = () => { view = { ...whole }; show(); };
  const move = (dx, dy) => { view.x += dx * view.w; view.y += dy * view.h; show(); };
  const point = event => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return [place.x, place.y];
  };
  const actions = { in: () => zoom(0.7), out: () => zoom(1 / 0.7), fit };
  for (const button of film.querySelectorAll('[data-do]')) {
    button.addEventListener('click', actions[button.dataset.do]);
  }
  const keys = {
    '+': actions.in, '=': actions.in, '-': actions.out, '0': fit,
    ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0),
    ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1),
  };
  svg.addEventListener('keydown', event => {
    const arrow = event.key.startsWith('Arrow');
    if (!keys[event.key] || event.ctrlKey || event.metaKey || (arrow && view.w >= whole.w)) return;
    event.preventDefault();
    keys[event.key]();
  });
  svg.addEventListener('wheel', event => {
    if (!event.ctrlKey && !event.metaKey && view.w >= whole.w && document.activeElement !== svg) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.85 : 1 / 0.85, ...point(event));
  }, { passive: false });
  svg.addEventListener('dblclick', event => zoom(0.5, ...point(event)));
  let grip = null;
  svg.addEventListener('pointerdown', event => {
    if (view.w >= whole.w) return;
    grip = point(event);
    svg.setPointerCapture(event.pointerId);
    svg.classList.add('dragging');
  });
  svg.addEventListener('pointermove', event => {
    if (!grip) return;
    const [x, y] = point(event);
    view.x += grip[0] - x;
    view.y += grip[1] - y;
    show();
  });
  const release = () => { grip = null; svg.classList.remove('dragging'); };
  svg.addEventListener('pointerup', release);
  svg.addEventListener('pointercancel', release);
  const image = svg.querySelector('image');
  const sliders = [...film.querySelectorAll('[data-filter]')];
  for (const slider of sliders) {
    slider.addEventListener('input', () => {
      image.style.filter = sliders.map(one => `${one.dataset.filter}(${one.value}%)`).join(' ');
    });
  }
  for (const box of film.querySelectorAll('[data-layer]')) {
    const apply = () => {
      if (box.dataset.layer === 'numbers') svg.classList.toggle('no-numbers', !box.checked);
      else svg.querySelector(`.layer.${box.dataset.layer}`).classList.toggle('off', !box.checked);
    };
    box.addEventListener('change', apply);
    apply(); // browsers restore boxes on reload
  }
  for (const row of film.closest('.case').querySelectorAll('tr[data-line]')) {
    const layer = svg.querySelector(`.line-${row.dataset.line}`);
    if (!layer || !layer.childElementCount) continue;
    const box = film.querySelector(`[data-layer="line-${row.dataset.line}"]`);
    const peek = on => layer.classList.toggle('peek', on);
    row.classList.add('linked');
    row.addEventListener('mouseenter', () => peek(true));
    row.addEventListener('mouseleave', () => peek(false));
    row.addEventListener('click', () => { if (box) box.click(); });
  }
}

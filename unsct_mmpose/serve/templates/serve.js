for (const form of document.querySelectorAll('form.upload')) {
  const drop = form.querySelector('.drop');
  const input = form.querySelector('input[type=file]');
  const chosen = form.querySelector('.chosen');
  const working = form.querySelector('.working');
  const button = form.querySelector('button');
  const limit = Number(form.dataset.limitMb);
  const show = () => {
    const file = input.files[0];
    const large = Boolean(file) && file.size > limit * 1e6;
    const size = file ? `${(file.size / 1e6).toFixed(1)} MB` : '';
    drop.classList.toggle('full', Boolean(file) && !large);
    drop.classList.toggle('bad', large);
    chosen.hidden = !file;
    chosen.textContent = large ? `It has ${size}; the limit is ${limit} MB.` : file ? `Ready to send, ${size}` : '';
    input.setCustomValidity(large ? `The file is larger than ${limit} MB.` : '');
  };
  input.addEventListener('change', show);
  const over = on => event => { event.preventDefault(); drop.classList.toggle('over', on); };
  // the whole window takes a drop: a near miss must not open the file instead
  addEventListener('dragover', over(true));
  addEventListener('dragleave', event => { if (!event.relatedTarget) over(false)(event); });
  addEventListener('drop', event => {
    over(false)(event);
    if (event.dataTransfer.files.length !== 1) {
      working.textContent = 'One file at a time, please.';
      return;
    }
    working.textContent = '';
    input.files = event.dataTransfer.files;
    show();
  });
  form.addEventListener('submit', () => {
    button.disabled = true;
    const start = Date.now();
    const tell = () => { working.textContent = `Reading and measuring: ${Math.round((Date.now() - start) / 1000)} s`; };
    tell();
    setInterval(tell, 1000);
  });
  addEventListener('pageshow', () => { button.disabled = false; show(); });
}
for (const origin of document.querySelectorAll('.origin')) origin.textContent = location.origin;
for (const link of document.querySelectorAll('.bar a[download]')) {
  // a browser may refuse a long data: address, not an object's
  const [head, data] = link.href.split(',');
  const bytes = Uint8Array.from(atob(data), one => one.charCodeAt(0));
  link.href = URL.createObjectURL(new Blob([bytes], { type: head.slice(5).split(';')[0] }));
}

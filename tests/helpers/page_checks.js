// What is wrong with the page as it stands, as a list of sentences. `rawTex` is a regular expression.
(rawTex) => {
  const wrong = [];
  const short = (text) => text.slice(0, 160);
  const start = (element) => short(element.outerHTML);
  const label = (element) => element.getAttribute('aria-label') || element.getAttribute('aria-labelledby');
  for (const formula of document.querySelectorAll('.math')) {
    if (!formula.querySelector('mjx-container')) wrong.push('formula left as raw TeX: ' + short(formula.textContent));
  }
  for (const error of document.querySelectorAll('mjx-merror')) wrong.push('broken formula: ' + short(error.textContent));
  const text = document.body.cloneNode(true);
  text.querySelectorAll('pre, code, script, style, noscript, mjx-container, .math').forEach((part) => part.remove());
  const raw = text.textContent.match(new RegExp('.{0,30}(' + rawTex + ').{0,30}'));
  if (raw) wrong.push('raw TeX in the text: ' + raw[0]);
  for (const image of document.querySelectorAll('img')) {
    if (!(image.getAttribute('alt') || '').trim()) wrong.push('image without alternative text: ' + start(image));
    if (image.complete && !image.naturalWidth) wrong.push('image that does not load: ' + start(image));
  }
  for (const drawing of document.querySelectorAll('svg, canvas')) {
    const named = label(drawing) || drawing.querySelector(':scope > title');
    if (!named && !drawing.closest('[aria-hidden=true], mjx-container, [role=img][aria-label], button[aria-label]')) {
      wrong.push('drawing without a name: ' + start(drawing));
    }
  }
  for (const control of document.querySelectorAll('input, select, textarea')) {
    const named = control.labels?.length || label(control) || control.title;
    if (!named && control.type !== 'hidden') wrong.push('control without a name: ' + start(control));
  }
  for (const link of document.querySelectorAll('link[href], script[src]')) {
    const address = new URL(link.href || link.src, location.href);
    const points = ['next', 'prev', 'canonical', 'license', 'author'].includes(link.rel);
    if (!points && address.protocol.startsWith('http') && address.origin !== location.origin) {
      wrong.push('leaves its own origin: ' + address.href);
    }
  }
  return wrong;
}

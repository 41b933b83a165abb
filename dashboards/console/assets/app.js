// Lists that change by themselves, and keys. Everything works without this file.
'use strict';

(() => {
  const ours = window.trustedTypes
    ? window.trustedTypes.createPolicy('borderwatch', { createHTML: (text) => text })
    : { createHTML: (text) => text };

  // A live region is replaced by that of the page as it is now. Focus and scrolling stay where they are.
  const region = document.querySelector('[data-live]');
  let busy = false;
  let again = false;

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (answer.redirected || !answer.ok) return;
      const page = new DOMParser().parseFromString(ours.createHTML(await answer.text()), 'text/html');
      const next = page.querySelector('[data-live]');
      if (next) {
        const marked = current();
        Idiomorph.morph(region, next, { ignoreActiveValue: true });
        if (marked && marked.id) mark(document.getElementById(marked.id), false);
      }
    } finally {
      busy = false;
      if (again) { again = false; setTimeout(refresh, 500); }
    }
  }

  if (region && window.EventSource && !new URLSearchParams(location.search).has('before')) {
    const stream = new EventSource('/live');
    stream.addEventListener('change', () => { if (!document.hidden) refresh(); else again = true; });
    document.addEventListener('visibilitychange', () => { if (!document.hidden && again) { again = false; refresh(); } });
    window.addEventListener('pagehide', () => stream.close());
  }

  const rows = () => Array.from(document.querySelectorAll('[data-row]'));
  const current = () => document.querySelector('[data-row].here');

  function mark(row, focus) {
    const old = current();
    if (old) old.classList.remove('here');
    if (!row) return;
    row.classList.add('here');
    if (focus) {
      const link = row.querySelector('a.open');
      if (link) link.focus();
      row.scrollIntoView({ block: 'nearest' });
    }
  }

  function move(by) {
    const all = rows();
    const at = all.indexOf(current());
    mark(all[Math.max(0, Math.min(all.length - 1, at + by))], true);
  }

  document.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select')) return;
    const help = document.getElementById('help');
    switch (e.key) {
      case 'j': move(1); break;
      case 'k': move(-1); break;
      case 'u': { const back = document.querySelector('[data-back]'); if (back) back.click(); break; }
      case '?': if (help.open) help.close(); else help.showModal(); break;
      default: {
        const button = /^[a-z]$/.test(e.key) && document.querySelector('[data-key="' + e.key + '"]');
        if (!button) return;
        button.focus();
      }
    }
    e.preventDefault();
  });
})();

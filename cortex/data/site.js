// Whatever scrolls sideways can be reached and scrolled by keyboard.
const reachable = () => document.querySelectorAll('.output, .md-typeset__scrollwrap, .md-typeset pre > code').forEach(e => {
  if (e.scrollWidth <= e.clientWidth || e.tabIndex >= 0) return;
  e.tabIndex = 0; e.setAttribute('role', 'region'); e.setAttribute('aria-label', e.tagName === 'CODE' ? 'Code' : 'Table or output');
});
addEventListener('load', () => { reachable(); new MutationObserver(reachable).observe(document.body, { childList: true, subtree: true }); });
addEventListener('resize', reachable);
// The theme's search is a dialog without a name.
addEventListener('load', () => document.querySelector('.md-search')?.setAttribute('aria-label', 'Search'));

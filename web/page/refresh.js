// Shows what a page would show now, in place of a reload: what is open or scrolled
// stays so, and nobody is disturbed while typing or marking text. Without it the browser
// reloads the page.
"use strict";
(() => {
  const seconds = Number(document.currentScript.dataset.every);
  const main = document.getElementById("main");
  const footer = document.querySelector("footer");

  // What a reader may have changed, by where it is.
  const kept = (root) => {
    const all = new Map();
    for (const e of root.querySelectorAll("details, pre, .scroll")) {
      const section = e.closest("section");
      const of = (section ? section.getAttribute("aria-labelledby") : "") + " " + e.localName;
      let n = 0;
      while (all.has(of + n)) n++;
      all.set(of + n, e);
    }
    return all;
  };

  const busy = () => document.activeElement.localName === "input" || !document.getSelection().isCollapsed;

  // What has the focus, by what it is: it is another element afterwards.
  const mark = (e) => e.localName + " " + (e.getAttribute("href") ?? e.textContent);

  const show = (text) => {
    const fresh = new DOMParser().parseFromString(text, "text/html");
    const now = fresh.getElementById("main");
    document.title = fresh.title;
    if (busy()) return;
    const before = kept(main);
    const focused = main.contains(document.activeElement) ? mark(document.activeElement) : "";
    const after = kept(now);
    for (const [of, e] of after) {
      if (e.localName === "details" && before.has(of)) e.open = before.get(of).open;
    }
    const places = [...before].map(([of, e]) => [of, e.scrollTop, e.scrollLeft]);
    main.replaceChildren(...now.childNodes);
    for (const [of, top, left] of places) {
      const e = after.get(of);
      if (e) e.scrollTo(left, top);
    }
    const again = [...main.querySelectorAll("a, button, summary")].find((e) => mark(e) === focused);
    if (again) again.focus({preventScroll: true});
    footer.textContent = fresh.querySelector("footer").textContent;
  };

  const refresh = async () => {
    try {
      const answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
      const text = await answer.text();
      if (!answer.ok) throw new Error("status " + answer.status);
      show(text);
    } catch (err) {
      document.title = "(no answer) " + document.title.replace(/^\([^)]*\) /, "");
      footer.textContent = "scriptbridge does not answer (" + err.message + "); this page is not of now";
    }
    setTimeout(refresh, seconds * 1000);
  };
  setTimeout(refresh, seconds * 1000);
})();

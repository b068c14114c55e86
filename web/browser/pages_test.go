package browser_test

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

//go:embed testdata/axe-core/axe.min.js
var axeCore string

// pages are one of each kind, and of each state of it.
var pages = []string{
	"/", "/?state=failing&q=db&sort=-duration&nonsense=1", "/?q=nothing",
	"/scripts/fine", "/scripts/chatty", "/scripts/lossy", "/scripts/refused", "/scripts/gone", "/scripts/stuck", "/scripts/flood",
	"/scripts/check_fine", "/scripts/check_tight", "/scripts/check_full", "/scripts/check_lost",
	"/scripts/again?refresh=3600", "/scripts/asked", "/scripts/off", "/scripts/exposition", "/scripts/files", "/scripts/machine", "/scripts/random_coin_monitor",
	"/scripts/a_rather_long_name_that_somebody_gave_to_a_script_without_a_thought",
	"/receivers/statsd", "/receivers/collectd", "/receivers/coscale",
	"/uploads/coscale", "/reasons",
	"/scripts/nobody",
}

// public are those from which something private is left out.
var public = []string{"/", "/scripts/lossy", "/receivers/statsd", "/uploads/coscale"}

// TestPages holds every kind of page against axe-core and what it does not know.
func TestPages(t *testing.T) {
	browser := launch(t)
	b := everything(t)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			p := open(t, browser, l)
			for _, path := range pages {
				p.do(chromedp.Navigate(b.base + path))
				for _, fault := range faultsOf(p) {
					t.Errorf("%s: %s", path, fault)
				}
			}
			for _, path := range public {
				p.do(chromedp.Navigate(strings.Replace(b.base, "127.0.0.1", "bridge.example", 1) + path))
				if !eval[bool](p, `document.body.innerText.includes("log in as one of the")`) && path != "/" {
					t.Errorf("%s: what is private is shown", path)
				}
				for _, fault := range faultsOf(p) {
					t.Errorf("%s, of which the private parts are hidden: %s", path, fault)
				}
			}
			for _, complaint := range p.complaints {
				t.Errorf("the browser complains: %s", complaint)
			}
		})
	}
	for name, test := range map[string]func(t *testing.T, p *tab, b bridge){
		"keyboard": testKeyboard, "without-javascript": testWithoutJavaScript, "refresh": testRefresh, "run-now": testRunNow,
		"causes": testCauses, "room": testRoom,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, browser, desktop), b) })
	}
	t.Run("causes-phone", func(t *testing.T) { testCauses(t, open(t, browser, phone), b) })
}

// faultsOf looks at a page whose folded parts are open.
func faultsOf(p *tab) (faults []string) {
	p.Helper()
	eval[bool](p, `document.querySelectorAll("details").forEach((e) => { e.open = true }), true`)
	faults = append(faults, eval[[]string](p, lookAt)...)
	eval[bool](p, axeCore+"\ntrue")
	return append(faults, eval[[]string](p, runAxe)...)
}

// runAxe gives what axe-core finds, and what it cannot tell but for two things that have
// been looked at: the contrast of a sign such as ✓, which has the colour of the word
// beside it, and that of what is scrolled out of a table on a phone, which is judged
// where there is room for it.
const runAxe = `axe.run({preload: false, rules: {"target-size": {enabled: true}}}).then((r) => {
	const words = (n) => [...n.any, ...n.all, ...n.none].map((c) => c.message).join("; ");
	const told = (all, before, skip) => all.flatMap((rule) => rule.nodes.filter((n) => !skip(rule, n)).map((n) =>
		before + rule.id + ": " + n.html.slice(0, 200) + ": " + words(n)));
	const lookedAt = (rule, n) => {
		const e = document.querySelector(n.target[0]);
		if (rule.id !== "color-contrast") return false;
		return words(n).includes("only non-text characters") && e.ariaHidden === "true" && getComputedStyle(e).color === getComputedStyle(e.parentElement).color
			|| words(n).includes("partially obscured") && e.closest(".scroll") && innerWidth < 1280;
	};
	return [...told(r.violations, "", () => false), ...told(r.incomplete, "axe-core cannot tell ", lookedAt)];
})`

// lookAt finds what can be measured: what one points at has 24 pixels, nothing must be
// scrolled sideways to, no state is told by its colour alone.
const lookAt = `(() => {
	const faults = [];
	const what = (e) => e.outerHTML.slice(0, 160);
	const box = (e) => e.getBoundingClientRect();
	const shown = (e) => e.checkVisibility() && box(e).width > 0 && box(e).right > 0;
	for (const e of document.querySelectorAll("a, button, summary, input:not([type=hidden])")) {
		const sentence = e.localName === "a" && getComputedStyle(e).display === "inline" && e.closest("p, li, dd");
		if (shown(e) && !sentence && (box(e).width < 24 || box(e).height < 24))
			faults.push("is smaller than 24 pixels: " + box(e).width + "x" + box(e).height + " " + what(e));
	}
	const wide = document.documentElement.scrollWidth - innerWidth;
	if (wide > 0) {
		const over = [...document.querySelectorAll("main *")].filter((e) => shown(e) && !e.closest(".scroll") && box(e).right > innerWidth + 1);
		faults.push("must be scrolled sideways by " + wide + " pixels: " + over.slice(-1).map(what));
	}
	const words = new Map();
	for (const e of document.querySelectorAll(".ok, .bad, .warn, .new")) {
		const word = e.textContent.trim();
		if (!shown(e) || e.closest("svg") || word === "" && !e.classList.contains("badge")) continue;
		if (!/[\p{L}\p{N}]/u.test(word)) faults.push("is told by its colour alone: " + what(e));
		if (!e.classList.contains("badge")) continue;
		if (words.has(word) && words.get(word) !== e.className) faults.push("has two colours: " + what(e));
		words.set(word, e.className);
	}
	for (const e of document.querySelectorAll("svg:not([aria-hidden])")) {
		if (e.getAttribute("role") !== "img" || !(e.querySelector("title") || e.getAttribute("aria-label"))) faults.push("is a picture without words: " + what(e));
	}
	return faults;
})()`

// testKeyboard goes through pages by Tab: all that can be used is reached, named, and
// seen to have the focus.
func testKeyboard(t *testing.T, p *tab, b bridge) {
	for _, path := range pages {
		p.do(chromedp.Navigate(b.base + path))
		wanted := eval[int](p, `(() => {
			const all = [...document.querySelectorAll("a, button, summary, input:not([type=hidden]), [tabindex]")].filter((e) => e.checkVisibility());
			all.forEach((e, i) => { e.dataset.stop = i; });
			return all.length;
		})()`)
		seen := make(map[string]bool)
		for range wanted + 20 { // the browser adds what can be scrolled
			p.do(chromedp.KeyEvent(kb.Tab))
			at := eval[[]string](p, `(() => {
				const e = document.activeElement, style = getComputedStyle(e);
				if (e === document.body) return ["end"];
				const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
				const box = e.getBoundingClientRect();
				const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
				return [e.dataset.stop ?? "", !ring ? "shows no focus" : !inside ? "is out of sight" : "", e.outerHTML.slice(0, 160)];
			})()`)
			if at[0] == "end" || seen[at[0]] && at[0] != "" {
				break
			}
			seen[at[0]] = true
			if at[1] != "" {
				t.Errorf("%s: %s: %s", path, at[1], at[2])
			}
		}
		delete(seen, "")
		if len(seen) != wanted {
			t.Errorf("%s: Tab reaches %d of %d", path, len(seen), wanted)
		}
	}
}

// testWithoutJavaScript shows that a page says the same without it, and is reloaded by
// the browser itself where one asks for that.
func testWithoutJavaScript(t *testing.T, p *tab, b bridge) {
	const text = `document.querySelector("main").textContent.replace(/just now|\d+([.,:]\d+)*( (ms|µs|s|min|h|d)\b)?( ago)?/g, "N")`
	scripts := func(on bool) {
		call(p, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
	}
	for _, path := range pages {
		var said [2]string
		await(t, path+" to say the same with and without JavaScript", func() bool { // between two runs of its script
			for i := range said {
				scripts(i == 0)
				p.do(chromedp.Navigate(b.base + path))
				said[i] = eval[string](p, text)
			}
			return said[0] != "" && said[0] == said[1]
		})
	}
	scripts(false)
	p.do(chromedp.Navigate(b.base + "/scripts/again?refresh=1"))
	loaded := eval[float64](p, `performance.timeOrigin`)
	await(t, "the browser to reload the page", func() bool { return eval[float64](p, `performance.timeOrigin`) != loaded })
}

// testRefresh shows that a page changes under its reader's eyes, and what is open stays so.
func testRefresh(t *testing.T, p *tab, b bridge) {
	p.do(chromedp.Navigate(b.base + "/?refresh=1"))
	if title := eval[string](p, `document.title`); title != "(5 failing, 1 critical, 1 receiver down, 1 upload down) scriptbridge" {
		t.Errorf("the tab is called %q", title)
	}
	p.do(chromedp.Navigate(b.base + "/scripts/again?refresh=1"))
	eval[bool](p, `(() => {
		document.querySelectorAll("details").forEach((e, i) => { e.open = i % 2 === 0; });
		document.querySelector("h1").dataset.old = "yes";
		document.querySelector(".crumb a").focus();
		return true;
	})()`)
	origin := eval[float64](p, `performance.timeOrigin`)
	await(t, "the page to be refreshed", func() bool { return eval[bool](p, `!document.querySelector("h1").dataset.old`) })
	if !eval[bool](p, `[...document.querySelectorAll("details")].length > 1 && [...document.querySelectorAll("details")].every((e, i) => e.open === (i % 2 === 0))`) {
		t.Error("what was open is closed, or the other way round")
	}
	if !eval[bool](p, `document.activeElement.matches(".crumb a")`) {
		t.Error("the focus is lost")
	}
	if origin != eval[float64](p, `performance.timeOrigin`) {
		t.Error("the page was reloaded")
	}
}

// testCauses shows that of each failure its cause is on the first page, or one click
// away and seen without scrolling.
func testCauses(t *testing.T, p *tab, b bridge) {
	for name, cause := range map[string]string{
		"scripts/refused":     "connection to db-1 refused",
		"scripts/gone":        "/nowhere/at/all",
		"scripts/stuck":       "timeout of 1s",
		"scripts/flood":       "max_output",
		"scripts/lossy":       "not_a_number",
		"scripts/files":       "broken.prom",
		"scripts/check_tight": "DISK WARNING - 85% used",
		"scripts/check_full":  "DISK CRITICAL - 97% used",
		"scripts/check_lost":  "DISK UNKNOWN - no such mount point",
		"receivers/collectd":  "address already in use",
		"uploads/coscale":     "connection refused",
	} {
		p.do(chromedp.Navigate(b.base + "/"))
		link := fmt.Sprintf(`document.querySelector('main a[href^="%s"]')`, name)
		if eval[bool](p, link+` === null`) {
			t.Errorf("%s: the first page has no link to it", name)
			continue
		}
		if eval[bool](p, fmt.Sprintf(`((row) => row.innerText.includes(%q) && ![...row.querySelectorAll(".note span")].some((e) => e.scrollHeight > e.clientHeight + 1))(%s.closest("tr"))`, cause, link)) {
			continue // all of it: it is not cut short
		}
		if _, err := chromedp.RunResponse(p.ctx, chromedp.Evaluate[chromedp.Void](link+`.click()`)); err != nil {
			t.Fatal(err)
		}
		if !eval[bool](p, fmt.Sprintf(`[...document.querySelectorAll("main *")].some((e) => e.checkVisibility() && e.innerText?.includes(%q) && e.children.length === 0 && e.getBoundingClientRect().bottom < innerHeight)`, cause)) {
			t.Errorf("%s: %q is neither on the first page nor at the top of its own", name, cause)
		}
	}
}

// testRoom shows that a name is not broken where there is room for it, and that nothing
// must be scrolled sideways to where there is less.
func testRoom(t *testing.T, p *tab, b bridge) {
	for _, width := range []int64{1280, 970, 950, 780, 320} {
		p.do(chromedp.EmulateViewport(width, 900), chromedp.Navigate(b.base+"/"))
		if over := eval[int](p, `document.documentElement.scrollWidth - innerWidth`); over > 0 {
			wide := eval[[]string](p, `[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth).map((e) => e.outerHTML.slice(0, 100))`)
			t.Errorf("at %d pixels the first page is %d too wide: %q", width, over, wide[:min(len(wide), 3)])
		}
		// A name may be broken after a sign that it has for a blank.
		for _, word := range eval[[]string](p, `(() => {
			const words = [];
			const walk = document.createTreeWalker(document.querySelector(".scripts tbody"), NodeFilter.SHOW_TEXT);
			while (walk.nextNode()) {
				if (!walk.currentNode.parentElement.matches(".name a")) continue;
				for (const m of walk.currentNode.data.matchAll(/[^-_ ]+/g)) {
					const range = document.createRange();
					range.setStart(walk.currentNode, m.index);
					range.setEnd(walk.currentNode, m.index + m[0].length);
					if (range.getClientRects().length > 1) words.push(m[0]);
				}
			}
			return words;
		})()`) {
			t.Errorf("at %d pixels %q is broken", width, word)
		}
	}
}

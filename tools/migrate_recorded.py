"""Rewrite recorded files: no edition line, perturbation for nudge, supervised for likelihood, contenders for lineup."""
import glob, io, json, re, sys, tarfile, pathlib
def text(s):
    s = re.sub(r"\Aedition: \d+\n", "", s)
    s = re.sub(r"(?m)^(\s*)nudge: ", r"\1perturbation: ", s)
    return s
def obj(v):
    if isinstance(v, list): return [obj(x) for x in v]
    if isinstance(v, dict):
        out = {}
        for k, x in v.items():
            if k == "edition": continue
            if k == "stages" and "nudge" in v: k = "phases"
            if k == "objective" and x == "likelihood": x = "supervised"
            k = {"nudge": "perturbation", "lineup": "contenders"}.get(k, k)
            out[k] = obj(x)
        return out
    return v
def content(name, b):
    if name.endswith(".yaml"): return text(b.decode()).encode()
    if name.endswith("summary.json"):
        s = b.decode(); v = json.loads(s); w = obj(v)
        if w == v: return b
        indent = 2 if s.startswith("{\n  ") else 1 if s.startswith("{\n ") else None
        new = json.dumps(w, indent=indent, ensure_ascii="\\u" in s) + ("\n" if s.endswith("\n") else "")
        old = json.dumps(v, indent=indent, ensure_ascii="\\u" in s) + ("\n" if s.endswith("\n") else "")
        assert old == s, (name, s[:200], old[:200])
        return new.encode()
    return b
for f in sorted(glob.glob("data/results/*/runs.tar.xz")):
    with tarfile.open(f) as t: members = [(m, t.extractfile(m).read()) for m in t.getmembers()]
    news = [(m, content(m.name, b)) for m, b in members]
    changed = sum(n != b for (_, n), (_, b) in zip(news, members))
    if changed:
        with tarfile.open(f, "w:xz", preset=9) as t:
            for m, b in news:
                e = tarfile.TarInfo(m.name); e.size, e.mtime = len(b), m.mtime
                t.addfile(e, io.BytesIO(b))
    print(f, changed, flush=True)
for f in glob.glob("data/runs/*/experiment.yaml") + glob.glob("data/measurements/*.yaml"):
    p = pathlib.Path(f); s = p.read_text()
    n = re.sub(r"(?m)^edition: \d+\n", "", s)
    n = re.sub(r"(?m)^(\s*)nudge: ", r"\1perturbation: ", n)
    if n != s: p.write_text(n)
for f in glob.glob("data/results/*/report.json") + glob.glob("data/results/*/report.html"):
    p = pathlib.Path(f); s = p.read_text()
    n = s.replace("edition: 3\\n", "").replace("edition: 3\n", "")
    n = re.sub(r'"edition": 3, ?', "", n)
    if n != s: p.write_text(n)
    if "edition" in n or "nudge" in n: print(f, n.count("edition"), n.count("nudge"), re.findall(r".{60}(?:edition|nudge).{40}", n)[:3])

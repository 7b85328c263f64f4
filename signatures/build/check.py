import tomllib,glob,re
n=0
for f in sorted(glob.glob('fingerprints/*.toml')):
    for r in tomllib.load(open(f,'rb'))['fingerprint']:
        n+=1
        for e in r['example']:
            caps={}
            ok=True
            for w in r['when']:
                m=re.search(w['matches'],e['input'].get(w['attribute'],'\0none'))
                if not m: ok=False; print(f,r['id'],'no match',w); break
                caps.update({k:v for k,v in m.groupdict().items() if v})
            if ok:
                out={k:re.sub(r'\$\{(\w+)\}',lambda m:caps.get(m[1],''),v) for k,v in r['set'].items()}
                for k,v in e['expect'].items():
                    if out.get(k)!=v: print(f,r['id'],k,repr(out.get(k)),repr(v))
print(n)

import sys,json,re,datetime,struct
f32=lambda x: struct.unpack('f',struct.pack('f',x))[0]
D=86400
T={};C={}
rt=re.compile(rb'"terminal_id":\d*00\b'); rc=re.compile(rb'"customer_id":\d*50\b')
for l in open(sys.argv[1],'rb'):
    a,b=rt.search(l),rc.search(l)
    if not(a or b): continue
    d=json.loads(l); e=d['event']
    r=(int(datetime.datetime.fromisoformat(d['event_time'].replace('Z','+00:00')).timestamp()),round(float(e['tx_amount'])*100),e['tx_fraud'],d['features'])
    if a: T.setdefault(e['terminal_id'],[]).append(r)
    if b: C.setdefault(e['customer_id'],[]).append(r)
n=bad=0
def same(got,want):
    global n,bad
    n+=1
    ok=(got is None)==(want is None) and (want is None or f32(got)==f32(want))
    if not ok:
        bad+=1
        if bad<5: print(got,want)
for rows in T.values():
    for i,(t,c,y,f) in enumerate(rows):
        w=lambda d,p=lambda r:1:[r for r in rows[:i] if t-d*D-7*D<r[0]<=t-7*D and p(r)]
        for d in (1,7,30):
            x=w(d); same(f[f'terminal.share_fraud_{d}d'],sum(r[2] for r in x)/len(x) if x else 0); same(f[f'terminal.count_{d}d_delay_7d'],len(x))
        x=w(3,lambda r:r[1]<=22000); same(f['terminal.share_fraud_usual_3d'],sum(r[2] for r in x)/len(x) if x else None)
        x=w(28); same(f['terminal.last_fraud_28d'],x[-1][2] if x else None)
        y=[r[0] for r in x if r[2]]; same(f['terminal.seconds_since_first_fraud_28d'],t-y[0] if y else None); same(f['terminal.seconds_since_last_fraud_28d'],t-y[-1] if y else None)
for rows in C.values():
    large=[]
    for i,(t,c,y,f) in enumerate(rows):
        x=[r[1] for r in rows[:i] if t-97*D<r[0]<=t-7*D and not r[2]]
        m=sum(x)/(len(x)*100) if x else None
        same(f['customer.mean_genuine_amount_90d'],m)
        same(f['customer.count_large_7d'],sum(1 for u in large if t-7*D<u<=t))
        l=[u for u in large if t-90*D<u<=t]; same(f['customer.seconds_since_last_large_90d'],t-l[-1] if l else None)
        if m is not None and c/100>2.2*f32(m): large.append(t)
print(len(T),'terminals',len(C),'customers',n,'values',bad,'differ')

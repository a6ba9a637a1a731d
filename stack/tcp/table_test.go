package tcp

import (
	"math/rand/v2"
	"testing"
)

func TestTableFindsAllAndOnlyThose(t *testing.T) {
	const n = 20000
	var pcbs slab[pcb]
	if err := pcbs.open(n); err != nil {
		t.Fatal(err)
	}
	defer pcbs.close()
	var waits slab[timeWait]
	if err := waits.open(n); err != nil {
		t.Fatal(err)
	}
	defer waits.close()
	var tab table
	if err := tab.open(&pcbs, &waits, n, [4]uint64{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	r := rand.New(rand.NewPCG(5, 6))
	in := map[key]uint32{}
	var keys []key
	for step := range 6 * n {
		if len(keys) < n && (r.IntN(3) > 0 || len(keys) == 0) {
			k := key{rlo: mappedPrefix | uint64(r.Uint32N(1<<12)), llo: mappedPrefix | 1, ports: makePorts(80, uint16(r.Uint32N(64)))}
			if r.IntN(4) == 0 {
				k.rhi, k.lhi = 0xfd<<56, 0xfd<<56
			}
			if _, ok := in[k]; ok {
				continue
			}
			i := pcbs.alloc()
			p := pcbs.at(i)
			*p = pcb{key: k, hash: tab.hash(&k)}
			if !tab.insert(i, p.hash) {
				t.Fatal("insert failed")
			}
			in[k] = i
			keys = append(keys, k)
		} else {
			j := r.IntN(len(keys))
			k := keys[j]
			tab.remove(in[k], tab.hash(&k))
			pcbs.release(in[k])
			delete(in, k)
			keys[j] = keys[len(keys)-1]
			keys = keys[:len(keys)-1]
		}
		if step%5000 == 0 || step == 6*n-1 {
			for k, i := range in {
				if got, _ := tab.find(&k, tab.hash(&k)); got != i {
					t.Fatalf("step %d: found %d, want %d", step, got, i)
				}
			}
		}
	}
	for k := range in {
		k.ports ^= 1
		if got, _ := tab.find(&k, tab.hash(&k)); got != in[k] {
			t.Fatalf("found %d for a key that is not there", got)
		}
	}
	if int(tab.count) != len(in) {
		t.Errorf("count is %d, want %d", tab.count, len(in))
	}
	for k, i := range in {
		tab.remove(i, tab.hash(&k))
		if got, _ := tab.find(&k, tab.hash(&k)); got != 0 {
			t.Fatal("found after it was removed")
		}
	}
	if tab.count != 0 || tab.spill.used != 0 {
		t.Errorf("%d entries and %d spilled buckets at the end", tab.count, tab.spill.used)
	}
}

func TestTableSurvivesOneHash(t *testing.T) {
	// Whoever knew the secret could do this; it must cost time only.
	const n = 300
	var pcbs slab[pcb]
	if err := pcbs.open(n); err != nil {
		t.Fatal(err)
	}
	defer pcbs.close()
	var waits slab[timeWait]
	if err := waits.open(n); err != nil {
		t.Fatal(err)
	}
	defer waits.close()
	var tab table
	if err := tab.open(&pcbs, &waits, n, [4]uint64{}); err != nil {
		t.Fatal(err)
	}
	defer tab.close()
	for i := range uint32(n) {
		j := pcbs.alloc()
		p := pcbs.at(j)
		*p = pcb{key: key{rlo: uint64(i)}, hash: 0xabcdef12}
		if !tab.insert(j, p.hash) {
			t.Skip("no memory for so long a chain") // the limit of spilled buckets, met as promised
		}
	}
	for i := range uint32(n) {
		if got, _ := tab.find(&key{rlo: uint64(i)}, 0xabcdef12); got == 0 {
			t.Fatal("not found")
		}
	}
}

func BenchmarkTableFind(b *testing.B) {
	const n = 1 << 17
	var pcbs slab[pcb]
	pcbs.open(n)
	defer pcbs.close()
	var tab table
	tab.open(&pcbs, nil, n, [4]uint64{1, 2, 3, 4})
	defer tab.close()
	keys := make([]key, n)
	for j := range keys {
		keys[j] = key{rlo: mappedPrefix | uint64(j), llo: mappedPrefix | 1, ports: makePorts(80, 1024)}
		i := pcbs.alloc()
		*pcbs.at(i) = pcb{key: keys[j], hash: tab.hash(&keys[j])}
		tab.insert(i, pcbs.at(i).hash)
	}
	b.Run("hit", func(b *testing.B) {
		for j := range b.N {
			k := &keys[j*7919&(n-1)]
			if i, _ := tab.find(k, tab.hash(k)); i == 0 {
				b.Fatal("not found")
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		for j := range b.N {
			k := keys[j*7919&(n-1)]
			k.ports++
			if i, _ := tab.find(&k, tab.hash(&k)); i != 0 {
				b.Fatal("found")
			}
		}
	})
}

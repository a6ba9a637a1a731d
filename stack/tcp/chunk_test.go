package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestQueueAgainstASlice(t *testing.T) {
	var m chunks
	m.most = 100
	if err := m.open(100); err != nil {
		t.Fatal(err)
	}
	defer m.close()
	r := rand.New(rand.NewPCG(8, 9))
	var q, other queue
	var want, far []byte
	src := randomBytes(1<<16, 9)
	for step := range 20000 {
		n := r.IntN(5000)
		switch r.IntN(7) {
		case 0, 1:
			at := r.IntN(len(src) - n)
			k := m.append(&q, src[at:at+n])
			if k < n && m.used != m.most {
				t.Fatalf("step %d: %d of %d bytes taken with %d chunks free", step, k, n, m.most-m.used)
			}
			want = append(want, src[at:at+k]...)
		case 2:
			b := make([]byte, n)
			k := m.read(&q, b)
			if k != min(n, len(want)) || !bytes.Equal(b[:k], want[:k]) {
				t.Fatalf("step %d: read differs", step)
			}
			want = want[k:]
		case 3:
			k := min(n, len(want))
			m.drop(&q, uint32(k))
			want = want[k:]
		case 4:
			skip := r.IntN(len(want) + 1)
			b := make([]byte, n)
			k := m.peek(&q, skip, b)
			if k != min(n, len(want)-skip) || !bytes.Equal(b[:k], want[skip:skip+k]) {
				t.Fatalf("step %d: peek differs", step)
			}
		case 5: // from a place on, in two parts
			skip := r.IntN(len(want) + 1)
			k := min(n, len(want)-skip)
			b := make([]byte, k)
			at := m.copyOut(&q, m.seek(&q, uint32(skip)), b[:k/2])
			m.copyOut(&q, at, b[k/2:])
			if !bytes.Equal(b, want[skip:skip+k]) {
				t.Fatalf("step %d: copyOut differs", step)
			}
		case 6:
			k := m.append(&other, src[:n%100])
			far = append(far, src[:k]...)
			if r.IntN(3) == 0 {
				m.join(&q, &other)
				want = append(want, far...)
				far = nil
			}
		}
		if int(q.len) != len(want) || int(other.len) != len(far) {
			t.Fatalf("step %d: %d bytes, want %d", step, q.len, len(want))
		}
	}
	m.clear(&q)
	m.clear(&other)
	if m.used != 0 || q != (queue{}) {
		t.Errorf("%d chunks in use at the end, %+v", m.used, q)
	}
}

func TestJoinedQueuesPinLittle(t *testing.T) {
	var m chunks
	m.most = 1000
	if err := m.open(1000); err != nil {
		t.Fatal(err)
	}
	defer m.close()
	var q queue
	for range 10_000 {
		var one queue
		m.append(&one, []byte{1})
		m.join(&q, &one)
	}
	if most := uint32(2*10_000/chunkData + 2); q.len != 10_000 || m.used > most {
		t.Errorf("%d bytes pin %d chunks, want at most %d", q.len, m.used, most)
	}
}

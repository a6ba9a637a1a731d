package main

// buffers are lent to connections that have something to keep. Number 0 is no buffer.
type buffers struct {
	all  [][]byte // by number
	free []int32
}

// bufferMax is the capacity above which a buffer that comes back is left to the collector.
const bufferMax = 64 << 10

// bytes is what buffer i holds.
func (b *buffers) bytes(i int32) []byte {
	if i == 0 {
		return nil
	}
	return b.all[i]
}

// hold has buffer *i keep a copy of p, or gives it back if p is empty.
func (b *buffers) hold(i *int32, p []byte) {
	if len(p) == 0 {
		b.release(i)
		return
	}
	if *i == 0 {
		*i = b.lend()
	}
	b.all[*i] = append(b.all[*i][:0], p...)
}

func (b *buffers) lend() int32 {
	if n := len(b.free); n > 0 {
		i := b.free[n-1]
		b.free = b.free[:n-1]
		return i
	}
	if len(b.all) == 0 {
		b.all = append(b.all, nil) // number 0
	}
	b.all = append(b.all, nil)
	return int32(len(b.all) - 1)
}

func (b *buffers) release(i *int32) {
	if *i == 0 {
		return
	}
	if cap(b.all[*i]) > bufferMax {
		b.all[*i] = nil
	}
	b.free = append(b.free, *i)
	*i = 0
}

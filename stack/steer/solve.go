package steer

// system is a 16-column matrix over GF(2) in reduced form.
type system struct {
	pivots  [16]pivot
	rank    int
	kernel  [16]uint16 // a basis of the inputs that the matrix takes to zero
	nullity int
}

// pivot: the input takes the matrix to value, whose highest bit no other pivot's value has as its highest.
type pivot struct {
	value uint32
	input uint16
}

// eliminate brings the matrix with these columns (the image of each input bit) into reduced form.
func eliminate(columns [16]uint32) (s system) {
	for bit, value := range columns {
		v, in := s.reduce(value)
		if in ^= 1 << bit; v == 0 {
			s.kernel[s.nullity] = in
			s.nullity++
		} else {
			s.pivots[s.rank] = pivot{v, in}
			s.rank++
		}
	}
	return s
}

// reduce subtracts pivots from v while one can lower it, and returns the rest and the input taken so far.
func (s *system) reduce(v uint32) (rest uint32, input uint16) {
	for again := true; again && v != 0; {
		again = false
		for _, p := range s.pivots[:s.rank] {
			if v^p.value < v {
				v ^= p.value
				input ^= p.input
				again = true
			}
		}
	}
	return v, input
}

// solve returns an input that the matrix takes to v.
func (s *system) solve(v uint32) (input uint16, ok bool) {
	rest, input := s.reduce(v)
	return input, rest == 0
}

// combine is the sum of the kernel's basis vectors that k selects.
func (s *system) combine(k uint32) (sum uint16) {
	for i, v := range s.kernel[:s.nullity] {
		if k&(1<<i) != 0 {
			sum ^= v
		}
	}
	return sum
}

package posix

import "math/bits"

// numbers is a set of small integers that gives out the lowest one not in it: a tree of words of 64 bits, in
// which a bit above says that the word below is full.
type numbers struct {
	levels [4][]uint64 // 64⁴ = 16,777,216 numbers
}

// next is the lowest number from n on that is not in the set, or -1 if all that the tree can hold are.
func (s *numbers) next(n int) int {
	for level := range s.levels {
		word := n >> 6
		if word >= 1<<(18-6*level) {
			break
		}
		if free := ^s.word(level, word) & (^uint64(0) << (n & 63)); free != 0 {
			n = word<<6 + bits.TrailingZeros64(free)
			for level--; level >= 0; level-- {
				n = n<<6 + bits.TrailingZeros64(^s.word(level, n))
			}
			return n
		}
		n = word + 1
	}
	return -1
}

func (s *numbers) word(level, i int) uint64 {
	if i < len(s.levels[level]) {
		return s.levels[level][i]
	}
	return 0
}

func (s *numbers) add(n int) {
	for level := range s.levels {
		word := n >> 6
		for word >= len(s.levels[level]) {
			s.levels[level] = append(s.levels[level], 0)
		}
		w := &s.levels[level][word]
		*w |= 1 << (n & 63)
		if *w != ^uint64(0) {
			return
		}
		n = word
	}
}

func (s *numbers) remove(n int) {
	for level := range s.levels {
		w := &s.levels[level][n>>6]
		full := *w == ^uint64(0)
		*w &^= 1 << (n & 63)
		if !full {
			return
		}
		n >>= 6
	}
}

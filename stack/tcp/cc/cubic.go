package cc

import "math"

// cubic is RFC 9438's control, with fast convergence, and HyStart++ in the first slow start. Windows are in bytes,
// times in seconds. A congestion avoidance stage begins with the first ACK that finds no epoch.
type cubic struct{}

// Cubic is its ID.
var Cubic = Register(cubic{})

// CUBIC's words.
const (
	cuEpoch = iota // when the stage began (t_epoch), in ticks; 0: it has not
	cuPause        // since when the window does not grow for want of data, in ticks; 0: it grows
	cuWMax         // W_max, bytes; 0: none yet
	cuPrior        // cwnd_prior, bytes
	cuK            // K, seconds as float32
	cuFrac         // fraction of a byte of growth left over, as float32
	cuEst          // W_est, bytes as float64, in two words
	cuEst2
)

// Constants of RFC 9438 §4.1, §4.6.
const (
	cubicC     = 0.4 // segments per second³
	cubicBeta  = 7   // tenths
	cubicAlpha = 3 * (1 - 0.7) / (1 + 0.7)
	tickSecond = 1e6 / 1024
)

func (cubic) Name() string   { return "cubic" }
func (cubic) Traits() Traits { return SleepsUnused }
func (cubic) Init(*State)    {}

func (cubic) Ack(s *State, k *Sample) {
	if k.Recovery {
		return
	}
	acked := k.Acked
	if s.SlowStart() {
		if s.flags&unused != 0 {
			return
		}
		if s.flags&hystartOn != 0 {
			s.hystart(k)
			return
		}
		if acked = s.slowStart(acked, startLimit(k)); acked == 0 {
			return
		}
	}
	w := &s.words
	now := tick(k.Now) | 1 // odd: zero means "not set"
	if s.flags&unused != 0 {
		if w[cuPause] == 0 {
			w[cuPause] = now
		}
		return
	}
	if w[cuEpoch] == 0 {
		s.cubicEpoch(now)
	} else if w[cuPause] != 0 { // §4.2: t does not run while the application limits
		w[cuEpoch] = (w[cuEpoch] + now - w[cuPause]) | 1
	}
	w[cuPause] = 0
	s.cubicGrow(k, acked, now)
}

// cubicEpoch begins a congestion avoidance stage (§4.2). Without a W_max, after HyStart++ (§4.10), or after a timeout
// (§4.8), the plateau is here and K is 0.
func (s *State) cubicEpoch(now uint32) {
	w := &s.words
	w[cuEpoch] = now
	if s.flags&afterRTO != 0 || w[cuWMax] <= s.Cwnd {
		w[cuWMax], w[cuK] = s.Cwnd, 0
	} else {
		k := math.Cbrt(float64(w[cuWMax]-s.Cwnd) / float64(cubicC*float64(s.MSS)))
		w[cuK] = math.Float32bits(float32(k))
	}
	if w[cuPrior] == 0 {
		w[cuPrior] = s.Cwnd
	}
	s.flags &^= afterRTO
	s.setEst(float64(s.Cwnd))
	w[cuFrac] = 0
}

// cubicGrow is one ACK of acked bytes in congestion avoidance.
func (s *State) cubicGrow(k *Sample, acked, now uint32) {
	w := &s.words
	mss, cwnd := float64(s.MSS), float64(s.Cwnd)

	// W_est, §4.3: as fast as Reno would grow; α is 1 from cwnd_prior on.
	est := s.est()
	alpha := cubicAlpha
	if est >= float64(w[cuPrior]) {
		alpha = 1
	}
	est += float64(alpha*mss*float64(acked)) / cwnd
	s.setEst(est)

	// W_cubic(t) and W_cubic(t + RTT), §4.2.
	t := float64(now-w[cuEpoch]) / tickSecond
	if s.wcubic(t) < est { // the Reno-friendly region
		if est > cwnd {
			s.Cwnd = uint32(min(est, cwndMax))
			w[cuFrac] = 0
		}
		return
	}
	target := min(max(s.wcubic(t+float64(k.SRTT)/1e6), cwnd), 1.5*cwnd)
	grow := float64((target-cwnd)*float64(acked))/cwnd + float64(math.Float32frombits(w[cuFrac]))
	whole := math.Floor(grow)
	s.Cwnd = uint32(min(cwnd+whole, cwndMax))
	w[cuFrac] = math.Float32bits(float32(grow - whole))
}

// wcubic is W_cubic(t) = C (t - K)³ + W_max, in bytes.
func (s *State) wcubic(t float64) float64 {
	d := t - float64(math.Float32frombits(s.words[cuK]))
	return float64(cubicC*float64(s.MSS)*float64(d*float64(d*d))) + float64(s.words[cuWMax])
}

func (s *State) est() float64 {
	return math.Float64frombits(uint64(s.words[cuEst]) | uint64(s.words[cuEst2])<<32)
}

func (s *State) setEst(v float64) {
	b := math.Float64bits(v)
	s.words[cuEst], s.words[cuEst2] = uint32(b), uint32(b>>32)
}

func (cubic) Notify(s *State, e Event, k *Sample) {
	w := &s.words
	switch e {
	case EventLoss, EventECN, EventTimeout:
		// §4.7 fast convergence: a saturation point that falls makes room for others.
		basis := s.basis(k)
		if basis < w[cuWMax] {
			w[cuWMax] = scale(basis, 10+cubicBeta, 20)
		} else {
			w[cuWMax] = basis
		}
		w[cuPrior], w[cuEpoch], w[cuPause] = basis, 0, 0
		s.reduce(e, k, cubicBeta, 10)
		s.flags &^= afterRTO
		if e == EventTimeout {
			s.flags |= afterRTO
		}
	case EventIdle:
		if w[cuEpoch] != 0 && w[cuPause] == 0 { // as for a pause; the last ACKs came after the last segment
			idle := min(k.Idle>>10, tick(k.Now)-w[cuEpoch])
			w[cuEpoch] = (w[cuEpoch] + idle) | 1
		}
	}
}

func (cubic) PacingRate(s *State, srtt uint32) uint64 { return s.pace(srtt) }

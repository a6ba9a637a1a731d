package stack

import "reflect"

// Counters are the loop's own; each layer has a struct of its own like it. The tag help is the sentence that
// the tools, the metrics endpoint and the documentation show.
type Counters struct {
	Turns                uint64 `help:"turns of the loop"`
	IdleTurns            uint64 `help:"turns of the loop in which nothing happened"`
	Sleeps               uint64 `help:"times the loop slept until a frame, a timer or a write woke it"`
	BusyNanos            uint64 `help:"nanoseconds in turns in which something happened"`
	RxFrames             uint64 `help:"frames received"`
	RxBytes              uint64 `help:"bytes received, with Ethernet headers"`
	TxFrames             uint64 `help:"frames handed to the ports"`
	DropNoLayerTookFrame uint64 `help:"received frames dropped because no protocol layer took them"`
}

// Counters returns a copy of the loop's counters.
func (s *Stack) Counters() Counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters
}

// EachCounter calls f for each uint64 field of a struct of counters, with its name, help and value.
func EachCounter(counters any, f func(name, help string, value uint64)) {
	v := reflect.Indirect(reflect.ValueOf(counters))
	for i := range v.NumField() {
		if t := v.Type().Field(i); t.Type.Kind() == reflect.Uint64 {
			f(t.Name, t.Tag.Get("help"), v.Field(i).Uint())
		}
	}
}
